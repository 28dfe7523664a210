// SPDX-License-Identifier: Apache-2.0
/*
 * Connections of the host: frames in, frames out (husk/agent.h). A connection begins without a
 * role; its hello makes it a control connection, or hands its descriptor to a stream and ends it.
 */
#ifndef HUSK_GUEST_AGENT_CONNECTION_H
#define HUSK_GUEST_AGENT_CONNECTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/agent.h"
#include "guest/agent/node.h"

/* Takes the descriptor in any case. */
void connection_accept(struct agent *agent, int fd);

/* Send an answer. Steals the result; NULL (no memory) ends the connection. */
void connection_answer(struct connection *connection, int64_t id, json_t *result);
void connection_refuse(struct connection *connection, int64_t id, const struct husk_error *error);

/* Of its requests, one more (or one less, -1) will be answered later. */
void connection_hold(struct connection *connection, int change);

/* A request of so many bytes waits, or does not any more. */
void connection_hold_request(struct connection *connection, size_t bytes);
void connection_release_request(struct connection *connection, size_t bytes);

/* To all control connections; the event stays the caller's. */
void connection_tell_all(struct agent *agent, const json_t *event);

void connection_close_all(struct agent *agent);

/* Try to send what waits, for at most this long: before the machine goes off. */
void connection_flush_all(struct agent *agent, unsigned patience_ms);

#endif
