// SPDX-License-Identifier: Apache-2.0
/*
 * A client of a supervisor's control socket (control.h). Blocking calls, or by pieces for a caller
 * with a poll loop; one thread at a time.
 */
#ifndef HUSK_POD_CONTROL_CLIENT_H
#define HUSK_POD_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/control/control.h"

struct control_client;

/* A message of the supervisor's. */
struct control_message {
    bool is_event;
    uint64_t id;  /* of the request that it answers */
    json_t *body; /* "result" of an answer (NULL when it is an error), or the whole event; ours */
    struct husk_error error;  /* of an answer; code 0: none */
    int status;               /* "status" of an error; 0: none */
    int fds[CONTROL_FDS_MAX]; /* ours; -1 where there is none */
    unsigned fd_count;
};

/* Closes what was not taken out (set body to NULL, fds to -1) and zeroes it. */
void control_message_clear(struct control_message *message);

/* Says hello on a connected socket, which it takes in any case. Waits for the answer.
 * -EPROTO: no supervisor, or of another version; other codes are what the supervisor answered,
 * start-up errors included. */
int control_client_open(int fd, struct control_client **out, struct husk_error *err);
/* Takes NULL. */
void control_client_close(struct control_client *client);

/* Sends a request; steals params (NULL: none). Blocks while the socket is full. *id tells its
 * answer. */
int control_client_send(struct control_client *client, const char *method, json_t *params,
                        uint64_t *id, struct husk_error *err);

/* For a poll loop: readable when control_client_receive() has something to do. */
int control_client_fd(const struct control_client *client);

/* Whether messages were kept (below), for which the descriptor does not become readable. */
bool control_client_has_kept(const struct control_client *client);

/* The next answer or event: 1 with *out filled, 0 when there is none yet and wait is false,
 * -ECONNRESET when the supervisor is gone (its end too), -EPROTO. */
int control_client_receive(struct control_client *client, bool wait, struct control_message *out,
                           struct husk_error *err);

/*
 * Sends a request and waits for its answer, however long it takes; events and answers to others
 * that come meanwhile are kept for control_client_receive(). An error of the answer is returned
 * with the code of agent_read_error() (pod/agent/answer.h); out->status is filled then, too. *out,
 * which may be NULL, is the caller's to clear.
 */
int control_client_call(struct control_client *client, const char *method, json_t *params,
                        struct control_message *out, struct husk_error *err);

#endif
