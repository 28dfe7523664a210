// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor's side of the control socket (control.h): connections, hello, frames, answers.
 * What the requests mean is the owner's. Everything happens on the loop's thread.
 *
 * Clients are hostile: each has bounded space, a bounded part of a turn of the loop, and loses its
 * connection with the first rule that it breaks.
 */
#ifndef HUSK_POD_CONTROL_SERVER_H
#define HUSK_POD_CONTROL_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "husk/error.h"
#include "pod/control/control.h"

struct server;

/* A request that is to be answered once; the connection may be gone by then. */
struct ticket {
    uint64_t connection; /* 0: nobody waits */
    int64_t id;
};

struct server_callbacks {
    /* `params` is an object, borrowed. Answer now or later. */
    void (*request)(void *arg, struct ticket ticket, const char *method, const json_t *params);
    /* The connection is gone; `left` others are there. */
    void (*closed)(void *arg, uint64_t connection, unsigned left);
    void *arg;
};

/* `listener` is taken over, `hello` stolen: the members of the supervisor's hello beside "husk"
 * (NULL: no memory). */
int server_open(struct event_loop *loop, const struct log *log, int listener, json_t *hello,
                const struct server_callbacks *callbacks, struct server **out);

/* A connection that was made otherwise, of somebody trusted; the descriptor is taken in any case.
 */
void server_adopt(struct server *server, int fd);

/* Steals the result; NULL (no memory) ends the connection. */
void server_answer(struct server *server, struct ticket ticket, json_t *result);
/* The same with descriptors, which are closed here in any case. */
void server_answer_fds(struct server *server, struct ticket ticket, json_t *result, const int *fds,
                       unsigned fd_count);
/* `status`: see ERROR in control.h; 0: none. */
void server_refuse(struct server *server, struct ticket ticket, const struct husk_error *error,
                   int status);

/* This connection wants events. */
void server_subscribe(struct server *server, struct ticket ticket);
/* To all who do; the event is stolen, NULL is nothing. */
void server_tell(struct server *server, json_t *event);

/* Nobody new any more. */
void server_stop_listening(struct server *server);

/* How many connections there are. */
unsigned server_count(const struct server *server);

/* Whether everything that was said has been sent. */
bool server_is_idle(const struct server *server);

/* Closes everything; no callback comes any more. Takes NULL. */
void server_close(struct server *server);

/* An ERROR of the protocol, for who has no server (yet): a new reference. */
json_t *server_error_json(const struct husk_error *error, int status);

#endif
