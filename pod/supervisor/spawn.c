// SPDX-License-Identifier: Apache-2.0
/*
 * From the command to the supervisor: see spawn.h.
 *
 * Two forks, so that the supervisor is nobody's child and no leader of a session's first process
 * group could give it a terminal again. Between fork and execve only calls are made that are safe
 * in a process with threads. What fails there is reported through a pipe that execve closes.
 */
#include "pod/supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/supervisor/store_internal.h"

#define ERRORS_FILE "errors"
#define FDS_BASE    16 /* above every place that is dealt out */

struct launch {
    const char *program;
    char *argv[4];
    int null, errors, report;
    int fds[4]; /* for SPAWN_FD_DIR and those after it */
};

/* Everything at its place: first out of the way, then to where it belongs. */
static int place_fds(struct launch *launch)
{
    int *all[] = {&launch->null,   &launch->errors, &launch->report, &launch->fds[0],
                  &launch->fds[1], &launch->fds[2], &launch->fds[3]};

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = fcntl(*all[i], F_DUPFD_CLOEXEC, FDS_BASE);
        if (*all[i] < 0)
            return -errno;
    }
    if (dup2(launch->null, 0) < 0 || dup2(launch->null, 1) < 0 || dup2(launch->errors, 2) < 0)
        return -errno;
    for (unsigned i = 0; i < 4; i++) {
        if (dup2(launch->fds[i], SPAWN_FD_DIR + (int)i) < 0)
            return -errno;
    }
    /* What else a careless program has open belongs to it, not to the container. */
    for (int fd = SPAWN_FD_FIRST + 1; fd < FDS_BASE; fd++)
        close(fd);
    return close_range(FDS_BASE, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &by_default, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the grandchild. Returns when it failed. */
static int become(struct launch *launch)
{
    int ret = place_fds(launch);

    if (ret)
        return ret;
    reset_signals();
    if (chdir("/") < 0)
        return -errno;
    execv(launch->program, launch->argv);
    return -errno;
}

static _Noreturn void child(struct launch *launch)
{
    pid_t pid = setsid() < 0 ? -1 : fork();
    int ret = 0;

    if (pid < 0)
        ret = -errno;
    else if (pid == 0)
        ret = become(launch);
    if (ret)
        (void)!write(launch->report, &ret, sizeof(ret));
    _exit(ret ? 1 : 0);
}

/* Waits for the execve, or for what went wrong before. */
static int launch_program(struct launch *launch)
{
    int report[2], ret = 0, status;
    ssize_t len;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    launch->report = report[1];
    pid = fork();
    if (pid == 0)
        child(launch);
    if (pid < 0)
        ret = -errno;
    close_fd(&report[1]);
    if (pid > 0) {
        do
            len = read(report[0], &ret, sizeof(ret));
        while (len < 0 && errno == EINTR);
        if (len != (ssize_t)sizeof(ret))
            ret = len < 0 ? -errno : 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close_fd(&report[0]);
    return ret;
}

static int open_files(struct container *container, struct launch *launch)
{
    launch->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    launch->errors = openat(container->dir, ERRORS_FILE,
                            O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    return launch->null < 0 || launch->errors < 0 ? -errno : 0;
}

int container_spawn(struct container *container, const char *program, struct husk_error *err)
{
    char self[] = "husk-pod", verb[] = "supervise";
    struct launch launch = {
        .program = program ? program : "/proc/self/exe", .null = -1, .errors = -1};
    int pair[2] = {-1, -1};
    int ret = open_files(container, &launch);

    if (ret == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        ret = -errno;
    if (ret == 0) {
        char *const argv[] = {self, verb, container->name, NULL};
        const int fds[] = {container->dir, container->lock, container->listener, pair[1]};

        memcpy(launch.argv, argv, sizeof(argv));
        memcpy(launch.fds, fds, sizeof(fds));
        ret = launch_program(&launch);
    }
    close_fd(&launch.null);
    close_fd(&launch.errors);
    close_fd(&pair[1]);
    close_fd(&container->listener);
    close_fd(&container->lock);
    container->owner = false;
    /* A view of the lock, like everybody else's. */
    container->lock = openat(container->dir, CONTAINER_LOCK_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (ret) {
        close_fd(&pair[0]);
        return error_set(err, -ret, launch.program, "cannot be started as a supervisor", NULL);
    }
    return pair[0];
}

int container_inherit(const char *name, struct container **out, struct husk_error *err)
{
    char link[32];
    struct container *container;
    ssize_t len;

    for (int fd = SPAWN_FD_DIR; fd <= SPAWN_FD_FIRST; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return error_set(err, EINVAL, "supervise", "is not for people",
                             "`husk run` starts it, with descriptors 3 to 6");
    }
    container = calloc(1, sizeof(*container));
    if (!container)
        return error_set(err, ENOMEM, name, "cannot be supervised", NULL);
    snprintf(container->name, sizeof(container->name), "%s", name);
    container->dir = SPAWN_FD_DIR;
    container->lock = SPAWN_FD_LOCK;
    container->listener = SPAWN_FD_LISTENER;
    container->owner = true;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", SPAWN_FD_DIR);
    len = readlink(link, container->path, sizeof(container->path) - 1);
    container->path[len > 0 ? len : 0] = '\0';
    /* Nothing but the same open file can take it once more. */
    if (len <= 0 || container_lock_life(container->lock)) {
        container_close(container);
        return error_set(err, EINVAL, name, "cannot be supervised",
                         "its lock is held by somebody else");
    }
    *out = container;
    return 0;
}
