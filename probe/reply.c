// SPDX-License-Identifier: Apache-2.0
#include "probe/reply.h"

#include <string.h>

#include "probe/health.h"

#define CODE_UNKNOWN 2
#define CODE_LAST    16

static bool is(const uint8_t *bytes, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

static bool begins(const uint8_t *bytes, size_t len, const char *text)
{
    return len >= strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

/* A decimal number; what it cannot be, or is not known, is UNKNOWN. */
static int read_code(const uint8_t *bytes, size_t len)
{
    int code = 0;

    if (len == 0 || len > 2)
        return CODE_UNKNOWN;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return CODE_UNKNOWN;
        code = code * 10 + (bytes[i] - '0');
    }
    return code <= CODE_LAST ? code : CODE_UNKNOWN;
}

void reply_field(struct reply *reply, const uint8_t *name, size_t name_len, const uint8_t *value,
                 size_t value_len)
{
    static const char type[] = "application/grpc";

    if (is(name, name_len, ":status")) {
        reply->http_ok = is(value, value_len, "200");
    } else if (is(name, name_len, "content-type")) {
        /* "application/grpc", and perhaps "+proto" or parameters. */
        reply->grpc = begins(value, value_len, type) &&
                      (value_len == sizeof(type) - 1 || value[sizeof(type) - 1] == '+' ||
                       value[sizeof(type) - 1] == ';');
    } else if (is(name, name_len, "grpc-status")) {
        reply->has_code = true;
        reply->code = read_code(value, value_len);
    }
}

void reply_data(struct reply *reply, const uint8_t *bytes, size_t len)
{
    size_t room = sizeof(reply->body) - reply->body_len;

    if (len > room) {
        reply->too_long = true;
        len = room;
    }
    memcpy(reply->body + reply->body_len, bytes, len);
    reply->body_len += len;
}

/* One message, which is not compressed: we have not said that it may be. */
static bool is_message(const struct reply *reply)
{
    const uint8_t *body = reply->body;
    uint64_t len;

    if (reply->too_long || reply->body_len < REPLY_PREFIX || body[0] != 0)
        return false;
    len = (uint64_t)body[1] << 24 | (uint64_t)body[2] << 16 | (uint64_t)body[3] << 8 | body[4];
    return len == reply->body_len - REPLY_PREFIX;
}

enum probe_end reply_end(const struct reply *reply)
{
    int32_t status;

    if (!reply->http_ok || !reply->grpc || !reply->has_code)
        return PROBE_END_NO_GRPC;
    if (reply->code)
        return (enum probe_end)(PROBE_END_CODE + reply->code);
    if (!is_message(reply) ||
        health_read(reply->body + REPLY_PREFIX, reply->body_len - REPLY_PREFIX, &status))
        return PROBE_END_NO_GRPC;
    if (status == HEALTH_SERVING)
        return PROBE_END_WELL;
    /* What is not known is what "unknown" is for. */
    if (status < 0 || status > HEALTH_SERVICE_UNKNOWN)
        status = HEALTH_UNKNOWN;
    return (enum probe_end)(PROBE_END_HEALTH + status);
}
