// SPDX-License-Identifier: Apache-2.0
/*
 * A virtio-blk device under test and the driver that plays with it: guest memory, an event loop,
 * rings that are filled by hand. Used by the unit tests and the fuzzer of virtio-blk. Failures
 * abort the test program.
 */
#ifndef HUSK_TESTS_HARNESS_BLK_FIXTURE_H
#define HUSK_TESTS_HARNESS_BLK_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "devices/virtio/blk_internal.h"
#include "devices/virtio/devices.h"

#define FIXTURE_DISK_BYTES   (1024u * 1024)
#define FIXTURE_MEMORY_BYTES (16u * 1024 * 1024)
#define FIXTURE_QUEUES       2u
#define FIXTURE_SLOTS        80u /* requests per queue, of three descriptors each */

/* Where the driver keeps things; rings and headers per queue. */
#define FIXTURE_RINGS(queue)   (0x10000u * ((queue) + 1))
#define FIXTURE_AVAIL_OFFSET   0x1000u
#define FIXTURE_USED_OFFSET    0x2000u
#define FIXTURE_HEADERS(queue) (FIXTURE_RINGS(queue) + 0x8000u)
#define FIXTURE_DATA           0x100000u

struct blk_fixture {
    struct event_loop *loop;
    struct guest_memory *memory;
    struct block_backend *backend; /* the device's */
    struct virtio_device *device;
    unsigned interrupts[FIXTURE_QUEUES];
    unsigned config_interrupts;
    uint16_t posted[FIXTURE_QUEUES]; /* requests so far; number n is in slot n % FIXTURE_SLOTS */
};

void blk_fixture_init(struct blk_fixture *f);
void blk_fixture_release(struct blk_fixture *f);

/* A writable disk with two queues that can discard, without limits. */
struct virtio_blk_config blk_fixture_config(void);

/* Make the device; it owns the backend. */
void blk_fixture_create(struct blk_fixture *f, struct block_backend *backend,
                        struct virtio_blk_config config);

/* Guest memory at `address`. */
uint8_t *blk_fixture_at(struct blk_fixture *f, uint64_t address, uint64_t len);

/* Reset, negotiate everything that is offered but `without` and RING_EVENT_IDX, start with queues
 * of 256 descriptors. */
void blk_fixture_start(struct blk_fixture *f, uint64_t without);
void blk_fixture_start_with(struct blk_fixture *f, uint64_t accepted, uint16_t size);

void blk_fixture_put_descriptor(struct blk_fixture *f, unsigned queue, unsigned index,
                                uint64_t address, uint32_t len, bool writable, bool last);

/* Make a request available: header, data (if any), status. Returns its number. */
unsigned blk_fixture_post(struct blk_fixture *f, unsigned queue, uint32_t type, uint64_t sector,
                          uint32_t data, uint32_t len);

void blk_fixture_kick(struct blk_fixture *f, unsigned queue);

/* The status byte of a request; 0xee before it is answered. */
uint8_t blk_fixture_status(struct blk_fixture *f, unsigned queue, unsigned number);

unsigned blk_fixture_used_count(struct blk_fixture *f, unsigned queue);

/* The slot of the request that used entry `index` returns; *len as reported. */
unsigned blk_fixture_used_entry(struct blk_fixture *f, unsigned queue, unsigned index,
                                uint32_t *len);

#endif
