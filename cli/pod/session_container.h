// SPDX-License-Identifier: Apache-2.0
/* The other side of a session with a container: its supervisor (pod/supervisor/protocol.h). */
#ifndef HUSK_CLI_POD_SESSION_CONTAINER_H
#define HUSK_CLI_POD_SESSION_CONTAINER_H

#include "cli/pod/session.h"
#include "pod/control/client.h"

struct session_container {
    struct control_client *client; /* borrowed; so is process */
    const char *process;           /* NULL: the container's first */
    bool start;
    uint64_t start_id, wait_id;
    struct control_message message; /* the last one, whose texts are in the news */
};

extern const struct session_ops session_container_ops;

/* Makes the session one with it. `peer` is then session_container_clear()'s. */
void session_container_begin(struct session *session, struct session_container *peer,
                             struct control_client *client, const char *process);
/* Takes a zeroed one. */
void session_container_clear(struct session_container *peer);

/* Takes the descriptors of an answer to "attach" or "exec". -EPROTO and others. */
int session_container_streams(struct session *session, struct control_message *answer,
                              struct husk_error *err);

#endif
