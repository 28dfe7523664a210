// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1.1 (RFC 9112) on a unix socket, by libmicrohttpd, driven from the caller's loop.
 *
 * What libmicrohttpd bounds: memory for the headers of a connection, and the number of connections.
 * What is bounded here: bodies; the time a request may take to come in, counted from its first byte
 * (a client that sends a byte now and then would reset a timeout between bytes); and the time of
 * waiting for a place (see make_room()).
 *
 * An epoll instance of ours holds libmicrohttpd's and, edge-triggered, every connection: an edge
 * says that bytes have come, which is when a request's time begins.
 *
 * One thread. No connection outlives the server.
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "vmm/api/api.h"

#define CONNECTIONS_KEPT    48u /* beyond these, the longest silent one goes */
#define CONNECTIONS_LEAST   2u  /* with few descriptors */
/* libmicrohttpd accepts up to ten at once before it asks whether they may stay. */
#define CONNECTIONS_MORE    16u
#define CONNECTIONS_MAX     (CONNECTIONS_KEPT + CONNECTIONS_MORE)
#define DESCRIPTORS_SHARE   8u /* of those that the process may have, one in so many */
#define CONNECTION_BYTES    8192u
#define REQUEST_PATIENCE_NS 10000000000ull
#define IDLE_PATIENCE_NS    600000000000ull
#define DISCARDED_BYTES_MAX (1u << 20)
#define BODY_FIRST_BYTES    1024u
#define EVENTS_A_TURN       64
#define NS_PER_MS           1000000ull

struct connection {
    struct MHD_Connection *mhd; /* NULL: a free place */
    int fd;
    bool receiving; /* a request has begun to come in */
    bool closing;
    uint64_t since_ns; /* receiving: its first byte; else the last answer, or the accept */
};

/* A request that is coming in. */
struct incoming {
    struct api_server *server;
    char *body;
    size_t len, capacity;
    uint64_t seen_bytes; /* of the body, kept or not */
};

struct api_server {
    struct api *api;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    size_t payload_max_bytes;
    unsigned kept; /* so many connections stay */
    bool again;    /* one has closed: libmicrohttpd must see whether it may accept again */
    struct connection connections[CONNECTIONS_MAX];
};

static struct connection *find_place(struct api_server *server, const struct MHD_Connection *mhd)
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
}

/*
 * Nobody is turned away: when too many connections are open, the one with the oldest last sign of
 * life makes place. Idle ones of a flood replace each other, while a client that is served in
 * between stays young.
 */
static void make_room(struct api_server *server)
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
    struct api_server *server = arg;
    struct connection *connection;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connection = find_place(server, mhd);
        if (connection)
            connection->mhd = NULL; /* closing the descriptor ends the watch */
        server->again = true;
        return;
    }
    connection = find_place(server, NULL);
    if (!connection)
        return; /* cannot be: there are as many places as connections */
    *connection = (struct connection){
        .mhd = mhd,
        .fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
        .since_ns = monotonic_ns(),
    };
    event.data.ptr = connection;
    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    make_room(server);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct connection *connection = find_place(arg, mhd);
    struct incoming *incoming = *context;

    if (connection) {
        connection->receiving = false;
        connection->since_ns = monotonic_ns();
    }
    if (incoming)
        free(incoming->body);
    free(incoming);
    *context = NULL;
}

/* Takes the response's body over. */
static enum MHD_Result send_response(struct MHD_Connection *mhd, struct api_response *response)
{
    struct MHD_Response *out = MHD_create_response_from_buffer(
        response->body_len, response->body ? response->body : "",
        response->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    enum MHD_Result ret;

    if (!out) {
        free(response->body);
        return MHD_NO;
    }
    if (response->body)
        MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    if (response->deprecated)
        MHD_add_response_header(out, "Deprecation", "true");
    ret = MHD_queue_response(mhd, (unsigned)response->status, out);
    MHD_destroy_response(out);
    return ret;
}

static enum MHD_Result refuse_size(struct api_server *server, struct MHD_Connection *mhd,
                                   uint64_t bytes)
{
    struct api_response response;
    struct husk_error err = {0};
    char text[256];

    error_set(&err, EFBIG, "", "Request payload is too large",
              "%llu bytes, larger than the limit of %zu allowed by server.",
              (unsigned long long)bytes, server->payload_max_bytes);
    api_refuse(server->api, error_format(&err, text, sizeof(text)), &response);
    return send_response(mhd, &response);
}

/* What the client says that the body has; 0 when it says nothing. libmicrohttpd has checked that it
 * is a number. */
static uint64_t announced_bytes(struct MHD_Connection *mhd)
{
    const char *text =
        MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes = 0;

    if (!text || parse_u64(text, 0, UINT64_MAX, &bytes))
        return 0;
    return bytes;
}

/* Keep some of the body. False without memory. What is above the limit is counted only. */
static bool keep(struct incoming *incoming, const char *bytes, size_t len, size_t max_bytes)
{
    incoming->seen_bytes += len;
    if (incoming->seen_bytes > max_bytes)
        return true;
    if (incoming->len + len > incoming->capacity) {
        size_t capacity = incoming->capacity ? incoming->capacity : BODY_FIRST_BYTES;
        char *body;

        while (capacity < incoming->len + len)
            capacity *= 2;
        body = realloc(incoming->body, capacity);
        if (!body)
            return false;
        incoming->body = body;
        incoming->capacity = capacity;
    }
    memcpy(incoming->body + incoming->len, bytes, len);
    incoming->len += len;
    return true;
}

static enum MHD_Result begin_request(struct api_server *server, struct MHD_Connection *mhd,
                                     void **context)
{
    bool asks_first = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    uint64_t bytes = announced_bytes(mhd);
    struct incoming *incoming;

    /* An answer before the body has come is lost on clients that write before they read, because
     * closing resets the connection. So bodies that are not absurd are read, and dropped; but for
     * clients that ask before they send (RFC 9110, 10.1.1). */
    if (bytes > server->payload_max_bytes && (asks_first || bytes > DISCARDED_BYTES_MAX))
        return refuse_size(server, mhd, bytes);
    incoming = calloc(1, sizeof(*incoming));
    if (!incoming)
        return MHD_NO;
    incoming->server = server;
    *context = incoming;
    return MHD_YES;
}

static bool method_of(const char *name, enum api_method *out)
{
    static const char *const names[API_METHODS] = {"GET", "PUT", "PATCH", "DELETE"};

    for (unsigned i = 0; i < API_METHODS; i++) {
        if (!strcmp(names[i], name)) {
            *out = (enum api_method)i;
            return true;
        }
    }
    return false;
}

static enum MHD_Result execute(struct api_server *server, struct MHD_Connection *mhd,
                               const char *url, const char *method, struct incoming *incoming)
{
    struct api_request request = {
        .path = url,
        .accept = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
        .body = incoming->body,
        .body_len = incoming->len,
    };
    struct api_response response;

    if (incoming->seen_bytes > server->payload_max_bytes)
        return refuse_size(server, mhd, incoming->seen_bytes);
    if (method_of(method, &request.method)) {
        api_handle(server->api, &request, &response);
    } else {
        char text[256];
        struct husk_error err = {0};

        error_set(&err, EINVAL, "", "Invalid request method and/or path", "%.16s %.128s.", method,
                  url + strspn(url, "/"));
        api_refuse(server->api, error_format(&err, text, sizeof(text)), &response);
    }
    return send_response(mhd, &response);
}

/* libmicrohttpd calls this when the headers are there, for each piece of the body, and at its
 * end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
    struct api_server *server = arg;
    struct incoming *incoming = *context;
    size_t len = *upload_len;

    if (!incoming)
        return begin_request(server, mhd, context);
    if (len == 0)
        return execute(server, mhd, url, method, incoming);
    *upload_len = 0;
    if (!keep(incoming, upload, len, server->payload_max_bytes))
        return MHD_NO;
    return incoming->seen_bytes > server->payload_max_bytes + DISCARDED_BYTES_MAX ? MHD_NO
                                                                                  : MHD_YES;
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

static int start_daemon(struct api_server *server, int listen_fd)
{
    /* libmicrohttpd closes the one it gets. */
    int fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 3);
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int code = errno;

        close_fd(&fd);
        return -code;
    }
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
        server->kept + CONNECTIONS_MORE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_END);
    if (!server->daemon) {
        close_fd(&fd);
        return -ENOMEM;
    }
    return 0;
}

static int watch_daemon(struct api_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event event = {.events = EPOLLIN};

    if (!info)
        return -EINVAL;
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) < 0 ? -errno : 0;
}

int api_server_create(struct api *api, int listen_fd, size_t payload_max_bytes,
                      struct api_server **out, struct husk_error *err)
{
    static const char cannot_serve[] = "cannot serve the API";
    struct api_server *server = calloc(1, sizeof(*server));
    int ret;

    if (!server)
        return error_set(err, ENOMEM, "", cannot_serve, NULL);
    server->api = api;
    server->payload_max_bytes = payload_max_bytes;
    server->kept = connections_to_keep();
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ret = server->epoll_fd < 0 ? -errno : start_daemon(server, listen_fd);
    if (!ret)
        ret = watch_daemon(server);
    if (ret) {
        api_server_destroy(server);
        return error_set(err, -ret, "", cannot_serve, NULL);
    }
    *out = server;
    return 0;
}

void api_server_destroy(struct api_server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    close_fd(&server->epoll_fd);
    free(server);
}

int api_server_fd(const struct api_server *server)
{
    return server->epoll_fd;
}

/* When a connection has had its time, 0 when it cannot run out. */
static uint64_t deadline_ns(const struct connection *connection)
{
    if (!connection->mhd || connection->closing)
        return 0;
    return connection->since_ns + (connection->receiving ? REQUEST_PATIENCE_NS : IDLE_PATIENCE_NS);
}

int api_server_timeout_ms(struct api_server *server)
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

/* See for which connections bytes have come. */
static void note_arrivals(struct api_server *server)
{
    struct epoll_event events[EVENTS_A_TURN];
    int count = epoll_wait(server->epoll_fd, events, EVENTS_A_TURN, 0);

    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;

        if (!connection || !connection->mhd || connection->receiving)
            continue;
        connection->receiving = true;
        connection->since_ns = monotonic_ns();
    }
}

void api_server_run(struct api_server *server)
{
    uint64_t now_ns;

    note_arrivals(server);
    server->again = false;
    MHD_run(server->daemon);
    now_ns = monotonic_ns();
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        uint64_t at_ns = deadline_ns(&server->connections[i]);

        if (at_ns && at_ns <= now_ns)
            hang_up(&server->connections[i]);
    }
}
