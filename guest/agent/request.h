// SPDX-License-Identifier: Apache-2.0
/* Requests: from a message to a handler, from its outcome to an answer. */
#ifndef HUSK_GUEST_AGENT_REQUEST_H
#define HUSK_GUEST_AGENT_REQUEST_H

#include <jansson.h>

#include "guest/agent/agent.h"
#include "guest/agent/connection.h"
#include "guest/agent/node.h"

/* One request being carried out. */
struct request {
    struct agent *agent;
    struct connection *connection;
    const json_t *message;
    size_t bytes; /* of the message */
    int64_t id;
    const char *method;
    struct node params;
    json_t *result; /* an empty object for the handler to fill */
    bool deferred;  /* it will be answered later */
};

/* Returns 0, or -errno with the error filled. */
typedef int (*request_fn)(struct request *request, struct husk_error *err);

struct request_method {
    const char *name;
    const char *const *members; /* of its params */
    request_fn handle;
};

/* Each ends with a NULL name. */
extern const struct request_method container_methods[], archive_methods[], contents_methods[],
    pod_methods[];

/* A message of so many bytes. Answers, now or later, in any case but one: -EPROTO when the message
 * is no request, or -ENOMEM. */
int request_handle(struct agent *agent, struct connection *connection, const json_t *message,
                   size_t bytes);

/* ERROR of husk/agent.h; NULL without memory. */
json_t *request_error_json(const struct husk_error *error);

/* A name, in the member `key`. */
int request_name(const struct node *params, const char *key, const char **out,
                 struct husk_error *err);

#endif
