// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/io.h"

struct fetch {
    int fd;
    struct event_source *source;
    char *request;
    size_t sent, whole; /* of the request */
    bool any;           /* something has come back */
    struct http_answer answer;
    fetch_fn done;
    void *arg;
};

static void finish(struct fetch *fetch, int ret)
{
    event_source_remove(fetch->source);
    fetch->source = NULL;
    fetch->done(fetch->arg, ret, &fetch->answer);
}

static void read_answer(struct fetch *fetch)
{
    char bytes[4096];
    ssize_t len = recv(fetch->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    int ret;

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len < 0) {
        finish(fetch, -errno);
        return;
    }
    if (len == 0) {
        finish(fetch, fetch->any ? http_answer_end(&fetch->answer) : -ENODATA);
        return;
    }
    fetch->any = true;
    ret = http_answer_feed(&fetch->answer, bytes, (size_t)len);
    if (ret)
        finish(fetch, ret < 0 ? ret : 0);
}

/* An answer may come before all of the request is gone. */
static void on_event(void *arg, uint32_t events)
{
    struct fetch *fetch = arg;
    ssize_t len;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_answer(fetch);
        return;
    }
    len = send(fetch->fd, fetch->request + fetch->sent, fetch->whole - fetch->sent,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len < 0 && errno != EAGAIN && errno != EINTR) {
        finish(fetch, -errno);
        return;
    }
    fetch->sent += len > 0 ? (size_t)len : 0;
    if (fetch->sent == fetch->whole)
        event_source_watch(fetch->source, EPOLLIN);
}

int fetch_start(struct event_loop *loop, int fd, char *request, fetch_fn done, void *arg,
                struct fetch **out)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    int ret;

    if (!fetch) {
        free(request);
        close_fd(&fd);
        return -ENOMEM;
    }
    *fetch = (struct fetch){
        .fd = fd, .request = request, .whole = strlen(request), .done = done, .arg = arg};
    ret = event_loop_add(loop, fd, EPOLLIN | EPOLLOUT, on_event, fetch, &fetch->source);
    if (ret) {
        fetch_destroy(fetch);
        return ret;
    }
    *out = fetch;
    return 0;
}

void fetch_destroy(struct fetch *fetch)
{
    if (!fetch)
        return;
    event_source_remove(fetch->source);
    close_fd(&fetch->fd);
    free(fetch->request);
    free(fetch);
}
