// SPDX-License-Identifier: Apache-2.0
/*
 * A virtio device behind its real mmio transport, and the driver that plays with it: guest memory
 * of two regions with a hole between them, an event loop, a bus without accelerator, an interrupt
 * line to read, a log that counts. Every register access goes over the bus.
 */
#ifndef HUSK_TESTS_HARNESS_VIRTIO_FIXTURE_H
#define HUSK_TESTS_HARNESS_VIRTIO_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "devices/virtio/virtio.h"
#include "tests/harness/driver_ring.h"
#include "vmm/bus.h"

#define VIRTIO_FIXTURE_LOW_BYTES  (4u << 20) /* [0, 4 MiB) */
#define VIRTIO_FIXTURE_HIGH       (16u << 20)
#define VIRTIO_FIXTURE_HIGH_BYTES (2u << 20) /* [16 MiB, 18 MiB) */
#define VIRTIO_FIXTURE_WINDOW     0xd0000000u
#define VIRTIO_FIXTURE_QUEUES     3u
#define VIRTIO_FIXTURE_RINGS      0x10000u /* DRIVER_RING_BYTES for each queue */
#define VIRTIO_FIXTURE_BUFFERS    0x100000u

struct virtio_fixture {
    struct guest_memory *memory;
    struct event_loop *loop;
    struct bus *bus;
    struct device_env env;
    struct irq_line irq;
    struct log log;
    unsigned log_lines;
    char last_line[256];
    struct virtio_device *virtio;
    struct device *device; /* the transport; owns virtio */
    struct driver_ring ring[VIRTIO_FIXTURE_QUEUES];
};

/* Everything around a device; f->env is ready for its create function. */
void virtio_fixture_init(struct virtio_fixture *f);
/* Put `virtio` behind the transport. */
void virtio_fixture_attach(struct virtio_fixture *f, struct virtio_device *virtio);
/* Destroys the device, if there is one, and the rest. */
void virtio_fixture_release(struct virtio_fixture *f);

uint32_t virtio_fixture_read(struct virtio_fixture *f, uint32_t offset);
void virtio_fixture_write(struct virtio_fixture *f, uint32_t offset, uint32_t value);

/* The steps of 3.1.1. negotiate: reset, features, FEATURES_OK. set_queue: a ring of `size`, made
 * ready. start: all of it for every queue, to DRIVER_OK. */
void virtio_fixture_negotiate(struct virtio_fixture *f, uint64_t features);
void virtio_fixture_set_queue(struct virtio_fixture *f, unsigned queue, uint16_t size);
void virtio_fixture_start(struct virtio_fixture *f, uint64_t features, uint16_t size);

/* Everything the device offers, with or without RING_EVENT_IDX. */
uint64_t virtio_fixture_offered(struct virtio_fixture *f, bool event_idx);

/* Kick over the bus and run the loop until nothing is ready; aborts when that never happens. */
void virtio_fixture_kick(struct virtio_fixture *f, unsigned queue);
void virtio_fixture_settle(struct virtio_fixture *f);

/* Acknowledge the interrupt; returns the reasons (VIRTIO_MMIO_INT_*), 0 when the line was not
 * raised. */
uint32_t virtio_fixture_interrupt(struct virtio_fixture *f);

bool virtio_fixture_needs_reset(struct virtio_fixture *f);

/* Host view of guest memory; aborts outside. */
uint8_t *virtio_fixture_at(struct virtio_fixture *f, uint64_t address, uint64_t len);

/*
 * A device of two queues that copies what it may read of a chain to what it may write and says how
 * much, at most `budget` chains a kick. Its configuration space is 16 bytes that the driver may
 * write.
 */
struct echo_device {
    struct virtio_device virtio;
    unsigned activated, resets, kicks, paused, resumed;
    int activate_result;
    unsigned budget;
    uint8_t config[16];
};
#define ECHO_DEVICE_ID 0x3fu
struct echo_device *echo_device_create(const struct device_env *env);

#endif
