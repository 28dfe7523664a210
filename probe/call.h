// SPDX-License-Identifier: Apache-2.0
/*
 * One call of grpc.health.v1.Health/Check over HTTP/2 (RFC 9113), in memory: bytes to send, bytes
 * that came, and what it all means. Frames and header compression are libnghttp2's.
 */
#ifndef HUSK_PROBE_CALL_H
#define HUSK_PROBE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/protocol.h"

#define CALL_INPUT_MAX 262144u /* bytes of all that a server may say */

struct call;

/* A service of a server, and its address as the call is to name it. NULL without memory. */
struct call *call_new(const char *service, const char *authority);
/* Takes NULL. */
void call_free(struct call *call);

/* What is to be sent next, until the following call of this function; 0: nothing now. */
size_t call_output(struct call *call, const uint8_t **bytes);
void call_input(struct call *call, const uint8_t *bytes, size_t len);
/* Nothing more comes. */
void call_closed(struct call *call);

/* Whether it is over, and what it means then. */
bool call_over(const struct call *call, enum probe_end *end);

#endif
