// SPDX-License-Identifier: Apache-2.0
/* The process that pulls: see puller.h. Between fork and execve only calls are made that are safe
 * in a process with threads. */
#include "pod/pods/puller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/programs.h"

/* What the child has on its descriptors. */
struct streams {
    int null, said, auths; /* auths: -1, or what AUTHS_PATH is to be */
};

#define AUTHS_FD   3
#define AUTHS_PATH "/proc/self/fd/3"

static _Noreturn void become(const char *program, char *const words[],
                             const struct streams *streams, pid_t parent)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;

    sigemptyset(&none);
    (void)sigaction(SIGPIPE, &by_default, NULL);
    (void)sigaction(SIGHUP, &by_default, NULL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
        dup2(streams->null, 0) >= 0 && dup2(streams->null, 1) >= 0 && dup2(streams->said, 2) >= 0 &&
        (streams->auths < 0 || dup2(streams->auths, AUTHS_FD) == AUTHS_FD))
        execv(program, words);
    _exit(127);
}

/* In memory that has no name; above the descriptors of the child's, so that dup2(2) keeps none of
 * them from being closed. */
static int hold_auths(const char *auths, int *out)
{
    int fd = memfd_create("auth.json", MFD_CLOEXEC), ret;

    if (fd < 0)
        return -errno;
    ret = write_full(fd, auths, strlen(auths));
    *out = ret ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, AUTHS_FD + 1);
    if (ret == 0 && *out < 0)
        ret = -errno;
    close_fd(&fd);
    return ret;
}

static void make_words(char *words[10], const char *reference, const char *store, bool auths)
{
    unsigned count = 0;

    words[count++] = "image";
    words[count++] = "pull";
    words[count++] = "--quiet";
    if (store[0]) {
        words[count++] = "--store";
        words[count++] = (char *)store;
    }
    if (auths) {
        words[count++] = "--auth-file";
        words[count++] = AUTHS_PATH;
    }
    words[count++] = "--";
    words[count++] = (char *)reference;
    words[count] = NULL;
}

static int start(const char *path, char *const words[], const struct streams *streams, int *pid,
                 int *pidfd)
{
    pid_t parent = getpid();
    int ret;

    *pid = fork();
    if (*pid == 0)
        become(path, words, streams, parent);
    if (*pid < 0)
        return -errno;
    *pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
    if (*pidfd >= 0)
        return 0;
    ret = -errno;
    puller_kill(*pid);
    return ret;
}

int puller_start(const char *reference, const char *store, const char *auths, int *pid, int *pidfd,
                 int *words, struct husk_error *err)
{
    struct streams streams = {.null = -1, .said = -1, .auths = -1};
    int said[2] = {-1, -1}, ret = 0;
    char path[PATH_MAX], *arguments[10];

    program_find("husk-oci", "HUSK_OCI", path);
    make_words(arguments, reference, store, auths != NULL);
    *pidfd = *words = -1;
    streams.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (streams.null < 0 || pipe2(said, O_CLOEXEC | O_NONBLOCK) < 0)
        ret = -errno;
    streams.said = said[1];
    if (ret == 0 && auths)
        ret = hold_auths(auths, &streams.auths);
    if (ret == 0)
        ret = start(path, arguments, &streams, pid, pidfd);
    close_fd(&streams.null);
    close_fd(&streams.said);
    close_fd(&streams.auths);
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
