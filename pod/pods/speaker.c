// SPDX-License-Identifier: Apache-2.0
/* See speaker.h. What the process says of itself, its exit status, is a guest's word. */
#include "pod/pods/speaker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/spawn.h"
#include "pod/pods/programs.h"

static const char cannot_start[] = "cannot start what speaks for a probe";

struct speaker {
    struct child child;
};

/* It fits into the buffer of a socket that nobody has written to. */
static int send_request(int fd, const struct probe_request *given, unsigned namespaces)
{
    struct probe_request request = *given;

    request.namespaces = namespaces;
    return send(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) ==
                   (ssize_t)sizeof(request)
               ? 0
               : -EPIPE;
}

/* Takes the speaker when it fails. */
static int start(const struct probe_request *request, const int ends[2], int guest_fd,
                 struct speaker *speaker, struct husk_error *err)
{
    char path[PATH_MAX];
    const struct child_program program = {.path = path, .name = "husk-probe", .what = cannot_start};
    int ret;

    program_find("husk-probe", "HUSK_PROBE", path);
    ret = child_spawn(&program, "connection", ends[1], guest_fd, &speaker->child, err);
    if (ret) {
        free(speaker);
        return ret;
    }
    ret = send_request(ends[0], request, speaker->child.namespaces);
    if (ret == 0)
        return 0;
    (void)speaker_end(speaker);
    return error_set(err, -ret, path, cannot_start, NULL);
}

int speaker_start(const struct probe_request *request, int guest_fd, int *plain_fd,
                  struct speaker **out, struct husk_error *err)
{
    struct speaker *speaker = malloc(sizeof(*speaker));
    int ends[2] = {-1, -1}, ret;

    if (!speaker || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        ret = error_set(err, speaker ? errno : ENOMEM, "husk-probe", cannot_start, NULL);
        free(speaker);
    } else {
        ret = start(request, ends, guest_fd, speaker, err);
    }
    close_fd(&guest_fd);
    close_fd(&ends[1]);
    if (ret) {
        close_fd(&ends[0]);
        return ret;
    }
    *plain_fd = ends[0];
    *out = speaker;
    return 0;
}

int speaker_end(struct speaker *speaker)
{
    siginfo_t info = {0};
    int ret;

    /* One that is on its way out has its status already. */
    child_kill(&speaker->child);
    do
        ret = waitid(P_PIDFD, (id_t)speaker->child.pidfd, &info, WEXITED);
    while (ret < 0 && errno == EINTR);
    child_release(&speaker->child);
    free(speaker);
    return ret == 0 && info.si_code == CLD_EXITED ? info.si_status : -1;
}
