// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pod/lib/deadline.h"

static void test_never(void **state)
{
    struct deadline deadline = deadline_in(-1);

    assert_false(deadline_passed(&deadline));
    assert_int_equal(deadline_poll_ms(&deadline), -1);
}

static void test_now(void **state)
{
    struct deadline deadline = deadline_in(0);

    assert_true(deadline_passed(&deadline));
    assert_int_equal(deadline_poll_ms(&deadline), 0);
}

static void test_later(void **state)
{
    struct deadline deadline = deadline_in(3600000);

    assert_false(deadline_passed(&deadline));
    assert_in_range(deadline_poll_ms(&deadline), 1, 3600001);
}

/* Longer than the clock counts, and than poll() takes. */
static void test_far(void **state)
{
    struct deadline far = deadline_in(INT64_MAX), year = deadline_in(INT64_C(365) * 86400000);

    assert_false(deadline_passed(&far));
    assert_true(deadline_poll_ms(&far) == -1 || deadline_poll_ms(&far) == 86400000);
    assert_int_equal(deadline_poll_ms(&year), 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_now),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
