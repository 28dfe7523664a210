// SPDX-License-Identifier: Apache-2.0
/* The first frame of a connection: versions, and what it is for (husk/agent.h, "Hello"). */
#ifndef HUSK_GUEST_AGENT_HELLO_H
#define HUSK_GUEST_AGENT_HELLO_H

#include <jansson.h>

#include "base/error.h"
#include "guest/agent/agent.h"
#include "guest/agent/relay.h"

struct stream;

enum hello_role { HELLO_CONTROL, HELLO_STREAM, HELLO_DIAL };

struct hello {
    enum hello_role role;
    unsigned minor;              /* the lower of both sides' */
    struct stream *stream;       /* of HELLO_STREAM: the one that is wanted */
    union relay_address address; /* of HELLO_DIAL */
};

int hello_read(const struct agent *agent, const json_t *message, struct hello *out,
               struct husk_error *err);

/* Answer, as a frame, on a connection that has been told nothing yet and so takes it at once; one
 * that does not belongs to nobody. `error` is NULL for a welcome. 0 or -errno. */
int hello_send(const struct agent *agent, int fd, const struct husk_error *error);

#endif
