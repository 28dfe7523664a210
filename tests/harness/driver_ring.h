// SPDX-License-Identifier: Apache-2.0
/*
 * A split virtqueue from the driver's side (virtio 1.2, section 2.7), over real guest memory. It
 * follows the rules where a test wants it to, and offers the raw pieces to break them with.
 */
#ifndef HUSK_TESTS_HARNESS_DRIVER_RING_H
#define HUSK_TESTS_HARNESS_DRIVER_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"

#define DRIVER_RING_BYTES        0x4000u /* room that one ring of any size needs */
#define DRIVER_RING_AVAIL_OFFSET 0x1000u
#define DRIVER_RING_USED_OFFSET  0x2000u

struct driver_ring {
    struct guest_memory *memory;
    uint16_t size;
    uint64_t desc, avail, used; /* guest addresses */
    uint16_t next_desc;         /* the next chain's first descriptor; runs round the table */
    uint16_t next_avail;
    uint16_t next_used;
};

struct driver_buffer {
    uint64_t address;
    uint32_t len;
    bool writable;
};

/* Zeroed parts at `base`. */
void driver_ring_init(struct driver_ring *ring, struct guest_memory *memory, uint64_t base,
                      uint16_t size);

/* The raw pieces. */
void driver_ring_put(struct driver_ring *ring, unsigned index, uint64_t address, uint32_t len,
                     uint16_t flags, uint16_t next);
void driver_ring_offer(struct driver_ring *ring, uint16_t head);
void driver_ring_set_avail_idx(struct driver_ring *ring, uint16_t idx);
void driver_ring_set_avail_flags(struct driver_ring *ring, uint16_t flags);
void driver_ring_set_used_event(struct driver_ring *ring, uint16_t event);
uint16_t driver_ring_used_flags(const struct driver_ring *ring);
uint16_t driver_ring_avail_event(const struct driver_ring *ring);
uint16_t driver_ring_used_idx(const struct driver_ring *ring);

/* Chain `buffers` and make them available; returns the head. */
uint16_t driver_ring_add(struct driver_ring *ring, const struct driver_buffer *buffers,
                         unsigned count);
uint16_t driver_ring_add_one(struct driver_ring *ring, uint64_t address, uint32_t len,
                             bool writable);

/* The next used entry, if there is one. */
bool driver_ring_take(struct driver_ring *ring, uint32_t *head, uint32_t *len);

/* Whether a driver that just made the last `added` chains available would kick (2.7.10). */
bool driver_ring_must_kick(const struct driver_ring *ring, bool event_idx, uint16_t added);

#endif
