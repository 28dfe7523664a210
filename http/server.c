// SPDX-License-Identifier: Apache-2.0
/*
 * The connections of an HTTP server, by libmicrohttpd, driven from the caller's loop.
 *
 * What libmicrohttpd bounds: memory for the headers of a connection, and the number of connections.
 * What is bounded here: bodies (exchange.c); the time a request may take to come in, counted from
 * its first byte (a client that sends a byte now and then would reset a timeout between bytes); and
 * the time of waiting for a place (see make_room()).
 *
 * An epoll instance of ours holds libmicrohttpd's and, edge-triggered, every connection: an edge
 * says that bytes have come, which is when a request's time begins, or that the client has gone.
 *
 * One thread. No connection outlives the server but those that became something else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/checked.h"
#include "base/io.h"
#include "http/internal.h"

#define CONNECTIONS_LEAST   2u /* with few descriptors */
#define DESCRIPTORS_SHARE   8u /* of those that the process may have, one in so many */
#define CONNECTION_BYTES    8192u
#define REQUEST_PATIENCE_NS 10000000000ull
#define IDLE_PATIENCE_NS    600000000000ull
#define EVENTS_A_TURN       64
#define NS_PER_MS           1000000ull

struct connection *server_find(struct http_server *server, const struct MHD_Connection *mhd)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        if (server->connections[i].mhd == mhd)
            return &server->connections[i];
    }
    return NULL;
}

/* The end of the connection's stream in both directions: libmicrohttpd sees it and closes. */
static void hang_up(struct connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR);
    connection->closing = true;
    if (connection->exchange && connection->exchange->state == EXCHANGE_SENT)
        exchange_resume(connection->exchange);
}

/*
 * Nobody is turned away: when too many connections are open, the one with the oldest last sign of
 * life makes place. Idle ones of a flood replace each other, while a client that is served in
 * between stays young.
 */
static void make_room(struct http_server *server)
{
    struct connection *oldest = NULL;
    unsigned open = 0;

    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *at = &server->connections[i];

        if (!at->mhd || at->closing)
            continue;
        open++;
        if (!oldest || at->since_ns < oldest->since_ns)
            oldest = at;
    }
    if (open > server->kept)
        hang_up(oldest);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = arg;
    struct connection *connection;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connection = server_find(server, mhd);
        if (connection)
            connection->mhd = NULL; /* closing the descriptor ends the watch */
        server->again = true;
        return;
    }
    connection = server_find(server, NULL);
    if (!connection)
        return; /* cannot be: there are as many places as connections */
    *connection = (struct connection){
        .mhd = mhd,
        .fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
        .watch = {.kind = WATCHED_CONNECTION, .object = connection},
        .since_ns = monotonic_ns(),
    };
    event.data.ptr = &connection->watch;
    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    make_room(server);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_server *server = arg;
    struct connection *connection = server_find(server, mhd);

    if (connection) {
        connection->receiving = false;
        connection->since_ns = monotonic_ns();
        connection->exchange = NULL;
    }
    if (*context)
        exchange_completed(*context);
    *context = NULL;
    server->again = true; /* for stream_response() */
}

/* Where no descriptor is left to accept a newcomer with, nobody would make room for it. */
static unsigned connections_to_keep(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur / DESCRIPTORS_SHARE > CONNECTIONS_KEPT)
        return CONNECTIONS_KEPT;
    return (unsigned)max_u64(limit.rlim_cur / DESCRIPTORS_SHARE, CONNECTIONS_LEAST);
}

/* Paths are taken as they are written: no id needs an escape, and what hides behind one ("%2f",
 * "%00") must not mean another path. */
static size_t keep_escapes(void *arg, struct MHD_Connection *mhd, char *text)
{
    return strlen(text);
}

static int start_daemon(struct http_server *server, int listen_fd)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
    /* libmicrohttpd closes the one it gets. */
    int fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 3);
    int status = fd < 0 ? -1 : fcntl(fd, F_GETFL);

    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0) {
        int code = errno;

        close_fd(&fd);
        return -code;
    }
    if (server->options.later)
        flags |= MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_on_request, server, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
        MHD_OPTION_CONNECTION_LIMIT, server->kept + CONNECTIONS_MORE,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (!server->daemon) {
        close_fd(&fd);
        return -ENOMEM;
    }
    return 0;
}

static int watch(struct http_server *server, int fd, struct watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};

    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_daemon(struct http_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    return info ? watch(server, info->epoll_fd, NULL) : -EINVAL;
}

static int watch_answers(struct http_server *server)
{
    server->wake.kind = WATCHED_WAKE;
    server->wake_fd = eventfd_open();
    return server->wake_fd < 0 ? server->wake_fd : watch(server, server->wake_fd, &server->wake);
}

int http_server_create(const struct http_handler *handler, const struct http_options *options,
                       int listen_fd, struct http_server **out)
{
    struct http_server *server = calloc(1, sizeof(*server));
    int ret;

    if (!server)
        return -ENOMEM;
    pthread_mutex_init(&server->lock, NULL);
    server->handler = *handler;
    server->options = *options;
    server->kept = connections_to_keep();
    server->wake_fd = -1;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ret = server->epoll_fd < 0 ? -errno : start_daemon(server, listen_fd);
    if (!ret)
        ret = watch_daemon(server);
    if (!ret && options->later)
        ret = watch_answers(server);
    if (ret) {
        http_server_destroy(server);
        return ret;
    }
    *out = server;
    return 0;
}

void http_server_destroy(struct http_server *server)
{
    if (!server)
        return;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];

        connection->closing = true;
        if (connection->mhd && connection->exchange)
            exchange_resume(connection->exchange);
    }
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    close_fd(&server->wake_fd);
    close_fd(&server->epoll_fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int http_server_fd(const struct http_server *server)
{
    return server->epoll_fd;
}

/* It is the handler's turn, or what goes out takes as long as it takes. */
static bool is_answering(const struct http_exchange *exchange)
{
    return exchange && (exchange->state == EXCHANGE_HANDLED ||
                        exchange->state == EXCHANGE_ANSWERED || exchange->stream_fd >= 0);
}

/* When a connection has had its time, 0 when it cannot run out. */
static uint64_t deadline_ns(const struct connection *connection)
{
    if (!connection->mhd || connection->closing || is_answering(connection->exchange))
        return 0;
    return connection->since_ns + (connection->receiving ? REQUEST_PATIENCE_NS : IDLE_PATIENCE_NS);
}

int http_server_timeout_ms(struct http_server *server)
{
    uint64_t now_ns = monotonic_ns(), next_ns = UINT64_MAX;
    MHD_UNSIGNED_LONG_LONG daemon_ms;

    if (server->again)
        return 0;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        uint64_t at_ns = deadline_ns(&server->connections[i]);

        if (at_ns)
            next_ns = min_u64(next_ns, at_ns);
    }
    if (MHD_get_timeout(server->daemon, &daemon_ms) == MHD_YES)
        next_ns = min_u64(next_ns, now_ns + min_u64(daemon_ms, 60000) * NS_PER_MS);
    if (next_ns == UINT64_MAX)
        return -1;
    return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* Bytes have come on a connection; or its client is gone, which libmicrohttpd does not see while it
 * does not look. */
static void note_arrival(struct connection *connection, uint32_t events)
{
    if (!connection->mhd)
        return;
    if (events & EPOLLHUP && connection->exchange)
        hang_up(connection);
    if (connection->receiving)
        return;
    connection->receiving = true;
    connection->since_ns = monotonic_ns();
}

static void note_arrivals(struct http_server *server)
{
    struct epoll_event events[EVENTS_A_TURN];
    int count = epoll_wait(server->epoll_fd, events, EVENTS_A_TURN, 0);

    for (int i = 0; i < count; i++) {
        const struct watch *watch = events[i].data.ptr;

        if (!watch)
            continue;
        if (watch->kind == WATCHED_CONNECTION)
            note_arrival(watch->object, events[i].events);
        else if (watch->kind == WATCHED_STREAM)
            exchange_resume(watch->object);
        else
            eventfd_drain(server->wake_fd);
    }
}

void http_server_run(struct http_server *server)
{
    uint64_t now_ns;

    note_arrivals(server);
    exchange_resume_answered(server);
    server->again = false;
    MHD_run(server->daemon);
    /* A connection that has ended counts against the limit until it is cleaned up, at the next turn
     * of which nothing tells; at the limit nobody is accepted meanwhile. Being asked for their
     * number, libmicrohttpd cleans up first; on_connection() hears of each. */
    MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    now_ns = monotonic_ns();
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        uint64_t at_ns = deadline_ns(&server->connections[i]);

        if (at_ns && at_ns <= now_ns)
            hang_up(&server->connections[i]);
    }
}
