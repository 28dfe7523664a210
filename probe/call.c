// SPDX-License-Identifier: Apache-2.0
/* See call.h. The call is the connection's only stream; what else a server may do on a connection
 * is bounded by how much of it is read at all. */
#include "probe/call.h"

#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/checked.h"
#include "probe/health.h"
#include "probe/reply.h"

struct call {
    nghttp2_session *session;
    int32_t stream;
    uint8_t body[REPLY_PREFIX + HEALTH_REQUEST_MAX]; /* of the request */
    size_t body_len, body_sent;
    size_t input_bytes;
    struct reply reply;
    bool over;
    enum probe_end end;
};

static void finish(struct call *call, enum probe_end end)
{
    if (!call->over)
        call->end = end;
    call->over = true;
}

/* ---- what libnghttp2 asks and tells ---- */

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *out, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct call *call = arg;
    size_t len = call->body_len - call->body_sent;

    (void)session;
    (void)stream;
    (void)source;
    len = len < size ? len : size;
    memcpy(out, call->body + call->body_sent, len);
    call->body_sent += len;
    if (call->body_sent == call->body_len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct call *call = arg;

    (void)session;
    (void)flags;
    if (frame->hd.stream_id == call->stream)
        reply_field(&call->reply, name, name_len, value, value_len);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t len, void *arg)
{
    struct call *call = arg;

    (void)session;
    (void)flags;
    if (stream == call->stream)
        reply_data(&call->reply, bytes, len);
    return 0;
}

/* A server may end its answer before it has all of the request: with an error code or without. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct call *call = arg;

    (void)session;
    if (frame->hd.stream_id == call->stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
        (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        finish(call, reply_end(&call->reply));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct call *call = arg;

    (void)session;
    (void)error;
    if (stream == call->stream)
        finish(call, PROBE_END_RESET);
    return 0;
}

/* ---- the call ---- */

static int open_session(struct call *call)
{
    nghttp2_session_callbacks *callbacks = NULL;
    int ret = nghttp2_session_callbacks_new(&callbacks);

    if (!ret) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        ret = nghttp2_session_client_new(&call->session, callbacks, call);
    }
    nghttp2_session_callbacks_del(callbacks);
    return ret;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static int submit(struct call *call, const char *authority)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16384},
    };
    const nghttp2_nv fields[] = {
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", "/grpc.health.v1.Health/Check"),
        field(":authority", authority),
        field("content-type", "application/grpc"),
        field("user-agent", "kube-probe/husk"),
        field("te", "trailers"),
    };
    const nghttp2_data_provider body = {.read_callback = on_read};
    int ret =
        nghttp2_submit_settings(call->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));

    if (ret)
        return ret;
    call->stream =
        nghttp2_submit_request(call->session, NULL, fields, ARRAY_SIZE(fields), &body, NULL);
    return call->stream < 0 ? call->stream : 0;
}

struct call *call_new(const char *service, const char *authority)
{
    struct call *call = calloc(1, sizeof(*call));
    size_t len;

    if (!call)
        return NULL;
    /* The prefix: not compressed, and the length. */
    len = health_request(service, call->body + REPLY_PREFIX);
    call->body[3] = (uint8_t)(len >> 8);
    call->body[4] = (uint8_t)len;
    call->body_len = REPLY_PREFIX + len;
    if (open_session(call) || submit(call, authority)) {
        call_free(call);
        return NULL;
    }
    return call;
}

void call_free(struct call *call)
{
    if (!call)
        return;
    nghttp2_session_del(call->session);
    free(call);
}

size_t call_output(struct call *call, const uint8_t **bytes)
{
    ssize_t len = nghttp2_session_mem_send(call->session, bytes);

    /* With the last word of a session that was ended by a rule, no other is wanted. */
    if (len < 0 || !nghttp2_session_want_read(call->session))
        finish(call, PROBE_END_NO_HTTP2);
    return len > 0 ? (size_t)len : 0;
}

void call_input(struct call *call, const uint8_t *bytes, size_t len)
{
    if (call->over)
        return;
    call->input_bytes += len;
    if (nghttp2_session_mem_recv(call->session, bytes, len) < 0)
        finish(call, PROBE_END_NO_HTTP2);
    else if (call->input_bytes > CALL_INPUT_MAX)
        finish(call, PROBE_END_TOO_MUCH);
}

void call_closed(struct call *call)
{
    finish(call, call->input_bytes ? PROBE_END_RESET : PROBE_END_SILENT);
}

bool call_over(const struct call *call, enum probe_end *end)
{
    if (call->over)
        *end = call->end;
    return call->over;
}
