// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1.1 (RFC 9112) from a listening unix stream socket, driven from the caller's loop.
 *
 * Bounded in all directions: connections, memory for each, body bytes, seconds for a request to
 * come in. When all connections are taken, a newcomer takes the place of the one that has been
 * silent the longest, so that nobody can lock others out by holding connections open.
 *
 * Threads: everything is called by the loop's one thread, but http_answer(), which any thread may
 * call.
 */
#ifndef HUSK_HTTP_SERVER_H
#define HUSK_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

struct http_server;
struct http_exchange; /* one request, until its answer has gone out */

/* Everything is borrowed, and there until the exchange is answered. */
struct http_request {
    const char *method;
    const char *path;    /* as the client wrote it, without the query */
    const char *accept;  /* of the header, or NULL */
    const char *upgrade; /* the protocol that the client would rather speak, or NULL */
    const char *body;    /* body_len bytes, any; may be NULL when there are none */
    size_t body_len;
};

/*
 * What a connection becomes after status 101. `take` is called once, on the loop's thread: fd is
 * the connection, blocking, and the handler's from now on; or -1 when the client has gone, or the
 * server is destroyed, before. `early`: bytes that came with the request.
 */
struct http_upgrade {
    const char *protocol; /* NULL: none */
    void (*take)(void *arg, int fd, const void *early, size_t early_len);
    void *arg;
};

struct http_response {
    int status;
    const char *content_type;
    char *body; /* owned: free(); NULL when there is none */
    size_t body_len;
    bool deprecated; /* the request used what may go */
    /* Instead of a body: what this stream gives until it ends, as it comes. Owned; -1: none. It is
     * closed early when the client goes. */
    int stream_fd;
    struct http_upgrade upgrade; /* with status 101 */
};

#define HTTP_RESPONSE_INIT \
    {                      \
        .stream_fd = -1    \
    }

struct http_handler {
    void *arg;
    /* Answers by http_answer(), exactly once: before it returns, or later. */
    void (*handle)(void *arg, struct http_exchange *exchange, const struct http_request *request);
    /* What to say to a body of so many bytes, which are too many. */
    void (*refuse_size)(void *arg, uint64_t bytes, size_t max_bytes,
                        struct http_response *response);
};

struct http_options {
    size_t body_max_bytes;
    /* Answers may come later, or be streams or upgrades. Such a server has an eventfd more. */
    bool later;
};

/* listen_fd stays the caller's; it is made non-blocking. *handler is copied. -errno. */
int http_server_create(const struct http_handler *handler, const struct http_options *options,
                       int listen_fd, struct http_server **out);

/* Every exchange must have been answered. NULL is fine. */
void http_server_destroy(struct http_server *server);

/* For the caller's loop: readable when http_server_run() has work, which it also has after the
 * timeout (-1: none). _run() never blocks but for what handlers do. */
int http_server_fd(const struct http_server *server);
int http_server_timeout_ms(struct http_server *server);
void http_server_run(struct http_server *server);

/* Takes all that *response owns. Any thread; the exchange may be gone afterwards. */
void http_answer(struct http_exchange *exchange, const struct http_response *response);

/*
 * The values of the query's parameters in their order, percent-decoded; a parameter without "=" has
 * the value "". Returns false when `fn` did, or when a value is no text: an escape that is none, or
 * a NUL. On the loop's thread, in handle().
 */
typedef bool (*http_parameter_fn)(void *arg, const char *name, const char *value);
bool http_parameters(struct http_exchange *exchange, http_parameter_fn fn, void *arg);

#endif
