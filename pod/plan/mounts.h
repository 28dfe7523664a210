// SPDX-License-Identifier: Apache-2.0
/* A container's volumeMounts, and what is mounted in every container of a pod. */
#ifndef HUSK_POD_PLAN_MOUNTS_H
#define HUSK_POD_PLAN_MOUNTS_H

#include "pod/plan/part.h"

struct mounts_plan {
    struct spec_mount list[SPEC_VOLUMES_MAX];
    char *sources[SPEC_VOLUMES_MAX]; /* ours, of the list */
    unsigned count;
};

/*
 * `variables` are the container's, for subPathExpr. Appends to out->before what makes the
 * directories of sub-paths, and empties the container's termination message. *mounts is for
 * mounts_clear(), also after a failure.
 */
int mounts_of(struct plan *plan, const json_t *container, const json_t *variables, bool read_only,
              struct plan_container *out, struct mounts_plan *mounts, struct husk_error *err);
void mounts_clear(struct mounts_plan *mounts);

#endif
