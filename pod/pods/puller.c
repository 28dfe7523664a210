// SPDX-License-Identifier: Apache-2.0
/* The process that pulls: see puller.h. Between fork and execve only calls are made that are safe
 * in a process with threads. */
#include "pod/pods/puller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

/* $HUSK_OCI, or husk-oci beside this program, or as installed. */
static void find_program(char path[PATH_MAX])
{
    const char *given = secure_getenv("HUSK_OCI");
    char self[PATH_MAX - 16], *slash;
    ssize_t len;

    if (given) {
        snprintf(path, PATH_MAX, "%s", given);
        return;
    }
    len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash) {
        snprintf(path, PATH_MAX, "%.*s/husk-oci", (int)(slash - self), self);
        if (access(path, X_OK) == 0)
            return;
    }
    snprintf(path, PATH_MAX, "%s/husk-oci", HUSK_LIBEXEC_DIR);
}

static _Noreturn void become(const char *program, char *const words[], int null, int said,
                             pid_t parent)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;

    sigemptyset(&none);
    (void)sigaction(SIGPIPE, &by_default, NULL);
    (void)sigaction(SIGHUP, &by_default, NULL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(null, 0) >= 0 &&
        dup2(null, 1) >= 0 && dup2(said, 2) >= 0)
        execv(program, words);
    _exit(127);
}

int puller_start(const char *reference, const char *store, int *pid, int *pidfd, int *words,
                 struct husk_error *err)
{
    char path[PATH_MAX];
    char *const plain[] = {"image", "pull", "--quiet", "--", (char *)reference, NULL};
    char *const with_store[] = {"image",       "pull", "--quiet",         "--store",
                                (char *)store, "--",   (char *)reference, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), said[2] = {-1, -1}, ret = 0;
    pid_t parent = getpid();

    find_program(path);
    *pidfd = *words = -1;
    if (null < 0 || pipe2(said, O_CLOEXEC | O_NONBLOCK) < 0)
        ret = -errno;
    *pid = ret ? -1 : fork();
    if (*pid == 0)
        become(path, store[0] ? with_store : plain, null, said[1], parent);
    if (ret == 0 && *pid < 0)
        ret = -errno;
    if (*pid > 0) {
        *pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
        if (*pidfd < 0) {
            ret = -errno;
            puller_kill(*pid);
        }
    }
    close_fd(&null);
    close_fd(&said[1]);
    *words = said[0];
    if (ret == 0)
        return 0;
    close_fd(words);
    return error_set(err, -ret, path, "cannot be started", NULL);
}

int puller_reap(int pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return 125;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void puller_kill(int pid)
{
    (void)kill(pid, SIGKILL);
    (void)puller_reap(pid);
}
