// SPDX-License-Identifier: Apache-2.0
/* Bytes between two sockets: see splice.h. */
#include "cli/pods/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct way {
    int from, to;
    bool ended;
    size_t start, end; /* of what is in the buffer */
    char buffer[64u << 10];
};

static bool is_later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* One read, or one write, of what poll() said can be done. false: it has broken. */
static bool work(struct way *way, bool readable, bool writable)
{
    ssize_t n;

    if (way->start == way->end && readable) {
        n = recv(way->from, way->buffer, sizeof(way->buffer), 0);
        if (n < 0)
            return is_later();
        way->start = 0;
        way->end = (size_t)n;
        if (n == 0) {
            way->ended = true;
            (void)shutdown(way->to, SHUT_WR);
        }
    } else if (way->start < way->end && writable) {
        n = send(way->to, way->buffer + way->start, way->end - way->start, MSG_NOSIGNAL);
        if (n < 0)
            return is_later();
        way->start += (size_t)n;
    }
    return true;
}

static short events_of(const struct way *in, const struct way *out)
{
    bool reads = !in->ended && in->start == in->end, writes = out->start < out->end;

    return (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
}

void splice_sockets(int a, int b)
{
    struct way there = {.from = a, .to = b}, back = {.from = b, .to = a};

    if (fcntl(a, F_SETFL, O_NONBLOCK) < 0 || fcntl(b, F_SETFL, O_NONBLOCK) < 0)
        return;
    while (!there.ended || !back.ended) {
        struct pollfd polls[] = {{.fd = a, .events = events_of(&there, &back)},
                                 {.fd = b, .events = events_of(&back, &there)}};
        const short in = POLLIN | POLLHUP | POLLERR, out = POLLOUT | POLLHUP | POLLERR;

        /* One that is only said to have hung up has nothing to be waited for. */
        for (unsigned i = 0; i < 2; i++) {
            if (!polls[i].events)
                polls[i].fd = -1;
        }
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            return;
        if (!work(&there, polls[0].revents & in, polls[1].revents & out) ||
            !work(&back, polls[1].revents & in, polls[0].revents & out))
            return;
    }
}
