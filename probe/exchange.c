// SPDX-License-Identifier: Apache-2.0
#include "probe/exchange.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

struct exchange {
    struct call *call;
    int plain, guest;
    const uint8_t *out; /* the call's */
    size_t left;
};

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static void write_some(struct exchange *exchange)
{
    ssize_t len;

    while (exchange->left || (exchange->left = call_output(exchange->call, &exchange->out)) > 0) {
        len = write(exchange->guest, exchange->out, exchange->left);
        if (len < 0) {
            /* A server that has closed may have said why before: that is read first. */
            if (!would_block())
                exchange->left = 0;
            return;
        }
        exchange->out += len;
        exchange->left -= (size_t)len;
    }
}

static void read_some(struct exchange *exchange)
{
    uint8_t bytes[4096];
    ssize_t len = read(exchange->guest, bytes, sizeof(bytes));

    if (len > 0)
        call_input(exchange->call, bytes, (size_t)len);
    else if (len == 0 || !would_block())
        call_closed(exchange->call);
}

enum probe_end exchange_run(struct call *call, int plain_fd, int guest_fd)
{
    struct exchange exchange = {.call = call, .plain = plain_fd, .guest = guest_fd};
    enum probe_end end;

    for (;;) {
        struct pollfd ready[] = {{.fd = plain_fd, .events = POLLIN}, {.fd = guest_fd}};

        write_some(&exchange);
        if (call_over(call, &end))
            return end;
        ready[1].events = (short)(POLLIN | (exchange.left ? POLLOUT : 0));
        (void)poll(ready, 2, -1);
        if (ready[0].revents)
            return PROBE_END_RESET; /* nobody wants to know any more */
        if (ready[1].revents & (POLLIN | POLLHUP | POLLERR))
            read_some(&exchange);
        if (call_over(call, &end))
            return end;
    }
}
