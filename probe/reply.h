// SPDX-License-Identifier: Apache-2.0
/*
 * The answer to a call of grpc.health.v1.Health/Check as it comes out of HTTP/2: fields, pieces of
 * the body, the end; and what it means. Pure; zeroed is a fresh one.
 *
 * Reference: "gRPC over HTTP2" (PROTOCOL-HTTP2) of the documentation of gRPC.
 */
#ifndef HUSK_PROBE_REPLY_H
#define HUSK_PROBE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/protocol.h"

#define REPLY_MESSAGE_MAX 1024u /* an answer has two bytes, unless it knows more than we do */
#define REPLY_PREFIX      5u    /* a flag, and the length of the message that follows */

struct reply {
    bool http_ok, grpc; /* its status is 200; it says that it is gRPC */
    int code;           /* gRPC's status, when has_code */
    bool has_code;
    uint8_t body[REPLY_PREFIX + REPLY_MESSAGE_MAX];
    size_t body_len;
    bool too_long;
};

/* A field of the head or of the trailers; bytes, not texts. */
void reply_field(struct reply *reply, const uint8_t *name, size_t name_len, const uint8_t *value,
                 size_t value_len);
void reply_data(struct reply *reply, const uint8_t *bytes, size_t len);
/* It is complete: what it means. PROBE_END_WELL: the service is serving. */
enum probe_end reply_end(const struct reply *reply);

#endif
