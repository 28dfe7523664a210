// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/backoff.h"

#include "base/checked.h"

uint64_t backoff_failed(struct backoff *backoff, uint64_t ran_ns)
{
    uint64_t delay_ns = ran_ns >= BACKOFF_RESET_NS ? 0 : backoff->next_ns;

    backoff->next_ns = delay_ns ? min_u64(delay_ns * 2, BACKOFF_MOST_NS) : BACKOFF_FIRST_NS;
    return delay_ns;
}
