// SPDX-License-Identifier: Apache-2.0
/*
 * One host program at the other end of a virtio socket: a connected unix stream socket, and a
 * bounded buffer for what the guest sent and the program has not taken yet.
 *
 * The buffer is what the device promises its guest as credit (VSOCK_STREAM_BUFFER_BYTES): a guest
 * that keeps to it can never overfill it, so a slow program makes the guest wait and nothing else.
 * In the other direction nothing is buffered: the device reads just what its guest has room for.
 *
 * Threads: calls on one stream do not overlap (the device's lock). Creation and closing belong to
 * the loop's thread, as does the callback, which is made without any lock held.
 */
#ifndef HUSK_DEVICES_BACKEND_VSOCK_STREAM_H
#define HUSK_DEVICES_BACKEND_VSOCK_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define VSOCK_STREAM_BUFFER_BYTES 65536u

struct event_loop;
struct vsock_stream;

/* The socket has become ready for `events` (EPOLL*). */
typedef void (*vsock_stream_fn)(void *owner, uint32_t events);

/* fd: connected and non-blocking; becomes the stream's on success. Nothing is watched yet. Returns
 * 0 or -errno. */
int vsock_stream_create(struct event_loop *loop, int fd, struct vsock_stream **out);

/* Closes the socket; what is buffered is lost. NULL is fine. */
void vsock_stream_close(struct vsock_stream *stream);

/* Whose stream it is: called when watched events come. */
void vsock_stream_set_owner(struct vsock_stream *stream, vsock_stream_fn fn, void *owner);

/* Ask for events; EPOLLERR stands for nothing but the socket's end, 0 for not even that. */
void vsock_stream_watch(struct vsock_stream *stream, uint32_t events);

/* Read into buffers: bytes, 0 at the end of the program's output, -EAGAIN, or -errno (-ECONNRESET:
 * the program went away without reading everything). */
ssize_t vsock_stream_read(struct vsock_stream *stream, const struct iovec *iov, unsigned count);

/*
 * Send what the buffers hold, all of it: what the socket does not take now is copied and follows
 * with vsock_stream_flush(). Returns 0; -ENOBUFS when the buffer has no room for it, -ENOMEM.
 * A program that has gone is no error: vsock_stream_is_deaf() tells.
 */
int vsock_stream_write(struct vsock_stream *stream, const struct iovec *iov, unsigned count);

/* Send a few bytes before any of the guest's, which do not count as delivered: 0, or -errno when
 * the socket did not take all of them at once. */
int vsock_stream_send_first(struct vsock_stream *stream, const void *data, size_t len);

/* Send what is buffered, as far as it goes. */
void vsock_stream_flush(struct vsock_stream *stream);

/* Bytes that wait in the buffer. */
uint32_t vsock_stream_buffered(const struct vsock_stream *stream);

/* Bytes that have left the buffer since creation, modulo 2^32. */
uint32_t vsock_stream_delivered(const struct vsock_stream *stream);

/* The program takes nothing any more: buffered and later bytes are dropped, and count as
 * delivered. Found out when writing, or said by the owner. */
void vsock_stream_set_deaf(struct vsock_stream *stream);
bool vsock_stream_is_deaf(const struct vsock_stream *stream);

/* SHUT_RD or SHUT_WR. The latter: with an empty buffer only. */
void vsock_stream_shutdown(struct vsock_stream *stream, int how);

#endif
