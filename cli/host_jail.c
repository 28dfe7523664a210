// SPDX-License-Identifier: Apache-2.0
/*
 * Whether VMs can be jailed here: a child process goes to jail as husk-vmm does, tells through a
 * pipe what could not be put up, and ends.
 */
#include "cli/host_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/jail.h"
#include "jail/seccomp.h"

#define REPORT_FD 3 /* of the child; everything above is closed */
#define ID_NOBODY 65534u
#define FILES     64u

static void say(int fd, const char *text)
{
    write_full(fd, text, strlen(text));
}

/* In the child. What it says is one line: "" for a whole jail. */
static void go_to_jail(int report_fd, unsigned namespaces, uid_t uid, gid_t gid)
{
    struct jail_plan plan = {.namespaces = namespaces,
                             .uid = ID_NOBODY,
                             .gid = ID_NOBODY,
                             .vsock_dir_fd = -1,
                             .first_free_fd = REPORT_FD + 1,
                             .nofile = FILES};
    struct jail_report report;
    struct husk_error error;
    char line[400] = "";
    size_t used = 0;
    int ret = 0;

    if ((namespaces & CLONE_NEWUSER) && jail_map_ids(uid, gid))
        _exit(2);
    if (dup2(report_fd, REPORT_FD) < 0)
        _exit(2);
    if (jail_enter(&plan, &report, &error)) {
        say(REPORT_FD, error_format(&error, line, sizeof(line)));
        _exit(1);
    }
    for (unsigned i = 0; i < report.count && used < sizeof(line); i++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%sno %s (%s)", i ? ", " : "",
                                 report.gaps[i].wall, strerrordesc_np(report.gaps[i].error));
    ret = seccomp_built_in() ? seccomp_install(SECCOMP_CONTROL) : -ENOTSUP;
    if (ret && used < sizeof(line))
        snprintf(line + used, sizeof(line) - used, "%sno seccomp filters (%s)", used ? ", " : "",
                 strerrordesc_np(-ret));
    say(REPORT_FD, line);
    _exit(0);
}

/* A child in the namespaces of this attempt, which has reported and ended; or -errno. */
static int attempt(unsigned namespaces, int report_fd)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int status;
    /* As fork(), whose C library has no flags. */
    pid_t pid = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid < 0)
        return -errno;
    if (pid == 0)
        go_to_jail(report_fd, namespaces, uid, gid);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 2 ? -EPERM : WIFEXITED(status) ? 0 : -EIO;
}

int host_try_jail(char *gaps, size_t size)
{
    int ends[2];
    ssize_t n;
    int ret;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    for (unsigned i = 0;; i++) {
        unsigned namespaces = jail_clone_flags(i);

        ret = attempt(namespaces, ends[1]);
        if (ret == 0 || namespaces == 0)
            break;
    }
    close_fd(&ends[1]);
    n = ret ? 0 : read(ends[0], gaps, size - 1);
    gaps[n > 0 ? n : 0] = '\0';
    close_fd(&ends[0]);
    return ret;
}
