// SPDX-License-Identifier: Apache-2.0
/* A container's requests and limits, and what of them the guest's kernel is told. */
#ifndef HUSK_POD_PLAN_RESOURCES_H
#define HUSK_POD_PLAN_RESOURCES_H

#include "pod/plan/part.h"

#define RESOURCES_MEMORY_MIN (UINT64_C(6) << 20) /* below, no program starts */

/* Thousandths of a processor, and bytes; 0: not said. */
struct resources {
    uint64_t cpu_request, cpu_limit;
    uint64_t memory_request, memory_limit;
    uint64_t storage_request, storage_limit; /* ephemeral-storage */
};

/* `where` is the container's path. */
int resources_read(const json_t *container, const char *where, struct resources *out,
                   struct husk_error *err);

/* "Guaranteed", "Burstable" or "BestEffort", of all containers of the Pod object's spec. */
int resources_qos(const json_t *spec, const char **out, struct husk_error *err);

/* process.oomScoreAdj, in a machine of this many bytes. */
int resources_oom_score(const char *qos, const struct resources *resources, uint64_t memory_bytes);

/*
 * "linux.resources", but for devices. With `update`, as "update" takes it: what is not limited is
 * said to be so, and what cannot be changed is left out. NULL without memory.
 */
json_t *resources_json(const struct resources *resources, bool update);

#endif
