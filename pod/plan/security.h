// SPDX-License-Identifier: Apache-2.0
/* securityContext, of the pod and of a container, which comes first. */
#ifndef HUSK_POD_PLAN_SECURITY_H
#define HUSK_POD_PLAN_SECURITY_H

#include "pod/plan/part.h"

#define SECURITY_GROUPS_MAX 64u

struct security_plan {
    char user[SPEC_USER_MAX + 32]; /* as spec_options.user has it */
    uint32_t groups[SECURITY_GROUPS_MAX];
    unsigned group_count;
    const char *add[64], *drop[64]; /* capabilities; of the Pod object */
    unsigned add_count, drop_count;
    char seccomp[4096 + 16]; /* "seccomp=…" */
    bool no_new_privileges, read_only, privileged, unmasked;
};

/* `field` is the container's path. */
int security_of(const struct plan *plan, const json_t *container, const struct image_config *image,
                const char *field, struct security_plan *out, struct husk_error *err);

#endif
