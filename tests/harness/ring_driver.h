// SPDX-License-Identifier: Apache-2.0
/*
 * The driver's side of split virtqueues (virtio 1.2, section 2.7) for tests, and the surroundings
 * that a virtio device needs: guest memory, loop, buses, a log that counts, a transport that
 * records interrupts. Nothing here is well-behaved by itself: a test writes into the rings whatever
 * it wants, each field by its own call. A failure of the surroundings aborts the test program.
 */
#ifndef HUSK_TESTS_HARNESS_RING_DRIVER_H
#define HUSK_TESTS_HARNESS_RING_DRIVER_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "devices/device.h"
#include "devices/virtio/virtio.h"
#include "vmm/bus.h"
#include "vmm/memory.h"

/* Two regions with a hole between them, to fall into. */
#define LOW_BYTES  (4u << 20)
#define HIGH_START (1ull << 32)
#define HIGH_BYTES (1u << 20)

struct virtio_surroundings {
    struct guest_memory *memory;
    struct event_loop *loop;
    struct bus *ports, *mmio;
    struct log log;
    struct device_env env; /* of the above */
    unsigned log_lines;
    unsigned queue_interrupts[VIRTIO_MAX_QUEUES];
    unsigned config_interrupts;
};

/* accelerator: of the MMIO bus, may be NULL. */
void surroundings_init(struct virtio_surroundings *s, const struct bus_accelerator *accelerator);
void surroundings_release(struct virtio_surroundings *s);

/* The transport that counts interrupts in s. */
void surroundings_connect(struct virtio_surroundings *s, struct virtio_device *device);

/* Host view of guest memory; aborts when it is none. */
uint8_t *guest_bytes(const struct guest_memory *memory, uint64_t address, uint64_t len);

/* Run the loop until nothing is ready; aborts when it never ends. */
void surroundings_settle(struct virtio_surroundings *s);

struct ring_driver {
    const struct guest_memory *memory;
    uint16_t size;
    uint64_t desc, avail, used; /* guest addresses of the three parts */
    uint16_t next_avail;        /* free-running, of what was exposed */
    uint16_t next_used;         /* free-running, of what ring_used() returned */
};

#define RING_DRIVER_BYTES 0x4000u /* what a ring of at most 256 entries needs from `base` on */

/* Lay out a zeroed ring of `size` entries at `base`. */
void ring_init(struct ring_driver *ring, const struct guest_memory *memory, uint64_t base,
               uint16_t size);

/* Write entry `index` of a descriptor table anywhere, or of the ring's own. */
void put_descriptor(const struct guest_memory *memory, uint64_t table, unsigned index,
                    uint64_t address, uint32_t len, uint16_t flags, uint16_t next);
void ring_descriptor(struct ring_driver *ring, unsigned index, uint64_t address, uint32_t len,
                     uint16_t flags, uint16_t next);

/* Put `head` into the available ring and move its index. */
void ring_expose(struct ring_driver *ring, uint16_t head);
/* Both at once: one buffer of its own in descriptor `index`. */
void ring_add(struct ring_driver *ring, uint16_t index, uint64_t address, uint32_t len,
              uint16_t flags);
void ring_set_avail_idx(struct ring_driver *ring, uint16_t idx);

/* The next used entry, if there is one. id is read whole: devices must not leave rubbish above. */
bool ring_used(struct ring_driver *ring, uint32_t *id, uint32_t *len);
uint16_t ring_used_idx(const struct ring_driver *ring);

void ring_set_avail_flags(struct ring_driver *ring, uint16_t flags);
void ring_set_used_event(struct ring_driver *ring, uint16_t event);
uint16_t ring_used_flags(const struct ring_driver *ring);
uint16_t ring_avail_event(const struct ring_driver *ring);

/* 2.7.7.2: whether the driver would kick, having moved its index from `old` to next_avail. */
bool ring_wants_kick(const struct ring_driver *ring, bool event_idx, uint16_t old);

/* Tell the device where a ring is, and that it is ready. */
void ring_hand_over(const struct ring_driver *ring, struct virtio_device *device, unsigned queue);

/*
 * 3.1.1 up to FEATURES_OK, then rings[i] for queue i (base addresses from 0x10000 on), then
 * DRIVER_OK. VERSION_1 is added to `features`.
 */
void driver_negotiate(struct virtio_device *device, uint64_t features);
void driver_start(struct virtio_device *device, uint64_t features, struct ring_driver *rings,
                  unsigned count, uint16_t size);

#endif
