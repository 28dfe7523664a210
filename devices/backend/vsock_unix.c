// SPDX-License-Identifier: Apache-2.0
/*
 * Unix sockets as the host side of virtio sockets: see vsock_unix.h for the contract.
 *
 * A client's line is taken without a byte of what follows it: that is the guest's. One timer does
 * for all clients.
 *
 * Invariants:
 *  1. The listener is watched exactly when the backend is not paused, not backing off, and fewer
 *     than VSOCK_CLIENTS_MAX clients are half-open.
 *  2. The timer is armed for the oldest client's deadline while there is one and the backend is not
 *     paused.
 */
#include "devices/backend/vsock_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/checked.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "base/parse.h"

#define CLIENT_TIME_NS   3000000000ull
#define BACKOFF_NS       100000000ull
#define ACCEPTS_PER_TURN 16u
#define CONNECT_WORD     "CONNECT "
#define LINE_BYTES       sizeof("CONNECT 4294967295\n")

/* A program that has not said yet what it wants. */
struct client {
    struct vsock_unix *backend;
    int fd; /* owned; -1: the place is free */
    struct event_source *source;
    uint64_t deadline_ns;
    unsigned len;
    char line[LINE_BYTES];
};

struct vsock_unix {
    struct event_loop *loop;
    const struct vsock_frontend_ops *ops;
    void *device;
    char *prefix;
    int listen_fd; /* owned */
    struct event_source *listener;
    struct event_timer *deadline; /* of the oldest client */
    struct event_timer *backoff;  /* the host had no descriptor or memory for one more */
    bool backing_off;
    bool paused;
    unsigned client_count;
    struct client clients[VSOCK_CLIENTS_MAX];
};

static void watch_listener(struct vsock_unix *backend)
{
    bool wanted =
        !backend->paused && !backend->backing_off && backend->client_count < VSOCK_CLIENTS_MAX;

    event_source_watch(backend->listener, wanted ? EPOLLIN : 0);
}

static void arm_deadline(struct vsock_unix *backend)
{
    uint64_t first_ns = UINT64_MAX, now_ns = monotonic_ns();

    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        if (backend->clients[i].fd >= 0)
            first_ns = min_u64(first_ns, backend->clients[i].deadline_ns);
    }
    if (backend->client_count == 0 || backend->paused)
        event_timer_disarm(backend->deadline);
    else
        event_timer_arm(backend->deadline, first_ns > now_ns ? first_ns - now_ns : 0);
}

/* ---- half-open clients ---- */

/* Forget the client; returns its descriptor. */
static int detach(struct client *client)
{
    struct vsock_unix *backend = client->backend;
    int fd = client->fd;

    event_source_remove(client->source);
    client->fd = -1;
    if (backend->client_count-- == VSOCK_CLIENTS_MAX)
        watch_listener(backend);
    arm_deadline(backend);
    return fd;
}

static void drop(struct client *client)
{
    int fd = detach(client);

    close_fd(&fd);
}

/* "CONNECT PORT" without its newline, PORT decimal. */
static int parse_line(const char *line, uint32_t *port)
{
    size_t word = strlen(CONNECT_WORD);
    uint64_t value;

    if (strncmp(line, CONNECT_WORD, word) || line[word + strspn(line + word, "0123456789")])
        return -EINVAL;
    if (parse_u64(line + word, 0, UINT32_MAX, &value))
        return -EINVAL;
    *port = (uint32_t)value;
    return 0;
}

/*
 * Take what has come of the line, and nothing behind it. Returns 1 when it is complete (without its
 * newline), 0 when there is more to come, -EINVAL when it is too long, -errno when there will be no
 * more.
 */
static int read_line(struct client *client)
{
    char *at = client->line + client->len;
    size_t room = sizeof(client->line) - 1 - client->len;
    ssize_t n = recv(client->fd, at, room, MSG_PEEK | MSG_DONTWAIT);
    char *end;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -EPIPE;
    end = memchr(at, '\n', (size_t)n);
    if (end)
        n = end + 1 - at;
    if (recv(client->fd, at, (size_t)n, MSG_DONTWAIT) != n)
        return -EIO;
    client->len += (unsigned)n;
    if (end) {
        *end = '\0';
        return memchr(client->line, '\0', client->len) == end ? 1 : -EINVAL;
    }
    return client->len == sizeof(client->line) - 1 ? -EINVAL : 0;
}

/* The client has said what it wants: from now on it is the device's, or gone. */
static void hand_over(struct client *client, uint32_t port)
{
    struct vsock_unix *backend = client->backend;
    struct vsock_stream *stream;
    int fd = detach(client);

    if (vsock_stream_create(backend->loop, fd, &stream)) {
        close_fd(&fd);
        return;
    }
    if (!backend->ops->incoming(backend->device, stream, port))
        vsock_stream_close(stream);
}

static void on_client(void *arg, uint32_t events)
{
    struct client *client = arg;
    uint32_t port;
    int ret;

    if (client->backend->paused)
        return;
    ret = read_line(client);
    if (ret == 0)
        return;
    if (ret < 0 || parse_line(client->line, &port))
        drop(client);
    else
        hand_over(client, port);
}

int vsock_unix_answer(struct vsock_stream *stream, uint32_t host_port)
{
    char line[sizeof("OK 4294967295\n")];
    int len = snprintf(line, sizeof(line), "OK %u\n", host_port);

    return vsock_stream_send_first(stream, line, (size_t)len);
}

static void on_deadline(void *arg)
{
    struct vsock_unix *backend = arg;
    uint64_t now_ns = monotonic_ns();

    if (backend->paused)
        return;
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        struct client *client = &backend->clients[i];

        if (client->fd >= 0 && client->deadline_ns <= now_ns)
            drop(client);
    }
    arm_deadline(backend);
}

/* ---- the listener ---- */

/* There is a free place. Returns 0 or -errno, with fd still the caller's. */
static int add_client(struct vsock_unix *backend, int fd)
{
    struct client *client = backend->clients;
    int ret;

    while (client->fd >= 0)
        client++;
    ret = event_loop_add(backend->loop, fd, EPOLLIN, on_client, client, &client->source);
    if (ret)
        return ret;
    client->fd = fd;
    client->len = 0;
    client->deadline_ns = monotonic_ns() + CLIENT_TIME_NS;
    backend->client_count++;
    if (backend->client_count == 1)
        arm_deadline(backend);
    return 0;
}

static void on_listener(void *arg, uint32_t events)
{
    struct vsock_unix *backend = arg;
    int ret = 0;

    for (unsigned i = 0; i < ACCEPTS_PER_TURN && ret == 0; i++) {
        int fd;

        if (backend->paused || backend->client_count == VSOCK_CLIENTS_MAX)
            break;
        fd = accept4(backend->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            ret = -errno;
            break;
        }
        ret = add_client(backend, fd);
        if (ret)
            close_fd(&fd);
    }
    /* Without descriptors or memory the socket stays readable: look again later. */
    if (ret && ret != -EAGAIN && ret != -EINTR && ret != -ECONNABORTED) {
        backend->backing_off = true;
        event_timer_arm(backend->backoff, BACKOFF_NS);
    }
    watch_listener(backend);
}

static void on_backoff(void *arg)
{
    struct vsock_unix *backend = arg;

    backend->backing_off = false;
    watch_listener(backend);
}

/* ---- the guest's connections ---- */

int vsock_unix_connect(struct vsock_unix *backend, uint32_t port, struct vsock_stream **out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", backend->prefix, port);
    int fd, ret;

    if (len < 0 || (size_t)len >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    ret = connect(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
    if (!ret)
        ret = vsock_stream_create(backend->loop, fd, out);
    if (ret)
        close_fd(&fd);
    return ret;
}

/* ---- life ---- */

static void watch_clients(struct vsock_unix *backend, uint32_t events)
{
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        if (backend->clients[i].fd >= 0)
            event_source_watch(backend->clients[i].source, events);
    }
}

void vsock_unix_pause(struct vsock_unix *backend)
{
    backend->paused = true;
    watch_listener(backend);
    watch_clients(backend, 0);
    arm_deadline(backend);
}

/* The time that passed meanwhile was not the clients'. */
void vsock_unix_resume(struct vsock_unix *backend)
{
    uint64_t deadline_ns = monotonic_ns() + CLIENT_TIME_NS;

    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        backend->clients[i].deadline_ns = deadline_ns;
    backend->paused = false;
    watch_listener(backend);
    watch_clients(backend, EPOLLIN);
    arm_deadline(backend);
}

static int set_up(struct vsock_unix *backend)
{
    int flags = fcntl(backend->listen_fd, F_GETFL);
    int ret;

    if (flags < 0 || fcntl(backend->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    ret = event_loop_add_timer(backend->loop, on_deadline, backend, &backend->deadline);
    if (!ret)
        ret = event_loop_add_timer(backend->loop, on_backoff, backend, &backend->backoff);
    if (!ret)
        ret = event_loop_add(backend->loop, backend->listen_fd, EPOLLIN, on_listener, backend,
                             &backend->listener);
    return ret;
}

int vsock_unix_create(struct event_loop *loop, int listen_fd, const char *connect_prefix,
                      const struct vsock_frontend_ops *ops, void *device, struct vsock_unix **out)
{
    struct vsock_unix *backend = calloc(1, sizeof(*backend));
    int ret;

    if (!backend)
        return -ENOMEM;
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        backend->clients[i] = (struct client){.backend = backend, .fd = -1};
    backend->loop = loop;
    backend->ops = ops;
    backend->device = device;
    backend->listen_fd = listen_fd;
    backend->prefix = strdup(connect_prefix);
    ret = backend->prefix ? set_up(backend) : -ENOMEM;
    if (ret) {
        backend->listen_fd = -1; /* stays the caller's */
        vsock_unix_destroy(backend);
        return ret;
    }
    *out = backend;
    return 0;
}

void vsock_unix_destroy(struct vsock_unix *backend)
{
    if (!backend)
        return;
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        if (backend->clients[i].fd >= 0)
            drop(&backend->clients[i]);
    }
    event_source_remove(backend->listener);
    event_timer_remove(backend->deadline);
    event_timer_remove(backend->backoff);
    close_fd(&backend->listen_fd);
    free(backend->prefix);
    free(backend);
}
