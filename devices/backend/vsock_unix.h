// SPDX-License-Identifier: Apache-2.0
/*
 * Host programs and a guest's virtio sockets meet at unix sockets.
 *
 * Towards the guest: a program connects to the listening socket, writes "CONNECT PORT\n" and waits;
 * the device answers it on the stream once its guest has. Such half-open clients are strangers:
 * they are few (VSOCK_CLIENTS_MAX, more wait in the socket's backlog), have a few seconds to say
 * what they want, and are closed without an answer when it is anything else.
 *
 * From the guest: a connection to port N is made to the socket "PREFIX_N".
 *
 * Threads: everything on the I/O thread, or while the loop is not running. Callbacks are made
 * without any lock held; vsock_unix_connect() may be called with the device's.
 */
#ifndef HUSK_DEVICES_BACKEND_VSOCK_UNIX_H
#define HUSK_DEVICES_BACKEND_VSOCK_UNIX_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/vsock_stream.h"

#define VSOCK_CLIENTS_MAX 32u

struct vsock_unix;

struct vsock_frontend_ops {
    /* A program wants to be connected to a port of the guest. True when the stream is the device's
     * from now on, false to have it closed. */
    bool (*incoming)(void *device, struct vsock_stream *stream, uint32_t guest_port);
};

/* listen_fd: a bound and listening unix stream socket, made non-blocking; becomes the backend's on
 * success. The prefix is copied. Returns 0 or -errno. */
int vsock_unix_create(struct event_loop *loop, int listen_fd, const char *connect_prefix,
                      const struct vsock_frontend_ops *ops, void *device, struct vsock_unix **out);

/* Closes the listener and the half-open clients. NULL is fine. */
void vsock_unix_destroy(struct vsock_unix *backend);

/* While paused nobody is accepted, heard or timed out. */
void vsock_unix_pause(struct vsock_unix *backend);
void vsock_unix_resume(struct vsock_unix *backend);

/* Tell a program that came in that it is connected now, before it gets a byte of the guest's.
 * Returns 0 or -errno: then it has gone. */
int vsock_unix_answer(struct vsock_stream *stream, uint32_t host_port);

/* Connect to "PREFIX_port". Does not wait: 0 with *out, or -errno when nobody listens there (or
 * more wait in its backlog than it allows). */
int vsock_unix_connect(struct vsock_unix *backend, uint32_t port, struct vsock_stream **out);

#endif
