// SPDX-License-Identifier: Apache-2.0
/*
 * A control connection to the agent of a machine: requests, answers, events (husk/agent.h).
 *
 * Asynchronous on one event loop; everything, callbacks included, happens on its thread. Callbacks
 * come from the loop, never from within a call here, but for agent_client_close(). In a callback
 * everything is allowed, closing the client too.
 *
 * The agent is hostile: a guest may have taken it over. It can lie, be silent, or flood; it cannot
 * make the client use more memory than the limits below allow, or more than a bounded part of one
 * turn of the loop. The first rule that it breaks ends the connection.
 *
 *     opening --hello--> ready --> lost      (only agent_client_close() leads out of lost)
 *
 * A client whose connection is lost stays lost: containers live on in the guest, so the owner may
 * open another one and ask for "state".
 */
#ifndef HUSK_POD_AGENT_CLIENT_H
#define HUSK_POD_AGENT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "husk/error.h"
#include "pod/agent/answer.h"
#include "pod/agent/connector.h"
#include "pod/agent/stream.h"

#define AGENT_CLIENT_REQUESTS_MAX 1024u      /* unanswered */
#define AGENT_CLIENT_OUTPUT_MAX   (4u << 20) /* bytes that wait to be read by the agent */

/* Long enough for every request but "wait": the agent gives a process that does not come up 10 s, a
 * container whose volumes are to be filled 2 min, and what names the container waits for that. */
#define AGENT_CLIENT_TIMEOUT_MS 180000u

struct agent_client;

struct agent_client_callbacks {
    /* The hello is done. Once. May be NULL. */
    void (*ready)(void *arg, const struct agent_hello *hello);
    /* An event; those of unknown names are left out. May be NULL. */
    void (*event)(void *arg, const struct agent_event *event);
    /* The connection is no more, or could not be made: see agent_dial_fn for the errors of the
     * latter; later ECONNRESET (the agent ended it), EPROTO (it broke a rule, which the error
     * names), ETIMEDOUT (a request was not answered in time). Once; then all requests are answered
     * with the same error, unless the client is closed first, which answers them, too. */
    void (*lost)(void *arg, const struct husk_error *why);
    void *arg;
};

/* Exactly one of both is not NULL. The result is an object, borrowed: its members are not checked
 * in any way. */
typedef void (*agent_answer_fn)(void *arg, const json_t *result, const struct husk_error *error);

/* Begin to connect; timeout_ms (at least 1) is how long the agent may take to be there and say
 * hello. Requests may be made at once. 0, or -errno with err filled. */
int agent_client_open(struct event_loop *loop, const struct agent_connector *connector,
                      uint32_t timeout_ms, const struct agent_client_callbacks *callbacks,
                      struct agent_client **out, struct husk_error *err);

/* Requests that are open are answered first, with ECANCELED. NULL is fine. */
void agent_client_close(struct agent_client *client);

/* What the agent said; NULL until it has. */
const struct agent_hello *agent_client_hello(const struct agent_client *client);

/*
 * Make a request. `params` is stolen in any case; NULL is {}. When this returns 0, fn is called
 * exactly once. timeout_ms: how long the answer may take, counted from when the client is ready; 0
 * for as long as it wants ("wait"). An answer that is late is the connection's end. Answers come in
 * any order (husk/agent.h, "Order"): what depends on another request's outcome waits for it.
 *
 * -errno with err filled, and fn is not called: -EMSGSIZE (longer than a frame), -ENOBUFS (too many
 * requests, or too much waits to be sent), -ENOTCONN (the connection is lost), -EINVAL, -ENOMEM.
 */
int agent_client_call(struct agent_client *client, const char *method, json_t *params,
                      uint32_t timeout_ms, agent_answer_fn fn, void *arg, struct husk_error *err);

/* While the machine is paused, its agent cannot answer: no time passes for requests. They all get
 * their whole time again afterwards. */
void agent_client_suspend(struct agent_client *client, bool suspended);

#endif
