// SPDX-License-Identifier: Apache-2.0
/* A machine holds what its containers may have, the kernel, the agent and the notes on pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pod/machine/options.h"

static void leaves_what_it_is_made_for(void **state)
{
    const uint64_t mib = UINT64_C(1) << 20;

    for (uint64_t limit = 6 * mib; limit < POD_MACHINE_MEMORY_MAX; limit = limit * 3 / 2) {
        uint64_t memory = pod_machine_memory_for(limit);

        assert_int_equal(memory % mib, 0);
        assert_true(memory >= limit + limit / 64 + 64 * mib);
        assert_true(pod_machine_memory_left(memory) >= limit);
        assert_true(pod_machine_memory_left(memory) < limit + 2 * mib);
    }
    assert_true(pod_machine_memory_for(UINT64_MAX) == UINT64_MAX);
    assert_int_equal(pod_machine_memory_left(mib), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(leaves_what_it_is_made_for)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
