// SPDX-License-Identifier: Apache-2.0
/* The agent's side of the streams: see hub.h. */
#include "pod/stdio/hub_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/io.h"

static void on_end_ready(void *arg, uint32_t events);

const char *hub_stream_name(enum hub_stream stream)
{
    static const char *const names[] = {[HUB_STDIN] = "stdin",
                                        [HUB_STDOUT] = "stdout",
                                        [HUB_STDERR] = "stderr",
                                        [HUB_TERMINAL] = "terminal"};

    return names[stream];
}

bool hub_has(const struct hub *hub, enum hub_stream stream)
{
    switch (stream) {
    case HUB_STDIN:
        return !hub->options.terminal && hub->options.stdin_mode != CONTAINER_STDIN_NONE;
    case HUB_TERMINAL:
        return hub->options.terminal;
    default:
        return !hub->options.terminal;
    }
}

static bool is_output(enum hub_stream stream)
{
    return stream != HUB_STDIN;
}

bool hub_drained(const struct hub *hub)
{
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        if (is_output(i) && !hub->ends[i].over)
            return false;
    }
    return true;
}

void hub_watch(struct hub *hub, int fd, uint32_t events, event_fn fn, void *arg,
               struct event_source **source)
{
    if (events == 0 || fd < 0) {
        event_source_remove(*source);
        *source = NULL;
    } else if (*source) {
        (void)event_source_watch(*source, events);
    } else if (event_loop_add(hub->loop, fd, events, fn, arg, source)) {
        *source = NULL;
    }
}

static void update_end(struct hub_end *end, bool held_up)
{
    struct hub *hub = end->hub;
    uint32_t events = 0;

    if (is_output(end->stream) && !held_up)
        events |= EPOLLIN;
    if (end == hub_input_end(hub) && hub->input_len)
        events |= EPOLLOUT;
    hub_watch(hub, end->fd, events, on_end_ready, end, &end->source);
}

void hub_update(struct hub *hub)
{
    bool held_up = hub_clients_hold_up(hub);

    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        if (hub->ends[i].fd >= 0)
            update_end(&hub->ends[i], held_up);
    }
    hub_clients_update(hub);
}

static enum log_stream log_stream_of(enum hub_stream stream)
{
    return stream == HUB_STDERR ? LOG_STDERR : LOG_STDOUT;
}

/* It is not watched any more when this returns. */
static void end_stream(struct hub_end *end)
{
    struct hub *hub = end->hub;

    event_source_remove(end->source);
    end->source = NULL;
    close_fd(&end->fd);
    if (end->over)
        return;
    end->over = true;
    if (end == hub_input_end(hub))
        hub->input_len = 0;
    if (is_output(end->stream)) {
        log_file_end(hub->options.log_file, log_stream_of(end->stream));
        hub_clients_end(hub, end->stream);
    }
    if (hub_drained(hub) && !hub->told) {
        hub->told = true;
        hub->options.drained(hub->options.arg);
    }
}

static void read_output(struct hub_end *end)
{
    struct hub *hub = end->hub;
    ssize_t len = recv(end->fd, hub->chunk, sizeof(hub->chunk), MSG_DONTWAIT);

    if (len > 0) {
        log_file_write(hub->options.log_file, log_stream_of(end->stream), hub->chunk, (size_t)len);
        hub_clients_write(hub, end->stream, hub->chunk, (size_t)len);
    } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
        end_stream(end);
    }
}

static void on_end_ready(void *arg, uint32_t events)
{
    struct hub_end *end = arg;
    struct hub *hub = end->hub;

    if (events & EPOLLOUT)
        hub_input_flush(hub);
    if (is_output(end->stream) && events & (EPOLLIN | EPOLLHUP | EPOLLERR) && end->fd >= 0)
        read_output(end);
    else if (!is_output(end->stream) && events & (EPOLLHUP | EPOLLERR))
        end_stream(end);
    hub_update(hub);
}

void hub_connect(struct hub *hub, enum hub_stream stream, int fd)
{
    struct hub_end *end = &hub->ends[stream];

    if (end->over || end->fd >= 0) {
        close_fd(&fd);
        return;
    }
    end->fd = fd;
    if (fd < 0)
        end_stream(end);
    hub_update(hub);
}

int hub_create(struct event_loop *loop, const struct hub_options *options, struct hub **out)
{
    struct hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return -ENOMEM;
    hub->loop = loop;
    hub->options = *options;
    LIST_INIT(&hub->clients);
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        hub->ends[i] = (struct hub_end){
            .hub = hub, .stream = i, .fd = -1, .over = !hub_has(hub, (enum hub_stream)i)};
    *out = hub;
    return 0;
}

void hub_abandon(struct hub *hub)
{
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        end_stream(&hub->ends[i]);
    hub_update(hub);
}

void hub_destroy(struct hub *hub)
{
    if (!hub)
        return;
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        event_source_remove(hub->ends[i].source);
        close_fd(&hub->ends[i].fd);
    }
    hub_clients_destroy(hub);
    free(hub);
}
