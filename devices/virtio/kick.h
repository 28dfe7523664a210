// SPDX-License-Identifier: Apache-2.0
/*
 * A queue's kick, as every transport has it: an eventfd that the bus (or the transport's register
 * handler, on a vCPU thread) signals, and that the I/O thread answers by looking at the queue.
 */
#ifndef HUSK_DEVICES_VIRTIO_KICK_H
#define HUSK_DEVICES_VIRTIO_KICK_H

#include <stdbool.h>

struct event_loop;
struct event_source;
struct virtio_device;

struct virtio_kick {
    struct virtio_device *virtio;
    unsigned queue;
    int fd; /* -1: not open */
    struct event_source *source;
};

/* Returns 0 or -errno; in both cases virtio_kick_close() takes what is there. The kick must not be
 * moved while it is open. */
int virtio_kick_open(struct virtio_kick *kick, struct event_loop *loop,
                     struct virtio_device *virtio, unsigned queue);
void virtio_kick_close(struct virtio_kick *kick);

/* virtio_transport_ops.take_kick. */
int virtio_kick_take(struct virtio_kick *kick, bool taken);

#endif
