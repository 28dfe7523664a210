// SPDX-License-Identifier: Apache-2.0
/*
 * Starting a program that goes to jail: see spawn.h.
 *
 * clone(2) with CLONE_VM and CLONE_VFORK: the child borrows the caller's memory until it executes
 * the program, so that nothing of a large caller is copied. Between the two it may only make system
 * calls.
 */
#include "jail/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/jail.h"

#define STACK_BYTES 65536u
#define FIRST_FREE  (SPAWN_SECOND_FD + 1)

/* What the borrowed memory carries over, and back. */
struct start {
    const char *path;
    const char *name;
    const char *id;
    int first_fd, second_fd, null_fd;
    unsigned namespaces;
    uid_t uid; /* effective ids of the caller */
    gid_t gid;
    volatile int error;       /* errno of the step that failed */
    volatile bool is_refused; /* ids: fewer namespaces may do */
};

/* Sets `to` (below FIRST_FREE) to what `from` (not below) is, without CLOEXEC. */
static int place(int from, int to)
{
    return dup2(from, to) < 0 ? -1 : 0;
}

static int arrange_descriptors(const struct start *start)
{
    int err_fd = start->null_fd;

#if defined(__SANITIZE_ADDRESS__)
    err_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FIRST_FREE); /* its reports must be seen */
    if (err_fd < 0)
        return -1;
#endif
    if (place(start->null_fd, STDIN_FILENO) || place(start->null_fd, STDOUT_FILENO) ||
        place(err_fd, STDERR_FILENO) || place(start->first_fd, SPAWN_FIRST_FD) ||
        place(start->second_fd, SPAWN_SECOND_FD))
        return -1;
    return close_range(FIRST_FREE, ~0u, 0);
}

/* In the child. */
__attribute__((no_sanitize("address"))) static int run_program(void *arg)
{
    struct start *start = arg;
    char *const argv[] = {(char *)start->name, (char *)start->id, NULL};
    char *const environment[] = {NULL};

    if (start->namespaces & CLONE_NEWUSER) {
        int ret = jail_map_ids(start->uid, start->gid);

        if (ret) {
            start->error = -ret;
            start->is_refused = true;
            _exit(127);
        }
    }
    /* A session of its own: the keys of the caller's terminal are not for it. Signals stay blocked,
     * so that none is lost, nor ignored as the caller may ignore it, before the program reads it.
     */
    if (setsid() >= 0 && chdir("/") == 0 && arrange_descriptors(start) == 0)
        execve(start->path, argv, environment);
    start->error = errno;
    _exit(127);
}

/* Duplicates out of the way of the places that the child fills. */
static int prepare(struct start *start, int first_fd, int second_fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0)
        return -errno;
    start->null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, FIRST_FREE);
    close_fd(&null_fd);
    start->first_fd = fcntl(first_fd, F_DUPFD_CLOEXEC, FIRST_FREE);
    start->second_fd = fcntl(second_fd, F_DUPFD_CLOEXEC, FIRST_FREE);
    return start->null_fd < 0 || start->first_fd < 0 || start->second_fd < 0 ? -errno : 0;
}

/* Blocks signals meanwhile: a handler must not run on the child's borrowed memory. */
static int clone_child(struct start *start, void *stack, struct child *out)
{
    sigset_t all, before;
    int ret = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    out->pid = clone(run_program, (char *)stack + STACK_BYTES,
                     (int)(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | start->namespaces | SIGCHLD),
                     start, &out->pidfd);
    if (out->pid < 0)
        ret = -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ret && start->error) {
        ret = -start->error;
        child_wait(out, -1, NULL, 0);
        child_release(out);
    }
    return ret;
}

/* In the most namespaces that the host permits. */
static int clone_jailed(struct start *start, void *stack, struct child *out)
{
    for (unsigned attempt = 0;; attempt++) {
        int ret;

        start->namespaces = jail_clone_flags(attempt);
        start->error = 0;
        start->is_refused = false;
        ret = clone_child(start, stack, out);
        /* The program's own faults are the same in every attempt. */
        if (ret == 0 || start->namespaces == 0 || (start->error && !start->is_refused))
            return ret;
    }
}

int child_spawn(const struct child_program *program, const char *id, int first_fd, int second_fd,
                struct child *out, struct husk_error *err)
{
    /* The program is executed from another directory. */
    char *path = realpath(program->path, NULL);
    struct start start = {.path = path,
                          .name = program->name,
                          .id = id,
                          .first_fd = -1,
                          .second_fd = -1,
                          .null_fd = -1,
                          .uid = geteuid(),
                          .gid = getegid()};
    void *stack = MAP_FAILED;
    int ret = path ? prepare(&start, first_fd, second_fd) : -errno;

    *out = (struct child){.pid = -1, .pidfd = -1};
    if (!ret) {
        stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        ret = stack == MAP_FAILED ? -errno : clone_jailed(&start, stack, out);
    }
    out->namespaces = start.namespaces;
    if (stack != MAP_FAILED)
        munmap(stack, STACK_BYTES);
    close_fd(&start.null_fd);
    close_fd(&start.first_fd);
    close_fd(&start.second_fd);
    free(path);
    return ret ? error_set(err, -ret, program->path, program->what, NULL) : 0;
}

static void describe_end(const siginfo_t *info, char *how, size_t how_size)
{
    if (info->si_code == 0)
        snprintf(how, how_size, "it ended");
    else if (info->si_code == CLD_EXITED)
        snprintf(how, how_size, "it ended with status %d", info->si_status);
    else if (info->si_status == SIGSYS)
        snprintf(how, how_size, "it made a system call that its filter forbids");
    else
        snprintf(how, how_size, "it was ended by signal %d (%s)", info->si_status,
                 sigdescr_np(info->si_status) ? sigdescr_np(info->si_status) : "unknown");
}

int child_wait(const struct child *child, int timeout_ms, char *how, size_t how_size)
{
    struct pollfd poll_fd = {.fd = child->pidfd, .events = POLLIN};
    uint64_t deadline_ns = monotonic_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000;
    siginfo_t info = {0};
    int ready;

    do {
        ready = poll(&poll_fd, 1, timeout_ms);
        if (ready == 0)
            return -ETIMEDOUT;
        if (timeout_ms > 0) {
            uint64_t now_ns = monotonic_ns();

            timeout_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / 1000000) + 1 : 0;
        }
    } while (ready < 0 && errno == EINTR);
    if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0)
        info.si_code = 0; /* taken by somebody else */
    if (how)
        describe_end(&info, how, how_size);
    return 0;
}

void child_release(struct child *child)
{
    close_fd(&child->pidfd);
}

void child_kill(const struct child *child)
{
    if (child->pidfd >= 0)
        pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
}
