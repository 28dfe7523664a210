// SPDX-License-Identifier: Apache-2.0
/* A virtio-blk device and its driver: see blk_fixture.h. */
#include "tests/harness/blk_fixture.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static void interrupt_queue(void *transport, unsigned queue)
{
    ((struct blk_fixture *)transport)->interrupts[queue]++;
}

static void interrupt_config(void *transport)
{
    ((struct blk_fixture *)transport)->config_interrupts++;
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

uint8_t *blk_fixture_at(struct blk_fixture *f, uint64_t address, uint64_t len)
{
    uint8_t *p = guest_memory_at(f->memory, gpa(address), len);

    if (!p)
        abort();
    return p;
}

void blk_fixture_init(struct blk_fixture *f)
{
    const struct guest_region_spec region = {gpa(0), FIXTURE_MEMORY_BYTES};

    *f = (struct blk_fixture){0};
    if (event_loop_create(&f->loop) ||
        guest_memory_create(&region, 1, GUEST_MEMORY_PRIVATE, &f->memory, NULL))
        abort();
}

void blk_fixture_release(struct blk_fixture *f)
{
    virtio_device_destroy(f->device);
    event_loop_destroy(f->loop);
    guest_memory_destroy(f->memory);
}

struct virtio_blk_config blk_fixture_config(void)
{
    return (struct virtio_blk_config){.size_bytes = FIXTURE_DISK_BYTES,
                                      .can_discard = true,
                                      .queues = FIXTURE_QUEUES,
                                      .serial = "disk-0"};
}

void blk_fixture_create(struct blk_fixture *f, struct block_backend *backend,
                        struct virtio_blk_config config)
{
    const struct device_env env = {.memory = f->memory, .loop = f->loop};

    f->backend = backend;
    config.backend = backend;
    if (virtio_blk_create(&env, &config, &f->device))
        abort();
    virtio_device_set_transport(f->device, &transport_ops, f);
}

static void set_ring(struct blk_fixture *f, unsigned queue, enum virtio_ring_part part,
                     uint32_t address)
{
    virtio_device_set_ring(f->device, queue, part, false, address);
    virtio_device_set_ring(f->device, queue, part, true, 0);
}

void blk_fixture_start_with(struct blk_fixture *f, uint64_t accepted, uint16_t size)
{
    virtio_device_set_status(f->device, 0);
    virtio_device_set_status(f->device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    virtio_device_set_status(f->device, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    virtio_device_accept(f->device, 0, (uint32_t)accepted);
    virtio_device_accept(f->device, 1, (uint32_t)(accepted >> 32));
    virtio_device_set_status(f->device, 11); /* and FEATURES_OK */
    for (unsigned i = 0; i < f->device->queue_count; i++) {
        memset(blk_fixture_at(f, FIXTURE_RINGS(i), 0x8000), 0, 0x8000);
        f->posted[i] = 0;
        virtio_device_set_queue_size(f->device, i, size);
        set_ring(f, i, VIRTIO_RING_DESC, FIXTURE_RINGS(i));
        set_ring(f, i, VIRTIO_RING_AVAIL, FIXTURE_RINGS(i) + FIXTURE_AVAIL_OFFSET);
        set_ring(f, i, VIRTIO_RING_USED, FIXTURE_RINGS(i) + FIXTURE_USED_OFFSET);
        virtio_device_set_queue_ready(f->device, i, true);
    }
    virtio_device_set_status(f->device, 15); /* and DRIVER_OK */
    if (virtio_device_status(f->device) != 15)
        abort();
}

void blk_fixture_start(struct blk_fixture *f, uint64_t without)
{
    /* Without RING_EVENT_IDX there is an interrupt for each batch: easier to count. */
    blk_fixture_start_with(f, f->device->offered & ~(without | 1ull << VIRTIO_RING_F_EVENT_IDX),
                           256);
}

void blk_fixture_put_descriptor(struct blk_fixture *f, unsigned queue, unsigned index,
                                uint64_t address, uint32_t len, bool writable, bool last)
{
    uint8_t *desc = blk_fixture_at(f, FIXTURE_RINGS(queue) + index * 16, 16);

    put_le64(desc, address);
    put_le32(desc + 8, len);
    put_le16(desc + 12, (uint16_t)((last ? 0 : 1) | (writable ? 2 : 0)));
    put_le16(desc + 14, (uint16_t)(index + 1));
}

unsigned blk_fixture_post(struct blk_fixture *f, unsigned queue, uint32_t type, uint64_t sector,
                          uint32_t data, uint32_t len)
{
    unsigned number = f->posted[queue]++, slot = number % FIXTURE_SLOTS, first = slot * 3,
             next = first;
    uint8_t *header = blk_fixture_at(f, FIXTURE_HEADERS(queue) + slot * 32, 32);
    uint8_t *avail = blk_fixture_at(f, FIXTURE_RINGS(queue) + FIXTURE_AVAIL_OFFSET, 4 + 256 * 2);
    bool to_guest = type == BLK_T_IN || type == BLK_T_GET_ID;

    put_le32(header, type);
    put_le64(header + 8, sector);
    header[16] = 0xee;
    blk_fixture_put_descriptor(f, queue, next++, FIXTURE_HEADERS(queue) + slot * 32, 16, false,
                               false);
    if (len)
        blk_fixture_put_descriptor(f, queue, next++, data, len, to_guest, false);
    blk_fixture_put_descriptor(f, queue, next, FIXTURE_HEADERS(queue) + slot * 32 + 16, 1, true,
                               true);
    put_le16(avail + 4 + (number % 256) * 2, (uint16_t)first);
    put_le16(avail + 2, (uint16_t)(number + 1));
    return number;
}

uint8_t blk_fixture_status(struct blk_fixture *f, unsigned queue, unsigned number)
{
    return blk_fixture_at(f, FIXTURE_HEADERS(queue) + number % FIXTURE_SLOTS * 32, 32)[16];
}

unsigned blk_fixture_used_count(struct blk_fixture *f, unsigned queue)
{
    return get_le16(blk_fixture_at(f, FIXTURE_RINGS(queue) + FIXTURE_USED_OFFSET + 2, 2));
}

unsigned blk_fixture_used_entry(struct blk_fixture *f, unsigned queue, unsigned index,
                                uint32_t *len)
{
    const uint8_t *entry =
        blk_fixture_at(f, FIXTURE_RINGS(queue) + FIXTURE_USED_OFFSET + 4 + index % 256 * 8, 8);

    *len = get_le32(entry + 4);
    return get_le32(entry) / 3;
}

void blk_fixture_kick(struct blk_fixture *f, unsigned queue)
{
    virtio_device_kick(f->device, queue);
}
