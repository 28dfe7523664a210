// SPDX-License-Identifier: Apache-2.0
/* The limits of another process, raised from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "vmm/process/internal.h"

static struct vm_process process;

/* A process that may have 16 descriptors, and be given 32. */
static int setup(void **state)
{
    const struct rlimit few = {.rlim_cur = 16, .rlim_max = 32};

    process = (struct vm_process){.pid = fork()};
    if (process.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    assert_true(process.pid > 0);
    pthread_mutex_init(&process.end_lock, NULL);
    return prlimit(process.pid, RLIMIT_NOFILE, &few, NULL);
}

static int teardown(void **state)
{
    kill(process.pid, SIGKILL);
    waitpid(process.pid, NULL, 0);
    return pthread_mutex_destroy(&process.end_lock);
}

static struct rlimit now(void)
{
    struct rlimit limit;

    assert_int_equal(prlimit(process.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    return limit;
}

static void test_raise(void **state)
{
    assert_int_equal(process_raise(&process, RLIMIT_NOFILE, 24, NULL), 0);
    assert_int_equal(now().rlim_cur, 24);
    assert_int_equal(now().rlim_max, 32);
    assert_int_equal(process_raise(&process, RLIMIT_NOFILE, 8, NULL), 0); /* never lowered */
    assert_int_equal(now().rlim_cur, 24);
}

/* Who may not raise the hard limit raises the soft one as far as that. */
static void test_beyond(void **state)
{
    bool may;

    assert_int_equal(process_raise(&process, RLIMIT_NOFILE, 64, NULL), 0);
    may = now().rlim_max == 64;
    assert_int_equal(now().rlim_cur, may ? 64 : 32);
    assert_true(may || !jail_has_capability(CAP_SYS_RESOURCE));
}

static void test_ended(void **state)
{
    struct husk_error err = {0};

    process.ended = true;
    assert_int_equal(process_raise(&process, RLIMIT_NOFILE, 24, &err), -ESRCH);
    assert_string_equal(err.where, "husk-vmm");
    assert_int_equal(now().rlim_cur, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_raise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beyond, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ended, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
