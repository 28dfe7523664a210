// SPDX-License-Identifier: Apache-2.0
/*
 * Requests that are not carried out at once (husk/agent.h, "Order"): those whose answer comes
 * later, and those that wait because what they name is busy.
 */
#ifndef HUSK_GUEST_AGENT_PENDING_H
#define HUSK_GUEST_AGENT_PENDING_H

#include "guest/agent/request.h"

struct pending;

/* The request will be answered later, if its connection is still there then; exactly one of the two
 * below is to be called. NULL, with the error filled, without memory. */
struct pending *pending_begin(struct request *request, struct husk_error *err);

/* Both free it. The result is stolen; NULL (no memory) ends the connection. */
void pending_answer(struct pending *pending, json_t *result);
void pending_refuse(struct pending *pending, const struct husk_error *error);

/* Whether the request has to wait for its container or process, or for others that wait for them:
 * then it is kept, message and all, and will be handled again. -ENOMEM with the error filled. */
int pending_wait(struct request *request, bool *waits, struct husk_error *err);

/* Something is not busy any more: whoever waited for it is handled in the loop's next turn. */
void pending_look_again(struct agent *agent);

/* The connection goes. */
void pending_forget(struct agent *agent, const struct connection *connection);

/* The agent's timer for that (0 or -errno); and the end, when no connection is left. */
int pending_init(struct agent *agent);
void pending_end(struct agent *agent);

#endif
