// SPDX-License-Identifier: Apache-2.0
/*
 * The first process of a container: see reaper.h. It is a fork of the agent that cannot be looked
 * into (launch_child.c) and has the container's rights. All its signals are blocked and taken one
 * by one, so none is lost between two looks, and the kernel does not keep from it those that a
 * first process of a pid namespace has no handler for (pid_namespaces(7)).
 */
#include "guest/agent/reaper.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"

static const char cannot_start[] = "cannot be started below a first process";

/* What the reaper itself did wrong is not the program's. */
static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

static void reap(pid_t program)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == program)
            _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (pid < 0 && errno != EINTR) /* a filter forbids it, or the program is not there any more */
        _exit(1);
}

static void __attribute__((noreturn)) stand_in_front(pid_t program, const sigset_t *taken)
{
    (void)prctl(PR_SET_NAME, "init", 0, 0, 0);
    (void)syscall(SYS_close_range, 0u, ~0u, 0);
    (void)!chdir("/");
    for (;;) {
        int signal = sigwaitinfo(taken, NULL);

        if (signal == SIGCHLD)
            reap(program);
        else if (signal > 0)
            (void)kill(program, signal);
        else if (errno != EINTR)
            _exit(1);
    }
}

int reaper_begin(bool terminal, struct husk_error *err)
{
    sigset_t taken, before;
    pid_t pid;

    sigfillset(&taken);
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
        sigdelset(&taken, own[i]);
    if (sigprocmask(SIG_BLOCK, &taken, &before) < 0 || (pid = fork()) < 0)
        return error_set(err, errno, "init", cannot_start, NULL);
    if (pid > 0)
        stand_in_front(pid, &taken);
    /* Keys of the terminal are for the program alone; SIGTTOU, by which it would ask, is blocked.
     */
    if (setpgid(0, 0) < 0 || (terminal && tcsetpgrp(STDIN_FILENO, getpid()) < 0) ||
        sigprocmask(SIG_SETMASK, &before, NULL) < 0)
        return error_set(err, errno, "init", cannot_start, NULL);
    return 0;
}
