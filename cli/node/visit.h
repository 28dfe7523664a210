// SPDX-License-Identifier: Apache-2.0
/* One request that has a thread of its own: what its parts share. */
#ifndef HUSK_CLI_NODE_VISIT_H
#define HUSK_CLI_NODE_VISIT_H

#include <pthread.h>

#include "cli/node/answer.h"
#include "cli/node/api.h"

struct visit {
    const struct api_options *options;
    int stop_fd;                    /* readable when the agent ends; the API's */
    struct http_exchange *exchange; /* NULL once it is answered */
    struct route route;
    struct parameters parameters;
    char *name; /* of the pod, as the library takes it; "" */
    const char *body;
    size_t body_len;
    bool wants_upgrade;
    struct husk_pods *pods; /* of this visit */
    /* Of the API. */
    struct api *api;
    struct visit *next;
    pthread_t thread;
};

/* Answers; once. */
void visit_answer(struct visit *visit, const struct http_response *response);
void visit_refuse(struct visit *visit, int status, const char *message);
void visit_error(struct visit *visit, const struct husk_error *err);

/* Each verb answers, and returns when it is over. */
void visit_list(struct visit *visit);
void visit_get(struct visit *visit);
void visit_apply(struct visit *visit);
void visit_start(struct visit *visit);
void visit_stop(struct visit *visit);
void visit_delete(struct visit *visit);
void visit_stats(struct visit *visit);
void visit_metrics(struct visit *visit);
void visit_log(struct visit *visit);
void visit_events(struct visit *visit);
void visit_exec(struct visit *visit);
void visit_port_forward(struct visit *visit);

/* Answers with 200 and a stream, whose other end is *fd, the caller's. */
int visit_begin_stream(struct visit *visit, const char *content_type, int *fd);

/* Answers with 101; *fd is the connection, the caller's, and `early` what came on it already, of
 * *early_len bytes, the caller's to free. -ECONNRESET when the client has gone. */
int visit_upgrade(struct visit *visit, const char *protocol, int *fd, void **early,
                  size_t *early_len);

/* All of it, while the client and the agent live: 0, or -errno. */
int visit_write(struct visit *visit, int fd, const void *bytes, size_t len);

#endif
