// SPDX-License-Identifier: Apache-2.0
/* From the clients to the process's input: see hub.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "pod/stdio/hub_internal.h"

struct hub_end *hub_input_end(struct hub *hub)
{
    return &hub->ends[hub->options.terminal ? HUB_TERMINAL : HUB_STDIN];
}

bool hub_input_wanted(struct hub *hub)
{
    const struct hub_end *end = hub_input_end(hub);

    /* What comes after the end has no place to go: it is read, and thrown away. */
    return end->over || hub->input_ends || (end->fd >= 0 && hub->input_len == 0);
}

void hub_input_flush(struct hub *hub)
{
    struct hub_end *end = hub_input_end(hub);

    while (hub->input_len && end->fd >= 0) {
        ssize_t len = send(end->fd, hub->input + hub->input_start, hub->input_len,
                           MSG_DONTWAIT | MSG_NOSIGNAL);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno == EAGAIN)
            return;
        if (len < 0) /* nobody reads it any more; the stream's end comes on its own way */
            hub->input_len = 0;
        else {
            hub->input_start += (size_t)len;
            hub->input_len -= (size_t)len;
        }
    }
    hub->input_start = 0;
    /* An orderly end: closing could lose what is on its way. */
    if (hub->input_ends && end->fd >= 0 && end->stream == HUB_STDIN)
        (void)shutdown(end->fd, SHUT_WR);
}

void hub_input_put(struct hub *hub, const char *bytes, size_t len)
{
    if (hub->input_ends || hub_input_end(hub)->over)
        return;
    memcpy(hub->input, bytes, len);
    hub->input_start = 0;
    hub->input_len = len;
    hub_input_flush(hub);
}

void hub_input_end_of_client(struct hub *hub)
{
    if (hub->options.terminal || hub->options.stdin_mode != CONTAINER_STDIN_ONCE)
        return;
    hub->input_ends = true;
    hub_input_flush(hub);
}
