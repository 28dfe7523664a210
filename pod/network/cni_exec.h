// SPDX-License-Identifier: Apache-2.0
/*
 * One run of one CNI plugin (CNI specification 1.1.0, section 2): a program of $CNI_PATH, or of
 * /opt/cni/bin and /usr/lib/cni, that reads its configuration and writes its result.
 *
 * A plugin is root on the host, and yet what it does is not trusted to end or to make sense: its
 * output is bounded, so is its time, and then its whole process group is killed.
 */
#ifndef HUSK_POD_NETWORK_CNI_EXEC_H
#define HUSK_POD_NETWORK_CNI_EXEC_H

#include <jansson.h>
#include <stddef.h>

#include "husk/error.h"

#define CNI_OUTPUT_MAX (1u << 20)
#define CNI_PATH       "/opt/cni/bin:/usr/lib/cni"

struct cni_call {
    const char *command; /* "ADD", "DEL", … */
    const char *container, *netns, *interface, *args;
    int hold; /* a descriptor that the plugin and all that it starts inherit; 0: none */
    unsigned timeout_ms;
};

/*
 * Runs `type` with this configuration. *result: what it wrote, an object, the caller's; NULL when
 * it wrote nothing, as is right for all but ADD. -ENOENT when there is no such plugin, -ETIMEDOUT,
 * -EFBIG, -EPROTO for what is no JSON, and for what the plugin says went wrong -EIO with its words
 * (section 5, "Error"). The caller's signals are left alone; it may have other children.
 */
int cni_exec(const char *type, const struct cni_call *call, const json_t *configuration,
             json_t **result, struct husk_error *err);

/* What a plugin that failed says, as an error object; `status` is that of its process. Pure. */
int cni_explain(const char *type, const json_t *said, int status, const char *words,
                struct husk_error *err);

#endif
