// SPDX-License-Identifier: Apache-2.0
/* Bytes between standard streams and sockets: see relay.h. */
#include "cli/pod/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

void relay_init(struct relay *relay)
{
    memset(relay, 0, sizeof(*relay));
    for (unsigned i = 0; i < RELAY_FLOWS; i++)
        relay->flows[i].from = relay->flows[i].to = -1;
}

int relay_add(struct relay *relay, enum relay_flow_name name, int local, int remote, bool duplex)
{
    struct relay_flow *flow = &relay->flows[name];
    bool input = name == RELAY_IN;
    int copy = dup_nonblocking(local, input ? O_RDONLY : O_WRONLY);

    if (copy < 0 || fcntl(remote, F_SETFL, O_NONBLOCK) < 0) {
        int ret = copy < 0 ? copy : -errno;

        close_fd(&copy);
        close_fd(&remote);
        return ret;
    }
    flow->from = input ? copy : remote;
    flow->to = input ? remote : copy;
    flow->used = true;
    flow->duplex = duplex;
    return 0;
}

void relay_poll(const struct relay *relay, struct pollfd polls[RELAY_POLLS])
{
    for (unsigned i = 0; i < RELAY_FLOWS; i++) {
        const struct relay_flow *flow = &relay->flows[i];
        bool idle = !flow->used || flow->ended;
        bool full = flow->start < flow->end;

        polls[2 * i] = (struct pollfd){.fd = idle || full ? -1 : flow->from, .events = POLLIN};
        polls[2 * i + 1] = (struct pollfd){.fd = idle || !full ? -1 : flow->to, .events = POLLOUT};
    }
}

/* Nothing more will go through this flow. A socket of input stays open: the other side must see
 * that this is its end, not that the connection has broken. */
static void end_flow(struct relay_flow *flow, bool input)
{
    flow->ended = true;
    flow->start = flow->end = 0;
    close_fd(&flow->from);
    if (!input)
        close_fd(&flow->to);
    else if (!flow->duplex)
        shutdown(flow->to, SHUT_WR);
}

static void read_some(struct relay *relay, struct relay_flow *flow, bool input)
{
    uint8_t keys[4096];
    ssize_t n =
        input ? read(flow->from, keys, sizeof(keys)) : read(flow->from, flow->buffer, RELAY_BUFFER);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        /* A socket that was reset has nothing more either. */
        end_flow(flow, input);
        return;
    }
    flow->start = 0;
    if (input)
        flow->end = detach_filter(&relay->filter, keys, (size_t)n, flow->buffer, &relay->detached);
    else
        flow->end = flow->dropping ? 0 : (size_t)n;
}

static void write_some(struct relay *relay, struct relay_flow *flow, bool input)
{
    const uint8_t *at = flow->buffer + flow->start;
    size_t len = flow->end - flow->start;
    ssize_t n = send(flow->to, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno == ENOTSOCK)
        n = write(flow->to, at, len);
    if (n >= 0) {
        flow->start += (size_t)n;
        return;
    }
    if (errno == EAGAIN || errno == EINTR)
        return;
    if (input) {
        end_flow(flow, true); /* the process does not read any more */
        return;
    }
    if (!relay->write_error)
        relay->write_error = errno;
    flow->start = flow->end = 0;
    flow->dropping = true;
}

void relay_work(struct relay *relay, const struct pollfd polls[RELAY_POLLS])
{
    for (unsigned i = 0; i < RELAY_FLOWS; i++) {
        struct relay_flow *flow = &relay->flows[i];

        if (polls[2 * i].revents && flow->from == polls[2 * i].fd)
            read_some(relay, flow, i == RELAY_IN);
        else if (polls[2 * i + 1].revents && flow->to == polls[2 * i + 1].fd)
            write_some(relay, flow, i == RELAY_IN);
    }
}

bool relay_output_ended(const struct relay *relay)
{
    for (unsigned i = RELAY_OUT; i < RELAY_FLOWS; i++) {
        if (relay->flows[i].used && !relay->flows[i].ended)
            return false;
    }
    return true;
}

void relay_close(struct relay *relay)
{
    for (unsigned i = 0; i < RELAY_FLOWS; i++) {
        close_fd(&relay->flows[i].from);
        close_fd(&relay->flows[i].to);
    }
}
