// SPDX-License-Identifier: Apache-2.0
/*
 * A connected host program: see vsock_stream.h for the contract.
 *
 * The buffer is a ring that exists only while it holds something: most programs are fast enough
 * never to need one, and a guest may have many connections.
 *
 * Invariant: `delivered` plus `used` is the number of bytes written to the stream; each of them was
 * given to the socket once, in order, or dropped because the stream is deaf.
 */
#include "devices/backend/vsock_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/event_loop.h"
#include "base/io.h"

struct vsock_stream {
    int fd; /* owned */
    struct event_source *source;
    uint32_t watched;
    vsock_stream_fn fn;
    void *owner;

    uint8_t *buffer; /* NULL while `used` is 0 */
    uint32_t start, used;
    uint32_t delivered;
    bool deaf;
    bool reset; /* a write consumed the socket's ECONNRESET */
};

static void on_events(void *arg, uint32_t events)
{
    struct vsock_stream *stream = arg;

    if (stream->fn)
        stream->fn(stream->owner, events);
}

int vsock_stream_create(struct event_loop *loop, int fd, struct vsock_stream **out)
{
    struct vsock_stream *stream = calloc(1, sizeof(*stream));
    int ret;

    if (!stream)
        return -ENOMEM;
    ret = event_loop_add(loop, fd, 0, on_events, stream, &stream->source);
    if (ret) {
        free(stream);
        return ret;
    }
    stream->fd = fd;
    *out = stream;
    return 0;
}

void vsock_stream_close(struct vsock_stream *stream)
{
    if (!stream)
        return;
    event_source_remove(stream->source);
    close_fd(&stream->fd);
    free(stream->buffer);
    free(stream);
}

void vsock_stream_set_owner(struct vsock_stream *stream, vsock_stream_fn fn, void *owner)
{
    stream->fn = fn;
    stream->owner = owner;
}

void vsock_stream_watch(struct vsock_stream *stream, uint32_t events)
{
    if (stream->watched == events)
        return;
    event_source_watch(stream->source, events);
    stream->watched = events;
}

ssize_t vsock_stream_read(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    ssize_t n = recvmsg(stream->fd, &message, MSG_DONTWAIT);

    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return n == 0 && stream->reset ? -ECONNRESET : n;
}

/* ---- output ---- */

static void drop_buffer(struct vsock_stream *stream)
{
    free(stream->buffer);
    stream->buffer = NULL;
    stream->start = stream->used = 0;
}

void vsock_stream_set_deaf(struct vsock_stream *stream)
{
    stream->deaf = true;
    stream->delivered += stream->used;
    drop_buffer(stream);
}

/* How many bytes the socket took, 0 when it is full or the program has gone (then deaf). */
static uint32_t send_some(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    ssize_t n = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        if (errno == ECONNRESET)
            stream->reset = true;
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
            vsock_stream_set_deaf(stream);
        return 0;
    }
    stream->delivered += (uint32_t)n;
    return (uint32_t)n;
}

/* Append `len` bytes, which fit, to the ring. */
static void append(struct vsock_stream *stream, const uint8_t *data, uint32_t len)
{
    uint32_t end = (stream->start + stream->used) % VSOCK_STREAM_BUFFER_BYTES;
    uint32_t first = (uint32_t)min_u64(len, VSOCK_STREAM_BUFFER_BYTES - end);

    memcpy(stream->buffer + end, data, first);
    memcpy(stream->buffer, data + first, len - first);
    stream->used += len;
}

/* Append everything behind the first `skip` bytes. */
static int keep_rest(struct vsock_stream *stream, const struct iovec *iov, unsigned count,
                     uint64_t skip)
{
    if (!stream->buffer)
        stream->buffer = malloc(VSOCK_STREAM_BUFFER_BYTES);
    if (!stream->buffer)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        uint64_t skipped = min_u64(skip, iov[i].iov_len);

        append(stream, (const uint8_t *)iov[i].iov_base + skipped,
               (uint32_t)(iov[i].iov_len - skipped));
        skip -= skipped;
    }
    return 0;
}

int vsock_stream_write(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
    uint64_t len = 0;
    uint32_t sent = 0;

    for (unsigned i = 0; i < count; i++) {
        if (iov[i].iov_len > VSOCK_STREAM_BUFFER_BYTES)
            return -ENOBUFS;
        len += iov[i].iov_len;
    }
    if (len > VSOCK_STREAM_BUFFER_BYTES - stream->used)
        return -ENOBUFS;
    if (!stream->deaf && stream->used == 0 && len > 0)
        sent = send_some(stream, iov, count);
    if (stream->deaf) {
        stream->delivered += (uint32_t)len;
        return 0;
    }
    return sent == len ? 0 : keep_rest(stream, iov, count, sent);
}

int vsock_stream_send_first(struct vsock_stream *stream, const void *data, size_t len)
{
    ssize_t n = send(stream->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EAGAIN;
}

void vsock_stream_flush(struct vsock_stream *stream)
{
    while (stream->used > 0) {
        uint32_t first = (uint32_t)min_u64(stream->used, VSOCK_STREAM_BUFFER_BYTES - stream->start);
        struct iovec iov[2] = {
            {.iov_base = stream->buffer + stream->start, .iov_len = first},
            {.iov_base = stream->buffer, .iov_len = stream->used - first},
        };
        uint32_t sent = send_some(stream, iov, 2);

        if (sent == 0)
            return;
        stream->start = (stream->start + sent) % VSOCK_STREAM_BUFFER_BYTES;
        stream->used -= sent;
    }
    drop_buffer(stream);
}

uint32_t vsock_stream_buffered(const struct vsock_stream *stream)
{
    return stream->used;
}

uint32_t vsock_stream_delivered(const struct vsock_stream *stream)
{
    return stream->delivered;
}

bool vsock_stream_is_deaf(const struct vsock_stream *stream)
{
    return stream->deaf;
}

void vsock_stream_shutdown(struct vsock_stream *stream, int how)
{
    shutdown(stream->fd, how);
}
