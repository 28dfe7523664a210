// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "base/io.h"

struct fixture {
    struct event_loop *loop;
    struct event_source *a, *b;
    struct event_timer *timer;
    int fd_a, fd_b;
    int calls_a, calls_b, fired;
    pthread_t ran_on;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    f.fd_a = eventfd_open();
    f.fd_b = eventfd_open();
    *state = &f;
    return event_loop_create(&f.loop);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    event_loop_destroy(f->loop);
    close_fd(&f->fd_a);
    close_fd(&f->fd_b);
    return 0;
}

static void on_a(void *arg, uint32_t events)
{
    struct fixture *f = arg;

    f->calls_a++;
    eventfd_drain(f->fd_a);
}

static void on_either_remove_both(void *arg, uint32_t events)
{
    struct fixture *f = arg;

    f->calls_a++;
    event_source_remove(f->a);
    event_source_remove(f->b);
}

static void test_level_and_mask(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(event_loop_add(f->loop, f->fd_a, 0, on_a, f, &f->a), 0);
    eventfd_signal(f->fd_a);
    assert_int_equal(event_loop_run_once(f->loop, 0), 0);
    assert_int_equal(event_source_watch(f->a, EPOLLIN), 0);
    assert_int_equal(event_loop_run_once(f->loop, 0), 1);
    assert_int_equal(event_loop_run_once(f->loop, 0), 0);
    assert_int_equal(f->calls_a, 1);
    assert_int_equal(event_source_watch(f->a, 0), 0);
    eventfd_signal(f->fd_a);
    assert_int_equal(event_loop_run_once(f->loop, 0), 0);
}

static void test_removed_source_is_not_called_in_the_same_batch(void **state)
{
    struct fixture *f = *state;

    event_loop_add(f->loop, f->fd_a, EPOLLIN, on_either_remove_both, f, &f->a);
    event_loop_add(f->loop, f->fd_b, EPOLLIN, on_either_remove_both, f, &f->b);
    eventfd_signal(f->fd_a);
    eventfd_signal(f->fd_b);
    event_loop_run_once(f->loop, 0);
    event_loop_run_once(f->loop, 0);
    assert_int_equal(f->calls_a, 1);
}

static void test_regular_file_cannot_be_polled(void **state)
{
    struct fixture *f = *state;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(event_loop_add(f->loop, fd, EPOLLIN, on_a, f, NULL), -EPERM);
    assert_int_equal(event_loop_add(f->loop, fd, 0, on_a, f, NULL), -EPERM);
    close(fd);
}

static void on_timer(void *arg)
{
    struct fixture *f = arg;

    f->fired++;
}

static void test_timer(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(event_loop_add_timer(f->loop, on_timer, f, &f->timer), 0);
    assert_int_equal(event_loop_run_once(f->loop, 0), 0);
    event_timer_arm(f->timer, 0);
    assert_int_equal(event_loop_run_once(f->loop, 5000), 1);
    assert_int_equal(f->fired, 1);
    event_timer_arm(f->timer, 3600ull * 1000000000ull);
    event_timer_disarm(f->timer);
    assert_int_equal(event_loop_run_once(f->loop, 0), 0);
    event_timer_arm(f->timer, 1);
    event_timer_remove(f->timer);
    assert_int_equal(event_loop_run_once(f->loop, 10), 0);
    assert_int_equal(f->fired, 1);
}

static void *run_loop(void *arg)
{
    struct fixture *f = arg;

    return (void *)(intptr_t)event_loop_run(f->loop);
}

static void remember_thread(void *arg)
{
    struct fixture *f = arg;

    f->ran_on = pthread_self();
    f->fired++;
}

static void test_call_from_another_thread_runs_on_the_loop(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    void *result;

    event_loop_call(f->loop, remember_thread, f);
    assert_true(pthread_equal(f->ran_on, pthread_self()));

    assert_int_equal(pthread_create(&thread, NULL, run_loop, f), 0);
    for (int i = 0; i < 1000; i++)
        event_loop_call(f->loop, remember_thread, f);
    event_loop_stop(f->loop);
    pthread_join(thread, &result);
    assert_null(result);
    assert_int_equal(f->fired, 1001);
    /* The loop is not running any more: the caller runs the function itself. */
    event_loop_call(f->loop, remember_thread, f);
    assert_true(pthread_equal(f->ran_on, pthread_self()));
}

static void *call_loop(void *arg)
{
    struct fixture *f = arg;

    event_loop_call(f->loop, remember_thread, f);
    return NULL;
}

static void test_call_waits_for_a_loop_that_is_about_to_run(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    event_loop_expect_run(f->loop, true);
    f->ran_on = 0;
    assert_int_equal(pthread_create(&thread, NULL, call_loop, f), 0);
    /* The wake-up of the call, which is served although nobody is in event_loop_run() yet. */
    assert_int_equal(event_loop_run_once(f->loop, 5000), 0);
    pthread_join(thread, NULL);
    assert_true(pthread_equal(f->ran_on, pthread_self()));

    event_loop_expect_run(f->loop, false);
    f->ran_on = 0;
    event_loop_call(f->loop, remember_thread, f);
    assert_true(pthread_equal(f->ran_on, pthread_self()));
}

static void test_destroy_releases_what_is_left(void **state)
{
    struct fixture *f = *state;
    struct event_timer *second;

    event_loop_add(f->loop, f->fd_a, EPOLLIN, on_a, f, &f->a);
    event_loop_add_timer(f->loop, on_timer, f, &f->timer);
    event_loop_add_timer(f->loop, on_timer, f, &second);
    event_timer_remove(second);
    /* teardown destroys; the address sanitizer build tells whether anything leaks */
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_level_and_mask),
        TEST(test_removed_source_is_not_called_in_the_same_batch),
        TEST(test_regular_file_cannot_be_polled),
        TEST(test_timer),
        TEST(test_call_from_another_thread_runs_on_the_loop),
        TEST(test_call_waits_for_a_loop_that_is_about_to_run),
        TEST(test_destroy_releases_what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
