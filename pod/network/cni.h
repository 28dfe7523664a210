// SPDX-License-Identifier: Apache-2.0
/*
 * All plugins of a network, one after the other (CNI specification 1.1.0, section 3, "Execution of
 * Network Configurations"; section 4 is delegation, which is among plugins).
 */
#ifndef HUSK_POD_NETWORK_CNI_H
#define HUSK_POD_NETWORK_CNI_H

#include <jansson.h>

#include "husk/error.h"

#define CNI_INTERFACE "eth0" /* CNI_IFNAME */

struct cni_attachment {
    const json_t *list;    /* checked: cni_conf.h */
    const json_t *runtime; /* what may become "runtimeConfig", by capability */
    const char *container, *netns, *args;
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

/* CHECK in order. 0 as well for a list that wants none (disableCheck, or before 0.4.0). */
int cni_check(const struct cni_attachment *attachment, const json_t *result,
              struct husk_error *err);

#endif
