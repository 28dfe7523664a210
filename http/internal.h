// SPDX-License-Identifier: Apache-2.0
/* What server.c (connections) and exchange.c (requests and their answers) share. */
#ifndef HUSK_HTTP_INTERNAL_H
#define HUSK_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>

#include "http/server.h"

#define CONNECTIONS_KEPT 48u /* beyond these, the longest silent one goes */
/* libmicrohttpd accepts up to ten at once before it asks whether they may stay. */
#define CONNECTIONS_MORE 16u
#define CONNECTIONS_MAX  (CONNECTIONS_KEPT + CONNECTIONS_MORE)

/* What our epoll instance reports on. */
enum watched { WATCHED_CONNECTION, WATCHED_STREAM, WATCHED_WAKE };

struct watch {
    enum watched kind;
    void *object; /* struct connection, struct http_exchange */
};

struct connection {
    struct MHD_Connection *mhd; /* NULL: a free place */
    struct http_exchange *exchange;
    struct watch watch;
    int fd;
    bool receiving; /* a request has begun to come in */
    bool closing;
    uint64_t since_ns; /* receiving: its first byte; else the last answer, or the accept */
};

enum exchange_state {
    EXCHANGE_INCOMING,
    EXCHANGE_HANDLED, /* the handler has it */
    EXCHANGE_ANSWERED,
    EXCHANGE_SENT, /* libmicrohttpd has the answer, and maybe still asks for more of it */
};

struct http_exchange {
    struct http_server *server;
    struct connection *connection;
    struct http_request request;
    char *body;
    size_t capacity;
    uint64_t seen_bytes; /* of the body, kept or not */
    /* From HANDLED to ANSWERED another thread's, under the server's lock; the state is looked at
     * without it, too. */
    _Atomic enum exchange_state state;
    struct http_response response;
    struct http_exchange *next_answered;
    /* The loop's. */
    bool suspended;     /* libmicrohttpd does not look at the connection */
    struct watch watch; /* of the stream */
    int stream_fd;
    struct http_upgrade upgrade; /* not taken yet */
};

struct http_server {
    struct http_handler handler;
    struct http_options options;
    struct MHD_Daemon *daemon;
    int epoll_fd, wake_fd;
    struct watch wake;
    unsigned kept; /* so many connections stay */
    bool again;    /* libmicrohttpd has work that no descriptor tells of */
    struct connection connections[CONNECTIONS_MAX];
    pthread_mutex_t lock;
    struct http_exchange *answered; /* while suspended, by other threads */
};

/* libmicrohttpd's callbacks. */
enum MHD_Result exchange_on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_len, void **context);
void exchange_completed(struct http_exchange *exchange);

/* Lets libmicrohttpd look at it again, if it does not. */
void exchange_resume(struct http_exchange *exchange);
/* Answers that came from other threads. */
void exchange_resume_answered(struct http_server *server);

struct connection *server_find(struct http_server *server, const struct MHD_Connection *mhd);

#endif
