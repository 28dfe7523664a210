// SPDX-License-Identifier: Apache-2.0
/*
 * A jailed VM in callers that are not as one expects: without standard descriptors, with all
 * signals ignored or blocked, with hardly a descriptor left, in the middle of forks. Each case is a
 * process of its own, which tells by its exit status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

static const uint8_t exit_7[] = {GUEST_OUT(0xf4, 7), GUEST_HALT};

/* A step of a case failed: say which, on what was standard error. */
static int told_fd = -1;

static void require(int holds, const char *what, const struct husk_error *err)
{
    char text[600];

    if (holds)
        return;
    dprintf(told_fd, "%s: %s\n", what, err ? error_format(err, text, sizeof(text)) : "failed");
    _exit(EXIT_FAILURE);
}

static unsigned fd_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static struct husk_vm *new_vm(int kernel_fd)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_error err = {0};
    struct husk_vm *vm = NULL;

    options.kernel_fd = kernel_fd;
    options.memory_bytes = 16 << 20;
    require(husk_vm_new(&options, &vm, &err) == 0, "new", &err);
    return vm;
}

static void run_to_the_end(struct husk_vm *vm)
{
    struct husk_event event = {0};
    struct husk_error err = {0};

    require(husk_vm_start(vm, &err) == 0, "start", &err);
    while (event.type != HUSK_EVENT_STOPPED)
        require(husk_vm_wait_event(vm, 30000, &event) == 1, "wait", NULL);
    require(event.reason == HUSK_STOP_GUEST_EXIT && event.guest_status == 7, "end", &event.error);
}

static void build_and_run(int kernel_fd)
{
    struct husk_vm *vm = new_vm(kernel_fd);
    struct husk_error err = {0};

    require(husk_vm_build(vm, &err) == 0, "build", &err);
    run_to_the_end(vm);
    husk_vm_free(vm);
}

static void run_case(void (*run)(int kernel_fd))
{
    int kernel_fd = tiny_guest_fd(exit_7, sizeof(exit_7));
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        told_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
        kernel_fd = fcntl(kernel_fd, F_DUPFD_CLOEXEC, 10);
        run(kernel_fd);
        _exit(EXIT_SUCCESS);
    }
    assert_true(pid > 0);
    close(kernel_fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* What the library opens gets these numbers, and its process must not mistake them for its own. */
static void without_standard_descriptors(int kernel_fd)
{
    unsigned fds;

    for (int fd = 0; fd < 10; fd++)
        close(fd);
    fds = fd_count();
    build_and_run(kernel_fd);
    require(fd_count() == fds, "descriptors", NULL);
    for (unsigned mask = 0; mask < 8; mask++) {
        for (int fd = 0; fd < 3; fd++) {
            close(fd);
            if (mask & 1u << fd)
                require(dup2(kernel_fd, fd) == fd, "dup2", NULL);
        }
        build_and_run(kernel_fd);
    }
}

static void with_signals_ignored(int kernel_fd)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        signal(number, SIG_IGN);
    build_and_run(kernel_fd);
}

static void with_signals_blocked(int kernel_fd)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    build_and_run(kernel_fd);
}

/* Every limit from "nothing can be opened" up to success: an error that says why, and no leak. */
static void with_few_descriptors(int kernel_fd)
{
    struct rlimit before, now;
    unsigned fds = fd_count();
    int ret = -1;

    getrlimit(RLIMIT_NOFILE, &before);
    for (rlim_t most = 5; ret && most < 64; most++) {
        struct husk_vm *vm = new_vm(kernel_fd);
        struct husk_error err = {0};

        now = (struct rlimit){most, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &now);
        ret = husk_vm_build(vm, &err);
        setrlimit(RLIMIT_NOFILE, &before);
        require(ret == 0 || ((ret == -EMFILE || ret == -EINVAL) && err.code == -ret), "code", &err);
        if (!ret)
            run_to_the_end(vm);
        husk_vm_free(vm);
        require(fd_count() == fds, "descriptors", NULL);
    }
    require(ret == 0, "build at last", NULL);
}

/* A child that lives on has copies of what was open. */
static void with_a_forked_child(int kernel_fd)
{
    struct husk_vm *vm = new_vm(kernel_fd);
    struct husk_error err = {0};
    pid_t pid;

    require(husk_vm_build(vm, &err) == 0, "build", &err);
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    run_to_the_end(vm);
    husk_vm_free(vm);
    build_and_run(kernel_fd);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_callers(void **state)
{
    run_case(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"without standard descriptors", test_callers, NULL, NULL, without_standard_descriptors},
        {"with signals ignored", test_callers, NULL, NULL, with_signals_ignored},
        {"with signals blocked", test_callers, NULL, NULL, with_signals_blocked},
        {"with few descriptors", test_callers, NULL, NULL, with_few_descriptors},
        {"with a forked child", test_callers, NULL, NULL, with_a_forked_child},
    };

    if (!tiny_guest_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
