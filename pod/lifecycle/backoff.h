// SPDX-License-Identifier: Apache-2.0
/*
 * How long to wait before the next try, as kubelets do: the first is at once, then 10 s, doubled
 * each time up to 5 min; what went well for 10 min begins anew. Pure; zeroed is a fresh one.
 */
#ifndef HUSK_POD_LIFECYCLE_BACKOFF_H
#define HUSK_POD_LIFECYCLE_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_NS (UINT64_C(10) * 1000000000)
#define BACKOFF_MOST_NS  (UINT64_C(300) * 1000000000)
#define BACKOFF_RESET_NS (UINT64_C(600) * 1000000000)

struct backoff {
    uint64_t next_ns; /* of the failure after this one; 0: at once */
};

/* After a failure of what went well for ran_ns: how long to wait. */
uint64_t backoff_failed(struct backoff *backoff, uint64_t ran_ns);

#endif
