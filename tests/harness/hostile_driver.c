// SPDX-License-Identifier: Apache-2.0
/* See hostile_driver.h. */
#include "tests/harness/hostile_driver.h"

#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#define RINGS   0x10000u /* where driver_start() lays rings */
#define TABLES  0x80000u /* indirect tables */
#define BUFFERS 0x100000u

uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->left > 0; i++, in->data++, in->left--)
        value |= (uint64_t)*in->data << (8 * i);
    return value;
}

size_t fuzz_take_bytes(struct fuzz_input *in, void *buf, size_t len)
{
    if (len > in->left)
        len = in->left;
    if (len > 0)
        memcpy(buf, in->data, len);
    in->data += len;
    in->left -= len;
    return len;
}

void hostile_descriptor(const struct guest_memory *memory, uint64_t table, unsigned entries,
                        struct fuzz_input *in)
{
    uint8_t kind = (uint8_t)fuzz_take(in, 1);
    unsigned index = (unsigned)fuzz_take(in, 1) % entries;
    uint16_t flags = kind & 7, next = (uint16_t)fuzz_take(in, 1);
    uint64_t address;
    uint32_t len;

    if (kind & 0x10) {
        address = fuzz_take(in, 8);
        len = (uint32_t)fuzz_take(in, 4);
    } else if (flags & VRING_DESC_F_INDIRECT) {
        address = TABLES + fuzz_take(in, 1) % 4 * 0x1000;
        len = 16 * (uint32_t)(fuzz_take(in, 1) % 32);
    } else {
        address = BUFFERS + fuzz_take(in, 2) * 16;
        len = (uint32_t)fuzz_take(in, 2);
    }
    if (!(kind & 0x20))
        next = (uint16_t)(next % entries);
    put_descriptor(memory, table, index, address, len, flags, next);
}

static void scribble(struct hostile_driver *h, struct fuzz_input *in)
{
    uint64_t at = RINGS + fuzz_take(in, 1) % HOSTILE_MAX_QUEUES * RING_DRIVER_BYTES +
                  fuzz_take(in, 2) % (RING_DRIVER_BYTES - 32);

    fuzz_take_bytes(in, guest_bytes(h->s->memory, at, 32), 1 + fuzz_take(in, 1) % 32);
}

static void change_ring(struct ring_driver *ring, struct fuzz_input *in)
{
    switch (fuzz_take(in, 1) % 4) {
    case 0:
        ring_set_avail_idx(ring, (uint16_t)fuzz_take(in, 2));
        break;
    case 1:
        ring_set_avail_flags(ring, (uint16_t)fuzz_take(in, 1));
        break;
    case 2:
        ring_set_used_event(ring, (uint16_t)fuzz_take(in, 2));
        break;
    default:
        ring_expose(ring, (uint16_t)fuzz_take(in, 2));
        break;
    }
}

void hostile_init(struct hostile_driver *h, struct virtio_surroundings *s,
                  struct virtio_device *device, uint64_t features)
{
    *h = (struct hostile_driver){.s = s, .device = device, .queues = device->queue_count};
    if (h->queues > HOSTILE_MAX_QUEUES)
        abort();
    driver_start(device, features & device->offered, h->rings, h->queues, 16);
}

static void restart(struct hostile_driver *h, struct fuzz_input *in)
{
    uint64_t features = fuzz_take(in, 5) & h->device->offered;

    driver_start(h->device, features, h->rings, h->queues, (uint16_t)(1u << fuzz_take(in, 1) % 9));
}

void hostile_step(struct hostile_driver *h, unsigned kind, struct fuzz_input *in)
{
    struct ring_driver *ring = &h->rings[fuzz_take(in, 1) % h->queues];

    switch (kind) {
    case 0:
        restart(h, in);
        break;
    case 1:
        hostile_descriptor(h->s->memory, ring->desc, ring->size, in);
        break;
    case 2:
        hostile_descriptor(h->s->memory, TABLES + fuzz_take(in, 1) % 4 * 0x1000, 32, in);
        break;
    case 3:
        ring_expose(ring, (uint16_t)(fuzz_take(in, 1) % ring->size));
        break;
    case 4:
        change_ring(ring, in);
        break;
    case 5:
        scribble(h, in);
        break;
    case 6:
        virtio_device_kick(h->device, (unsigned)fuzz_take(in, 1) % (h->queues + 1));
        break;
    default:
        if (fuzz_take(in, 1) & 1)
            virtio_device_pause(h->device);
        else
            virtio_device_resume(h->device);
        break;
    }
}

void hostile_hand_over(struct hostile_driver *h)
{
    virtio_device_resume(h->device);
    driver_start(h->device, 0, h->rings, h->queues, 16);
    if (virtio_device_status(h->device) !=
        (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
         VIRTIO_CONFIG_S_DRIVER_OK))
        abort();
}
