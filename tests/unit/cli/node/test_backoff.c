// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/node/backoff.h"

static const struct backoff_policy policy = {10, 60, 1000};

static void doubles_up_to_the_most(void **state)
{
    static const uint64_t waits[] = {10, 20, 40, 60, 60};
    struct backoff backoff;
    struct backoff_pod *pod;
    uint64_t now = 100;

    backoff_init(&backoff, &policy);
    pod = backoff_of(&backoff, "web", "1");
    assert_true(backoff_may_try(pod, now));
    for (unsigned i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        backoff_note(&backoff, pod, now);
        assert_false(backoff_may_try(pod, now + waits[i] - 1));
        now += waits[i];
        assert_true(backoff_may_try(pod, now));
    }
    /* Long after the last try it is as if nothing had been. */
    now += 1000;
    backoff_note(&backoff, pod, now);
    assert_true(backoff_may_try(pod, now + 10));
    assert_int_equal(pod->failures, 1);
    backoff_clear(pod);
    assert_true(backoff_may_try(pod, now));
    backoff_free(&backoff);
}

static void forgets_what_is_gone(void **state)
{
    struct backoff backoff;

    backoff_init(&backoff, &policy);
    backoff_note(&backoff, backoff_of(&backoff, "a", "1"), 5);
    backoff_note(&backoff, backoff_of(&backoff, "b", "1"), 7);
    assert_int_equal(backoff_next_ns(&backoff, 5), 15);
    backoff_sweep(&backoff);
    backoff_of(&backoff, "b", "1");
    backoff_sweep(&backoff);
    assert_int_equal(backoff.count, 1);
    assert_int_equal(backoff_next_ns(&backoff, 5), 17);
    assert_int_equal(backoff_next_ns(&backoff, 17), 0);
    backoff_sweep(&backoff);
    assert_int_equal(backoff.count, 0);
    backoff_free(&backoff);
}

static void asks_once(void **state)
{
    struct backoff backoff;
    struct backoff_pod *pod;

    backoff_init(&backoff, &policy);
    pod = backoff_of(&backoff, "a", "1");
    assert_false(backoff_was_asked(pod, "u1"));
    assert_true(backoff_ask(pod, "u1"));
    assert_true(backoff_was_asked(pod, "u1"));
    assert_false(backoff_was_asked(pod, "u2"));
    backoff_free(&backoff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_up_to_the_most),
        cmocka_unit_test(forgets_what_is_gone),
        cmocka_unit_test(asks_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
