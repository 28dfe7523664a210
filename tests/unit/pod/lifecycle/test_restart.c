// SPDX-License-Identifier: Apache-2.0
/* Who is restarted, and how long that waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "pod/lifecycle/backoff.h"
#include "pod/lifecycle/restart.h"

#define SECOND_NS UINT64_C(1000000000)

static void policies_have_names(void **state)
{
    assert_int_equal(restart_policy_of(NULL), RESTART_ALWAYS);
    assert_int_equal(restart_policy_of("Always"), RESTART_ALWAYS);
    assert_int_equal(restart_policy_of("OnFailure"), RESTART_ON_FAILURE);
    assert_int_equal(restart_policy_of("Never"), RESTART_NEVER);
}

static void each_policy_has_its_verdicts(void **state)
{
    static const struct {
        enum restart_policy policy;
        enum restart_kind kind;
        int exit_code;
        bool probed;
        enum restart_verdict verdict;
    } rows[] = {
        {RESTART_ALWAYS, RESTART_MAIN, 0, false, RESTART_AGAIN},
        {RESTART_ALWAYS, RESTART_MAIN, 1, false, RESTART_AGAIN},
        {RESTART_ON_FAILURE, RESTART_MAIN, 0, false, RESTART_DONE},
        {RESTART_ON_FAILURE, RESTART_MAIN, 0, true, RESTART_AGAIN},
        {RESTART_ON_FAILURE, RESTART_MAIN, 137, false, RESTART_AGAIN},
        {RESTART_NEVER, RESTART_MAIN, 0, false, RESTART_DONE},
        {RESTART_NEVER, RESTART_MAIN, 3, true, RESTART_DONE},
        {RESTART_ALWAYS, RESTART_INIT, 0, false, RESTART_DONE},
        {RESTART_ALWAYS, RESTART_INIT, 1, false, RESTART_AGAIN},
        {RESTART_ON_FAILURE, RESTART_INIT, 1, false, RESTART_AGAIN},
        {RESTART_NEVER, RESTART_INIT, 0, false, RESTART_DONE},
        {RESTART_NEVER, RESTART_INIT, 1, false, RESTART_FATAL},
        {RESTART_NEVER, RESTART_SIDECAR, 0, false, RESTART_AGAIN},
        {RESTART_NEVER, RESTART_SIDECAR, 1, true, RESTART_AGAIN},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(
            restart_decide(rows[i].policy, rows[i].kind, rows[i].exit_code, rows[i].probed),
            rows[i].verdict);
}

static void the_wait_doubles_up_to_five_minutes(void **state)
{
    static const unsigned seconds[] = {0, 10, 20, 40, 80, 160, 300, 300};
    struct backoff backoff = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++)
        assert_int_equal(backoff_failed(&backoff, SECOND_NS), seconds[i] * SECOND_NS);
}

static void ten_good_minutes_begin_anew(void **state)
{
    struct backoff backoff = {0};

    for (unsigned i = 0; i < 5; i++)
        backoff_failed(&backoff, 0);
    assert_int_equal(backoff_failed(&backoff, BACKOFF_RESET_NS - 1), 160 * SECOND_NS);
    assert_int_equal(backoff_failed(&backoff, BACKOFF_RESET_NS), 0);
    assert_int_equal(backoff_failed(&backoff, 0), BACKOFF_FIRST_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_have_names),
        cmocka_unit_test(each_policy_has_its_verdicts),
        cmocka_unit_test(the_wait_doubles_up_to_five_minutes),
        cmocka_unit_test(ten_good_minutes_begin_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
