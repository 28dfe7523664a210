// SPDX-License-Identifier: Apache-2.0
/* A session with a process in a pod: see session_pod.h. */
#include "cli/pods/session_pod.h"

#include <errno.h>

#include "base/io.h"
#include "cli/pod/pod.h"

static int begin(void *arg, bool start, struct husk_error *err)
{
    return 0; /* the library has asked for the end already */
}

static int descriptor(void *arg)
{
    const struct session_pod *peer = arg;

    return husk_pod_process_fd(peer->process);
}

static int next(void *arg, struct session_news *news, struct husk_error *err)
{
    struct session_pod *peer = arg;
    int ret;

    if (peer->ended)
        return 0;
    *news = (struct session_news){.kind = SESSION_ENDED};
    ret = husk_pod_process_wait(peer->process, 0, &news->status, &news->error);
    if (ret == -ETIMEDOUT)
        return 0;
    if (ret)
        news->status = STATUS_OURS;
    else
        news->error.code = 0;
    peer->ended = true;
    return 1;
}

static void resize(void *arg, uint16_t columns, uint16_t rows)
{
    const struct session_pod *peer = arg;

    husk_pod_process_resize(peer->process, columns, rows, NULL);
}

static void send_signal(void *arg, int number)
{
    const struct session_pod *peer = arg;

    husk_pod_process_signal(peer->process, number, NULL);
}

static const struct session_ops ops = {
    .begin = begin, .fd = descriptor, .next = next, .resize = resize, .signal = send_signal};

int session_pod_begin(struct session *session, struct session_pod *peer,
                      struct husk_pod_process *process, int fds[3])
{
    const char *const names[] = {"stdin", session->terminal ? "terminal" : "stdout", "stderr"};
    int ret = 0;

    *peer = (struct session_pod){.process = process};
    session->ops = &ops;
    session->peer = peer;
    for (unsigned i = 0; i < 3; i++) {
        if (!ret && fds[i] >= 0)
            ret = session_add_stream(session, names[i], fds[i]);
        else
            close_fd(&fds[i]);
        fds[i] = -1;
    }
    return ret;
}

void session_pod_clear(struct session_pod *peer)
{
    husk_pod_process_free(peer->process);
}
