// SPDX-License-Identifier: Apache-2.0
/* What is said of a pod whose supervisor is gone without having said how it ended. */
#ifndef HUSK_POD_PODS_LOST_H
#define HUSK_POD_PODS_LOST_H

#include "pod/pods/record.h"

/* Its status becomes that of a pod that failed: phase, reason, conditions, containers that ran.
 * -ENOMEM. */
int lost_mark(struct pod_state *state);

/* A time of Kubernetes' objects, "2026-11-29T02:00:00Z", of nanoseconds since 1970. */
#define LOST_TIME_BYTES 32u
void lost_format_time(uint64_t ns, char out[LOST_TIME_BYTES]);

#endif
