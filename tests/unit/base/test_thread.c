// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include "base/thread.h"

struct seen {
    sigset_t mask;
};

static void *look(void *arg)
{
    struct seen *seen = arg;

    pthread_sigmask(SIG_BLOCK, NULL, &seen->mask);
    return seen;
}

/* The program's signals are not ours; its crash handler, however, must see our faults. */
static void test_signals(void **state)
{
    sigset_t before, after;
    struct seen seen;
    pthread_t thread;
    void *result;

    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(thread_start(&thread, "a name that is too long", 0, look, &seen), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, &seen);
    assert_true(sigismember(&seen.mask, SIGTERM));
    assert_true(sigismember(&seen.mask, SIGPIPE));
    assert_true(sigismember(&seen.mask, SIGRTMAX));
    assert_false(sigismember(&seen.mask, SIGSEGV));
    assert_false(sigismember(&seen.mask, SIGBUS));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int number = 1; number <= SIGRTMAX; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
}

static void test_bad_stack(void **state)
{
    struct seen seen;
    pthread_t thread;

    assert_int_equal(thread_start(&thread, "small", 1, look, &seen), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_bad_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
