// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
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

struct timed {
    struct thread_cpu_time time;
    sem_t has_begun, may_end;
};

static void *take_time(void *arg)
{
    struct timed *timed = arg;

    thread_cpu_time_begin(&timed->time);
    sem_post(&timed->has_begun);
    sem_wait(&timed->may_end);
    thread_cpu_time_end(&timed->time);
    return NULL;
}

/* Before, during and after; it never falls, and a second thread begins anew. */
static void test_cpu_time(void **state)
{
    struct timed timed = {0};
    uint64_t during_ns, after_ns;
    pthread_t thread;

    sem_init(&timed.has_begun, 0, 0);
    sem_init(&timed.may_end, 0, 0);
    assert_int_equal(thread_cpu_time_ns(&timed.time), 0);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(thread_start(&thread, "timed", 0, take_time, &timed), 0);
        sem_wait(&timed.has_begun);
        during_ns = thread_cpu_time_ns(&timed.time);
        assert_true(during_ns > 0);
        sem_post(&timed.may_end);
        pthread_join(thread, NULL);
        after_ns = thread_cpu_time_ns(&timed.time);
        assert_true(after_ns >= during_ns);
        assert_true(thread_cpu_time_ns(&timed.time) == after_ns);
    }
    sem_destroy(&timed.has_begun);
    sem_destroy(&timed.may_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_bad_stack),
        cmocka_unit_test(test_prologue),
        cmocka_unit_test(test_cpu_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
