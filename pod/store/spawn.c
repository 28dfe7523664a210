// SPDX-License-Identifier: Apache-2.0
/*
 * From the command to the supervisor: see spawn.h.
 *
 * Two forks, so that the supervisor is nobody's child and no leader of a session's first process
 * group could give it a terminal again. Between fork and execve only calls are made that are safe
 * in a process with threads. What fails there is reported through a pipe that execve closes.
 */
#include "pod/store/spawn.h"

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
#include "pod/store/store_internal.h"

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
    /* What else a careless program has open belongs to it, not to the entry. */
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

static int open_files(struct entry *entry, struct launch *launch)
{
    launch->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    launch->errors = openat(entry->dir, ERRORS_FILE,
                            O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    return launch->null < 0 || launch->errors < 0 ? -errno : 0;
}

int entry_spawn(struct entry *entry, const char *program, struct husk_error *err)
{
    char self[] = "husk-pod", *verb = strdup(entry->kind->verb);
    struct launch launch = {
        .program = program ? program : "/proc/self/exe", .null = -1, .errors = -1};
    int pair[2] = {-1, -1};
    int ret = verb ? open_files(entry, &launch) : -ENOMEM;

    if (ret == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        ret = -errno;
    if (ret == 0) {
        char *const argv[] = {self, verb, entry->name, NULL};
        const int fds[] = {entry->dir, entry->lock, entry->listener, pair[1]};

        memcpy(launch.argv, argv, sizeof(argv));
        memcpy(launch.fds, fds, sizeof(fds));
        ret = launch_program(&launch);
    }
    free(verb);
    close_fd(&launch.null);
    close_fd(&launch.errors);
    close_fd(&pair[1]);
    close_fd(&entry->listener);
    close_fd(&entry->lock);
    entry->owner = false;
    /* A view of the lock, like everybody else's. */
    entry->lock = openat(entry->dir, ENTRY_LOCK_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (ret) {
        close_fd(&pair[0]);
        return error_set(err, -ret, launch.program, "cannot be started as a supervisor", NULL);
    }
    return pair[0];
}

int entry_inherit(const struct entry_kind *kind, const char *name, struct entry **out,
                  struct husk_error *err)
{
    char link[32];
    struct entry *entry;
    ssize_t len;

    for (int fd = SPAWN_FD_DIR; fd <= SPAWN_FD_FIRST; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return error_set(err, EINVAL, kind->verb, "is not for people",
                             "%s starts it, with descriptors 3 to 6", kind->starter);
    }
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return error_set(err, ENOMEM, name, "cannot be supervised", NULL);
    entry->kind = kind;
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->dir = SPAWN_FD_DIR;
    entry->lock = SPAWN_FD_LOCK;
    entry->listener = SPAWN_FD_LISTENER;
    entry->owner = true;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", SPAWN_FD_DIR);
    len = readlink(link, entry->path, sizeof(entry->path) - 1);
    entry->path[len > 0 ? len : 0] = '\0';
    /* Nothing but the same open file can take it once more. */
    if (len <= 0 || entry_lock_life(entry->lock)) {
        entry_close(entry);
        return error_set(err, EINVAL, name, "cannot be supervised",
                         "its lock is held by somebody else");
    }
    *out = entry;
    return 0;
}
