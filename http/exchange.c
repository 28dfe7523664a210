// SPDX-License-Identifier: Apache-2.0
/*
 * One request and its answer: the body as it comes in, the handler, and what goes out.
 *
 *     INCOMING --end of the body--> HANDLED --http_answer()--> ANSWERED --queued--> SENT
 *
 * While a handler takes its time, and while a stream has nothing to send, libmicrohttpd is told not
 * to look at the connection ("suspended"). A client that goes meanwhile is seen by our own watch of
 * the connection (server.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "base/parse.h"
#include "http/internal.h"

#define DISCARDED_BYTES_MAX (1u << 20)
#define BODY_FIRST_BYTES    1024u
#define STREAM_BLOCK_BYTES  16384u

static void suspend(struct http_exchange *exchange)
{
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection->mhd);
}

void exchange_resume(struct http_exchange *exchange)
{
    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    MHD_resume_connection(exchange->connection->mhd);
    exchange->server->again = true;
}

/* A piece of the stream, or suspended until there is one. */
static ssize_t read_stream(void *arg, uint64_t position, char *bytes, size_t max)
{
    struct http_exchange *exchange = arg;
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = &exchange->watch};
    ssize_t got;

    if (exchange->connection->closing)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    got = recv(exchange->stream_fd, bytes, max, MSG_DONTWAIT);
    if (got > 0) {
        exchange->connection->since_ns = monotonic_ns();
        return got;
    }
    if (got == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if ((errno != EAGAIN && errno != EINTR) ||
        epoll_ctl(exchange->server->epoll_fd, EPOLL_CTL_MOD, exchange->stream_fd, &event) < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    suspend(exchange);
    return 0;
}

/*
 * Puts the stream into the epoll instance, not watched yet.
 *
 * A connection that ends while its response is read stays closed, but in its place: with epoll
 * libmicrohttpd 0.9.75 does not look at it again. It looks at each turn at those with a timeout of
 * their own, so these have one, which never runs out.
 */
static struct MHD_Response *stream_response(struct http_exchange *exchange)
{
    struct epoll_event event = {.events = EPOLLONESHOT, .data.ptr = &exchange->watch};

    exchange->watch = (struct watch){.kind = WATCHED_STREAM, .object = exchange};
    if (epoll_ctl(exchange->server->epoll_fd, EPOLL_CTL_ADD, exchange->stream_fd, &event) < 0)
        return NULL;
    MHD_set_connection_option(exchange->connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, UINT_MAX);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream,
                                             exchange, NULL);
}

/* The connection is the handler's: libmicrohttpd gets rid of its descriptor, and ours lives on. */
static void on_upgrade(void *arg, struct MHD_Connection *mhd, void *context, const char *early,
                       size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    struct http_exchange *exchange = arg;
    struct http_upgrade upgrade = exchange->upgrade;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int flags = own < 0 ? -1 : fcntl(own, F_GETFL);

    /* Closing would not end a watch while there is a duplicate. */
    epoll_ctl(exchange->server->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    exchange->upgrade = (struct http_upgrade){0};
    if (own >= 0 && (flags < 0 || fcntl(own, F_SETFL, flags & ~O_NONBLOCK) < 0))
        close_fd(&own);
    upgrade.take(upgrade.arg, own, early, early_len);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    exchange->server->again = true;
}

static struct MHD_Response *make_response(struct http_exchange *exchange,
                                          struct http_response *response)
{
    if (exchange->upgrade.take)
        return MHD_create_response_for_upgrade(on_upgrade, exchange);
    if (exchange->stream_fd >= 0)
        return stream_response(exchange);
    return MHD_create_response_from_buffer(response->body_len, response->body ? response->body : "",
                                           response->body ? MHD_RESPMEM_MUST_FREE
                                                          : MHD_RESPMEM_PERSISTENT);
}

/* Takes what the response owns. */
static enum MHD_Result send_response(struct http_exchange *exchange, struct http_response *response)
{
    struct MHD_Response *out;
    enum MHD_Result ret;

    exchange->state = EXCHANGE_SENT;
    exchange->connection->since_ns = monotonic_ns();
    exchange->stream_fd = response->stream_fd;
    exchange->upgrade = response->upgrade;
    out = make_response(exchange, response);
    if (!out) {
        free(response->body);
        return MHD_NO;
    }
    if (response->content_type && (response->body || response->stream_fd >= 0))
        MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    if (response->upgrade.take)
        MHD_add_response_header(out, MHD_HTTP_HEADER_UPGRADE, response->upgrade.protocol);
    if (response->deprecated)
        MHD_add_response_header(out, "Deprecation", "true");
    ret = MHD_queue_response(exchange->connection->mhd, (unsigned)response->status, out);
    MHD_destroy_response(out);
    return ret;
}

void http_answer(struct http_exchange *exchange, const struct http_response *response)
{
    struct http_server *server = exchange->server;

    pthread_mutex_lock(&server->lock);
    exchange->response = *response;
    exchange->state = EXCHANGE_ANSWERED;
    if (exchange->suspended) {
        exchange->next_answered = server->answered;
        server->answered = exchange;
        eventfd_signal(server->wake_fd);
    }
    pthread_mutex_unlock(&server->lock);
}

void exchange_resume_answered(struct http_server *server)
{
    struct http_exchange *exchange;

    pthread_mutex_lock(&server->lock);
    exchange = server->answered;
    server->answered = NULL;
    pthread_mutex_unlock(&server->lock);
    while (exchange) {
        struct http_exchange *next = exchange->next_answered;

        exchange_resume(exchange);
        exchange = next;
    }
}

static enum MHD_Result refuse_size(struct http_exchange *exchange, uint64_t bytes)
{
    struct http_server *server = exchange->server;
    struct http_response response = HTTP_RESPONSE_INIT;

    server->handler.refuse_size(server->handler.arg, bytes, server->options.body_max_bytes,
                                &response);
    return send_response(exchange, &response);
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
static bool keep(struct http_exchange *exchange, const char *bytes, size_t len)
{
    size_t have = exchange->request.body_len;

    exchange->seen_bytes += len;
    if (exchange->seen_bytes > exchange->server->options.body_max_bytes)
        return true;
    if (have + len > exchange->capacity) {
        size_t capacity = exchange->capacity ? exchange->capacity : BODY_FIRST_BYTES;
        char *body;

        while (capacity < have + len)
            capacity *= 2;
        body = realloc(exchange->body, capacity);
        if (!body)
            return false;
        exchange->body = body;
        exchange->capacity = capacity;
    }
    memcpy(exchange->body + have, bytes, len);
    exchange->request.body_len += len;
    return true;
}

static enum MHD_Result begin(struct http_server *server, struct MHD_Connection *mhd, void **context)
{
    bool asks_first = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    struct connection *connection = server_find(server, mhd);
    struct http_exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;
    uint64_t bytes = announced_bytes(mhd);

    if (!exchange)
        return MHD_NO;
    exchange->server = server;
    exchange->connection = connection;
    exchange->stream_fd = -1;
    connection->exchange = exchange;
    *context = exchange;
    /* An answer before the body has come is lost on clients that write before they read, because
     * closing resets the connection. So bodies that are not absurd are read, and dropped; but for
     * clients that ask before they send (RFC 9110, 10.1.1). */
    if (bytes > server->options.body_max_bytes && (asks_first || bytes > DISCARDED_BYTES_MAX))
        return refuse_size(exchange, bytes);
    return MHD_YES;
}

/* The whole request is there. */
static enum MHD_Result hand_over(struct http_exchange *exchange, struct MHD_Connection *mhd,
                                 const char *url, const char *method)
{
    struct http_server *server = exchange->server;
    struct http_request *request = &exchange->request;

    if (exchange->seen_bytes > server->options.body_max_bytes)
        return refuse_size(exchange, exchange->seen_bytes);
    request->method = method;
    request->path = url;
    request->body = exchange->body;
    request->accept = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    request->upgrade = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_UPGRADE);
    exchange->state = EXCHANGE_HANDLED;
    server->handler.handle(server->handler.arg, exchange, request);
    pthread_mutex_lock(&server->lock);
    if (exchange->state == EXCHANGE_HANDLED)
        suspend(exchange);
    pthread_mutex_unlock(&server->lock);
    return exchange->suspended ? MHD_YES : send_response(exchange, &exchange->response);
}

/* libmicrohttpd calls this when the headers are there, for each piece of the body, at its end, and
 * once more when it was suspended there. */
enum MHD_Result exchange_on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_len, void **context)
{
    struct http_server *server = arg;
    struct http_exchange *exchange = *context;
    size_t len = *upload_len;

    if (!exchange)
        return begin(server, mhd, context);
    if (exchange->state == EXCHANGE_ANSWERED)
        return send_response(exchange, &exchange->response);
    if (exchange->state == EXCHANGE_SENT) { /* refused before its body */
        *upload_len = 0;
        return MHD_YES;
    }
    if (len == 0)
        return hand_over(exchange, mhd, url, method);
    *upload_len = 0;
    if (!keep(exchange, upload, len))
        return MHD_NO;
    return exchange->seen_bytes > server->options.body_max_bytes + DISCARDED_BYTES_MAX ? MHD_NO
                                                                                       : MHD_YES;
}

/* The end of it, however it came. An answer that nobody sent is owned by the exchange still. */
void exchange_completed(struct http_exchange *exchange)
{
    struct http_upgrade upgrade = exchange->upgrade;
    int stream_fd = exchange->stream_fd;

    if (exchange->state == EXCHANGE_ANSWERED) {
        free(exchange->response.body);
        stream_fd = exchange->response.stream_fd;
        upgrade = exchange->response.upgrade;
    }
    if (upgrade.take)
        upgrade.take(upgrade.arg, -1, NULL, 0);
    close_fd(&stream_fd); /* which ends its watch */
    free(exchange->body);
    free(exchange);
}
