// SPDX-License-Identifier: Apache-2.0
/* Waiting for at most so long: see deadline.h. */
#include "pod/lib/deadline.h"

#include "base/checked.h"
#include "base/io.h"

#define MS_NS  UINT64_C(1000000)
#define DAY_MS UINT64_C(86400000)

struct deadline deadline_in(int64_t timeout_ms)
{
    struct deadline deadline = {.at_ns = UINT64_MAX};
    uint64_t ns;

    if (timeout_ms >= 0 && checked_mul((uint64_t)timeout_ms, MS_NS, &ns) &&
        !checked_add(monotonic_ns(), ns, &deadline.at_ns))
        deadline.at_ns = UINT64_MAX;
    return deadline;
}

bool deadline_passed(const struct deadline *deadline)
{
    return deadline->at_ns != UINT64_MAX && monotonic_ns() >= deadline->at_ns;
}

int deadline_poll_ms(const struct deadline *deadline)
{
    uint64_t now = monotonic_ns();

    if (deadline->at_ns == UINT64_MAX)
        return -1;
    if (now >= deadline->at_ns)
        return 0;
    return (int)min_u64((deadline->at_ns - now) / MS_NS + 1, DAY_MS);
}
