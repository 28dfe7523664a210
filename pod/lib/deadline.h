// SPDX-License-Identifier: Apache-2.0
/* Waiting for at most so long. Pure functions of the monotonic clock. */
#ifndef HUSK_POD_LIB_DEADLINE_H
#define HUSK_POD_LIB_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    uint64_t at_ns; /* UINT64_MAX: never */
};

/* timeout_ms negative: never. */
struct deadline deadline_in(int64_t timeout_ms);
bool deadline_passed(const struct deadline *deadline);
/* For poll(): at least 0, at most a day, -1 for never. */
int deadline_poll_ms(const struct deadline *deadline);

#endif
