// SPDX-License-Identifier: Apache-2.0
/*
 * All plugins of a network, one after the other (CNI specification 1.1.0, section 3, "Execution of
 * Network Configurations"; section 4 is delegation, which is among plugins).
 */
#ifndef HUSK_POD_NETWORK_CNI_H
#define HUSK_POD_NETWORK_CNI_H

#include <jansson.h>
#include <stdbool.h>

#include "husk/error.h"

#define CNI_INTERFACE "eth0" /* CNI_IFNAME */

struct cni_attachment {
    const json_t *list;    /* checked: cni_conf.h */
    const json_t *runtime; /* what may become "runtimeConfig", by capability */
    const char *container, *netns, *args;
    int hold;            /* cni_exec.h */
    unsigned timeout_ms; /* of each plugin */
};

/*
 * ADD with each plugin, each told the result of the one before. *result is the last one's, the
 * caller's. When one fails, DEL is run with all of them, in reverse, before the error is returned.
 */
int cni_add(const struct cni_attachment *attachment, json_t **result, struct husk_error *err);

/* DEL in reverse, with the result of ADD when it is known. All plugins are asked, whatever one of
 * them says; the first error is returned. */
int cni_delete(const struct cni_attachment *attachment, const json_t *result,
               struct husk_error *err);

/* Whether the list is of a version that has STATUS and GC: 1.1.0. */
bool cni_can_collect(const json_t *list);

/* STATUS in order: 0, or the first error, of a plugin that is not ready for ADD. 0 as well for a
 * list before 1.1.0. */
int cni_status(const struct cni_attachment *attachment, struct husk_error *err);

/* GC in order, with the attachments that are valid: [{"containerID": TEXT, "ifname": TEXT}, …]. All
 * plugins are asked, whatever one of them says; the first error is returned. */
int cni_collect(const json_t *list, const json_t *valid, unsigned timeout_ms,
                struct husk_error *err);

/* CHECK in order. 0 as well for a list that wants none (disableCheck, or before 0.4.0). */
int cni_check(const struct cni_attachment *attachment, const json_t *result,
              struct husk_error *err);

#endif
