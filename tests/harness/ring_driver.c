// SPDX-License-Identifier: Apache-2.0
/* The driver's side of split virtqueues: see ring_driver.h. */
#include "tests/harness/ring_driver.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define RINGS_START 0x10000u

static void need(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "ring_driver: %s\n", what);
        abort();
    }
}

/* ---- surroundings ---- */

static void count_line(void *arg, enum log_level level, const char *line)
{
    ((struct virtio_surroundings *)arg)->log_lines++;
}

static void interrupt_queue(void *transport, unsigned queue)
{
    ((struct virtio_surroundings *)transport)->queue_interrupts[queue]++;
}

static void interrupt_config(void *transport)
{
    ((struct virtio_surroundings *)transport)->config_interrupts++;
}

static int take_kick(void *transport, unsigned queue, bool taken)
{
    return -EOPNOTSUPP;
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
    .take_kick = take_kick,
};

void surroundings_init(struct virtio_surroundings *s, const struct bus_accelerator *accelerator)
{
    const struct guest_region_spec specs[] = {
        {.base = gpa(0), .size = LOW_BYTES},
        {.base = gpa(HIGH_START), .size = HIGH_BYTES},
    };

    memset(s, 0, sizeof(*s));
    need(guest_memory_create(specs, 2, GUEST_MEMORY_PRIVATE, &s->memory, NULL) == 0, "memory");
    need(event_loop_create(&s->loop) == 0, "loop");
    need(bus_create(NULL, &s->ports) == 0, "ports");
    need(bus_create(accelerator, &s->mmio) == 0, "mmio");
    s->log = (struct log){.sink = count_line, .sink_arg = s, .level = LOG_LEVEL_DEBUG};
    s->env = (struct device_env){
        .memory = s->memory,
        .ports = s->ports,
        .mmio = s->mmio,
        .loop = s->loop,
        .log = &s->log,
    };
}

void surroundings_release(struct virtio_surroundings *s)
{
    bus_destroy(s->mmio);
    bus_destroy(s->ports);
    event_loop_destroy(s->loop);
    guest_memory_destroy(s->memory);
}

void surroundings_connect(struct virtio_surroundings *s, struct virtio_device *device)
{
    virtio_device_set_transport(device, &transport_ops, s);
}

uint8_t *guest_bytes(const struct guest_memory *memory, uint64_t address, uint64_t len)
{
    uint8_t *at = guest_memory_at(memory, gpa(address), len);

    need(at != NULL, "address outside guest memory");
    return at;
}

void surroundings_settle(struct virtio_surroundings *s)
{
    for (unsigned turn = 0; turn < 100000; turn++) {
        if (event_loop_run_once(s->loop, 0) == 0)
            return;
    }
    need(false, "the loop spins");
}

/* ---- one ring ---- */

void ring_init(struct ring_driver *ring, const struct guest_memory *memory, uint64_t base,
               uint16_t size)
{
    *ring = (struct ring_driver){
        .memory = memory,
        .size = size,
        .desc = base,
        .avail = base + 0x1000,
        .used = base + 0x2000,
    };
    memset(guest_bytes(memory, base, RING_DRIVER_BYTES), 0, RING_DRIVER_BYTES);
}

void put_descriptor(const struct guest_memory *memory, uint64_t table, unsigned index,
                    uint64_t address, uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t *at = guest_bytes(memory, table + 16ull * index, 16);

    put_le64(at, address);
    put_le32(at + 8, len);
    put_le16(at + 12, flags);
    put_le16(at + 14, next);
}

void ring_descriptor(struct ring_driver *ring, unsigned index, uint64_t address, uint32_t len,
                     uint16_t flags, uint16_t next)
{
    put_descriptor(ring->memory, ring->desc, index, address, len, flags, next);
}

static uint8_t *avail_bytes(const struct ring_driver *ring)
{
    return guest_bytes(ring->memory, ring->avail, 6 + 2ull * ring->size);
}

static uint8_t *used_bytes(const struct ring_driver *ring)
{
    return guest_bytes(ring->memory, ring->used, 6 + 8ull * ring->size);
}

void ring_expose(struct ring_driver *ring, uint16_t head)
{
    put_le16(avail_bytes(ring) + 4 + 2 * (ring->next_avail % ring->size), head);
    ring_set_avail_idx(ring, (uint16_t)(ring->next_avail + 1));
}

void ring_add(struct ring_driver *ring, uint16_t index, uint64_t address, uint32_t len,
              uint16_t flags)
{
    ring_descriptor(ring, index, address, len, flags, 0);
    ring_expose(ring, index);
}

void ring_set_avail_idx(struct ring_driver *ring, uint16_t idx)
{
    ring->next_avail = idx;
    put_le16(avail_bytes(ring) + 2, idx);
}

uint16_t ring_used_idx(const struct ring_driver *ring)
{
    return get_le16(used_bytes(ring) + 2);
}

bool ring_used(struct ring_driver *ring, uint32_t *id, uint32_t *len)
{
    const uint8_t *entry = used_bytes(ring) + 4 + 8 * (ring->next_used % ring->size);

    if (ring_used_idx(ring) == ring->next_used)
        return false;
    *id = get_le32(entry);
    *len = get_le32(entry + 4);
    ring->next_used++;
    return true;
}

void ring_set_avail_flags(struct ring_driver *ring, uint16_t flags)
{
    put_le16(avail_bytes(ring), flags);
}

void ring_set_used_event(struct ring_driver *ring, uint16_t event)
{
    put_le16(avail_bytes(ring) + 4 + 2 * ring->size, event);
}

uint16_t ring_used_flags(const struct ring_driver *ring)
{
    return get_le16(used_bytes(ring));
}

uint16_t ring_avail_event(const struct ring_driver *ring)
{
    return get_le16(used_bytes(ring) + 4 + 8 * ring->size);
}

bool ring_wants_kick(const struct ring_driver *ring, bool event_idx, uint16_t old)
{
    if (!event_idx)
        return !(ring_used_flags(ring) & VRING_USED_F_NO_NOTIFY);
    return vring_need_event(ring_avail_event(ring), ring->next_avail, old);
}

/* ---- a device ---- */

static void set_ring(struct virtio_device *device, unsigned queue, enum virtio_ring_part part,
                     uint64_t address)
{
    virtio_device_set_ring(device, queue, part, false, (uint32_t)address);
    virtio_device_set_ring(device, queue, part, true, (uint32_t)(address >> 32));
}

void ring_hand_over(const struct ring_driver *ring, struct virtio_device *device, unsigned queue)
{
    virtio_device_set_queue_size(device, queue, ring->size);
    set_ring(device, queue, VIRTIO_RING_DESC, ring->desc);
    set_ring(device, queue, VIRTIO_RING_AVAIL, ring->avail);
    set_ring(device, queue, VIRTIO_RING_USED, ring->used);
    virtio_device_set_queue_ready(device, queue, true);
}

void driver_negotiate(struct virtio_device *device, uint64_t features)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

    features |= 1ull << VIRTIO_F_VERSION_1;
    virtio_device_set_status(device, 0);
    virtio_device_set_status(device, status);
    virtio_device_set_status(device, status |= VIRTIO_CONFIG_S_DRIVER);
    virtio_device_accept(device, 0, (uint32_t)features);
    virtio_device_accept(device, 1, (uint32_t)(features >> 32));
    virtio_device_set_status(device, status | VIRTIO_CONFIG_S_FEATURES_OK);
}

void driver_start(struct virtio_device *device, uint64_t features, struct ring_driver *rings,
                  unsigned count, uint16_t size)
{
    driver_negotiate(device, features);
    for (unsigned i = 0; i < count; i++) {
        ring_init(&rings[i], device->memory, RINGS_START + i * RING_DRIVER_BYTES, size);
        ring_hand_over(&rings[i], device, i);
    }
    virtio_device_set_status(device, virtio_device_status(device) | VIRTIO_CONFIG_S_DRIVER_OK);
}
