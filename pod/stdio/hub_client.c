// SPDX-License-Identifier: Apache-2.0
/* The clients' side of the streams: see hub.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/stdio/hub_internal.h"

static void on_link_ready(void *arg, uint32_t events);

static bool takes_input(const struct hub_link *link)
{
    return (link->stream == HUB_STDIN || link->stream == HUB_TERMINAL) && !link->input_over;
}

static void close_link(struct hub_link *link)
{
    bool input_ends = link->fd >= 0 && takes_input(link);

    event_source_remove(link->source);
    link->source = NULL;
    close_fd(&link->fd);
    free(link->queue);
    link->queue = NULL;
    link->start = link->len = 0;
    link->input_over = true;
    if (input_ends)
        hub_input_end_of_client(link->client->hub);
}

/* Frees a client that has no stream left. */
static void release_if_done(struct hub_client *client)
{
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        if (client->links[i].fd >= 0)
            return;
    }
    LIST_REMOVE(client, next);
    client->hub->client_count--;
    free(client);
}

static void drop(struct hub_client *client)
{
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        close_link(&client->links[i]);
}

/* ---- output ---- */

static int enqueue(struct hub_link *link, const char *bytes, size_t len)
{
    char *grown;

    if (link->start)
        memmove(link->queue, link->queue + link->start, link->len);
    link->start = 0;
    grown = realloc(link->queue, link->len + len);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + link->len, bytes, len);
    link->queue = grown;
    link->len += len;
    return 0;
}

/* How many bytes the client took, or -errno when it is gone. */
static ssize_t send_some(const struct hub_link *link, const char *bytes, size_t len)
{
    ssize_t sent;

    do
        sent = send(link->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -errno;
    return sent;
}

static void write_link(struct hub_link *link, const char *bytes, size_t len)
{
    ssize_t sent = link->len ? 0 : send_some(link, bytes, len);

    if (sent < 0) {
        close_link(link);
        return;
    }
    len -= (size_t)sent;
    if (len == 0)
        return;
    if ((!link->client->wait && link->len + len > CONTROL_ATTACH_QUEUE) ||
        enqueue(link, bytes + sent, len))
        drop(link->client);
}

static void flush_link(struct hub_link *link)
{
    ssize_t sent = send_some(link, link->queue + link->start, link->len);

    if (sent < 0) {
        close_link(link);
        return;
    }
    link->start += (size_t)sent;
    link->len -= (size_t)sent;
    if (link->len)
        return;
    free(link->queue);
    link->queue = NULL;
    link->start = 0;
    if (link->last)
        close_link(link);
}

void hub_clients_write(struct hub *hub, enum hub_stream stream, const char *bytes, size_t len)
{
    struct hub_client *client, *next;

    for (client = LIST_FIRST(&hub->clients); client; client = next) {
        next = LIST_NEXT(client, next);
        if (client->links[stream].fd >= 0)
            write_link(&client->links[stream], bytes, len);
        release_if_done(client);
    }
}

void hub_clients_end(struct hub *hub, enum hub_stream stream)
{
    struct hub_client *client, *next;
    bool all = hub_drained(hub);

    for (client = LIST_FIRST(&hub->clients); client; client = next) {
        struct hub_link *link = &client->links[stream];

        next = LIST_NEXT(client, next);
        link->last = true;
        if (link->fd >= 0 && link->len == 0)
            close_link(link);
        if (all) /* with the output goes what would read the input */
            close_link(&client->links[HUB_STDIN]);
        release_if_done(client);
    }
}

bool hub_clients_hold_up(const struct hub *hub)
{
    const struct hub_client *client;

    for (client = LIST_FIRST(&hub->clients); client; client = LIST_NEXT(client, next)) {
        for (unsigned i = 0; client->wait && i < HUB_STREAMS; i++) {
            if (client->links[i].len)
                return true;
        }
    }
    return false;
}

bool hub_flushed(const struct hub *hub)
{
    const struct hub_client *client;

    for (client = LIST_FIRST(&hub->clients); client; client = LIST_NEXT(client, next)) {
        for (unsigned i = 0; i < HUB_STREAMS; i++) {
            if (client->links[i].len)
                return false;
        }
    }
    return true;
}

/* ---- input ---- */

static void read_input(struct hub_link *link)
{
    struct hub *hub = link->client->hub;
    ssize_t len = recv(link->fd, hub->chunk, sizeof(hub->chunk), MSG_DONTWAIT);

    if (len > 0) {
        hub_input_put(hub, hub->chunk, (size_t)len);
        return;
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (link->stream == HUB_STDIN)
        close_link(link);
    else
        link->input_over = true; /* who types no more may look on */
}

static void on_link_ready(void *arg, uint32_t events)
{
    struct hub_link *link = arg;
    struct hub_client *client = link->client;
    struct hub *hub = client->hub;

    if (events & EPOLLIN && takes_input(link) && hub_input_wanted(hub))
        read_input(link);
    else if (events & (EPOLLHUP | EPOLLERR) && !(link->stream == HUB_STDIN && takes_input(link)))
        close_link(link);
    if (link->fd >= 0 && events & EPOLLOUT && link->len)
        flush_link(link);
    release_if_done(client);
    hub_update(hub);
}

static void update_link(struct hub_link *link, bool input_wanted)
{
    struct hub *hub = link->client->hub;
    uint32_t events = 0;

    if (link->len)
        events |= EPOLLOUT;
    if (takes_input(link) && input_wanted)
        events |= EPOLLIN;
    /* A hang-up is always told, and all there is to hear from who only looks on. One whose input is
     * not wanted yet must not be heard at all: what it has sent before would be lost. */
    if (!events && link->stream != HUB_STDIN)
        events = EPOLLERR;
    hub_watch(hub, link->fd, events, on_link_ready, link, &link->source);
}

void hub_clients_update(struct hub *hub)
{
    bool wanted = hub_input_wanted(hub);
    struct hub_client *client;

    for (client = LIST_FIRST(&hub->clients); client; client = LIST_NEXT(client, next)) {
        for (unsigned i = 0; i < HUB_STREAMS; i++) {
            if (client->links[i].fd >= 0)
                update_link(&client->links[i], wanted);
        }
    }
}

/* ---- attaching ---- */

static int open_link(struct hub_client *client, enum hub_stream stream, int *theirs)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    if (stream == HUB_STDIN) /* one way only, so that either side's end is seen */
        (void)shutdown(pair[0], SHUT_WR);
    client->links[stream].fd = pair[0];
    *theirs = pair[1];
    return 0;
}

int hub_attach(struct hub *hub, bool with_stdin, bool wait, int fds[CONTROL_FDS_MAX],
               enum hub_stream streams[CONTROL_FDS_MAX], unsigned *count, struct husk_error *err)
{
    struct hub_client *client;
    int ret = 0;

    *count = 0;
    if (hub_drained(hub))
        return error_set(err, EBUSY, "attach", "is too late", "the container's output has ended");
    if (hub->client_count >= CONTROL_ATTACHED_MAX)
        return error_set(err, ENOSPC, "attach", "is not possible", "%u clients are attached",
                         CONTROL_ATTACHED_MAX);
    client = calloc(1, sizeof(*client));
    if (!client)
        return error_set(err, ENOMEM, "attach", "is not possible", NULL);
    client->hub = hub;
    client->wait = wait;
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        client->links[i] = (struct hub_link){.client = client, .stream = i, .fd = -1};
    for (unsigned i = 0; ret == 0 && i < HUB_STREAMS; i++) {
        if (!hub_has(hub, i) || (i == HUB_STDIN && !with_stdin))
            continue;
        ret = open_link(client, i, &fds[*count]);
        if (ret == 0) {
            client->links[i].last = hub->ends[i].over;
            client->links[i].input_over = !with_stdin;
            streams[(*count)++] = i;
        }
    }
    LIST_INSERT_HEAD(&hub->clients, client, next);
    hub->client_count++;
    if (ret) {
        while (*count)
            close_fd(&fds[--*count]);
        for (unsigned i = 0; i < HUB_STREAMS; i++)
            client->links[i].input_over = true; /* nobody has ended anything */
        drop(client);
        release_if_done(client);
        return error_set(err, -ret, "attach", "is not possible", NULL);
    }
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        if (client->links[i].last && i != HUB_STDIN)
            close_link(&client->links[i]);
    }
    hub_update(hub);
    return 0;
}

void hub_clients_destroy(struct hub *hub)
{
    struct hub_client *client;

    while ((client = LIST_FIRST(&hub->clients))) {
        drop(client);
        release_if_done(client);
    }
}
