// SPDX-License-Identifier: Apache-2.0
/* The first frame of a connection: versions, and what it is for (husk/agent.h, "Hello"). */
#ifndef HUSK_GUEST_AGENT_HELLO_H
#define HUSK_GUEST_AGENT_HELLO_H

#include <jansson.h>

#include "guest/agent/agent.h"
#include "base/error.h"

struct stream;

/* *stream becomes the stream that is wanted, or NULL for a control connection. */
int hello_read(const struct agent *agent, const json_t *message, struct stream **stream,
               struct husk_error *err);

/* A new object; `error` is NULL for a welcome. */
json_t *hello_answer(const struct agent *agent, const struct husk_error *error);

#endif
