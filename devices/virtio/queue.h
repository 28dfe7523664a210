// SPDX-License-Identifier: Apache-2.0
/*
 * Split virtqueues (virtio 1.2, section 2.7), the device's side: the ONE parser of descriptor
 * chains. queue.c's head explains the ring.
 *
 * Threads: a queue belongs to its device's lock (struct virtio_device.lock): every function here is
 * called with it held.
 */
#ifndef HUSK_DEVICES_VIRTIO_QUEUE_H
#define HUSK_DEVICES_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/memory.h"

#define VIRTQUEUE_MAX_SIZE 256u

struct virtqueue {
    /* Set by the driver through the transport, frozen while ready (checked by virtio.c). */
    uint16_t max_size; /* what the device offers; a power of two <= VIRTQUEUE_MAX_SIZE */
    uint16_t size;     /* what the driver chose */
    bool ready;
    gpa_t desc_address;
    gpa_t avail_address;
    gpa_t used_address;

    /* Valid while active: host views of the three rings, checked by virtqueue_activate(). */
    const struct guest_memory *memory;
    void *desc;
    void *avail;
    void *used;
    bool event_idx;          /* VIRTIO_F_EVENT_IDX (RING_EVENT_IDX) negotiated */
    bool indirect;           /* VIRTIO_F_INDIRECT_DESC negotiated */
    bool broken;             /* the driver violated the protocol; nothing is read any more */
    uint16_t next_avail;     /* free-running index of the next avail entry to read */
    uint16_t next_used;      /* free-running index of the next used entry to write */
    uint16_t signalled_used; /* next_used at the last interrupt decision, for event_idx */
    bool signalled_used_valid;
    uint16_t in_flight; /* popped and not yet pushed; at most size */
};

/*
 * One request: its buffers as host iovecs, device-readable ones first (2.7.4.2). Each descriptor
 * was read exactly once; nothing here changes if the guest rewrites the rings. The bytes that the
 * iovecs point at, however, are guest memory and may change at any time.
 */
struct virtq_chain {
    uint16_t head; /* identifies the chain to virtqueue_push() */
    uint16_t readable_count;
    uint16_t writable_count;
    uint64_t readable_bytes; /* sums, cannot wrap: each at most 2^32 * VIRTQUEUE_MAX_SIZE */
    uint64_t writable_bytes;
    /* readable_count entries, then writable_count; no entry is empty. */
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
};

/* Forget everything but max_size. */
void virtqueue_reset(struct virtqueue *queue);

/*
 * Check size and ring addresses (alignment per 2.7, whole rings inside guest memory) and start at
 * index 0. Returns 0 or -EINVAL.
 */
int virtqueue_activate(struct virtqueue *queue, const struct guest_memory *memory, bool event_idx,
                       bool indirect);

/*
 * Take the next available chain. Returns 1 with *chain filled, 0 when there is none, -EPROTO when
 * the driver broke the protocol (loop, chain longer than the queue, address outside memory, nested
 * indirect, writable before readable, avail index more than `size` ahead, …): the queue is then
 * broken and the caller puts the device into NEEDS_RESET (virtio_device_failed()).
 */
int virtqueue_pop(struct virtqueue *queue, struct virtq_chain *chain);

/* Give the last popped chain back unread (e.g. no budget now). Only directly after its pop. */
void virtqueue_unpop(struct virtqueue *queue);

/* How many chains wait, at most `size`; 0 when broken or inactive. */
uint16_t virtqueue_pending(struct virtqueue *queue);

/* Return a chain with `written` bytes written to its writable part. Becomes visible at once. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/*
 * Return `count` chains so that the driver sees all of them or none (a packet over several merged
 * receive buffers).
 */
void virtqueue_push_many(struct virtqueue *queue, const uint16_t *heads, const uint32_t *written,
                         unsigned count);

/* Whether the driver wants an interrupt for what was pushed since the last call (2.7.7). */
bool virtqueue_should_interrupt(struct virtqueue *queue);

/*
 * Ask the driver not to kick while we poll, and to kick again. virtqueue_enable_notify() returns
 * true when chains arrived meanwhile: process them, no kick will come.
 */
void virtqueue_disable_notify(struct virtqueue *queue);
bool virtqueue_enable_notify(struct virtqueue *queue);

/* Copy between a flat buffer and an iovec list starting `skip` bytes in. Return bytes copied. */
size_t iov_to_buf(const struct iovec *iov, unsigned count, size_t skip, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *iov, unsigned count, size_t skip, const void *buf,
                    size_t len);

/*
 * The part [skip, skip + len) of an iovec list as a list of its own in out[max]. Returns the number
 * of entries, or -ENOSPC when out is too small, -EINVAL when the list is shorter.
 */
int iov_slice(const struct iovec *iov, unsigned count, size_t skip, size_t len, struct iovec *out,
              unsigned max);

#endif
