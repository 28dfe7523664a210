// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

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

static int prologue_result(void *arg)
{
    return *(const int *)arg;
}

static void *own_name(void *arg)
{
    return prctl(PR_GET_NAME, arg, 0, 0, 0) == 0 ? arg : NULL;
}

/* The prologue decides whether the thread runs; its starter hears of it. */
static void test_prologue(void **state)
{
    int answer = -EPERM;
    const struct thread_prologue prologue = {.run = prologue_result, .arg = &answer};
    char name[16] = "unchanged";
    pthread_t thread;
    void *result;

    assert_int_equal(thread_start_with(&thread, "refused", 0, &prologue, own_name, name), -EPERM);
    assert_string_equal(name, "unchanged");

    answer = 0;
    assert_int_equal(thread_start_with(&thread, "a name that is cut", 0, &prologue, own_name, name),
                     0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, name);
    assert_string_equal(name, "a name that is ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_bad_stack),
        cmocka_unit_test(test_prologue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
