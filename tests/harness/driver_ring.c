// SPDX-License-Identifier: Apache-2.0
/* See driver_ring.h. Failures abort the test program. */
#include "tests/harness/driver_ring.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static uint8_t *at(const struct driver_ring *ring, uint64_t address, uint64_t len)
{
    uint8_t *p = guest_memory_at(ring->memory, gpa(address), len);

    if (!p)
        abort();
    return p;
}

static void store16(const struct driver_ring *ring, uint64_t address, uint16_t value)
{
    __atomic_store_n((uint16_t *)at(ring, address, 2), htole16(value), __ATOMIC_SEQ_CST);
}

static uint16_t load16(const struct driver_ring *ring, uint64_t address)
{
    return le16toh(__atomic_load_n((uint16_t *)at(ring, address, 2), __ATOMIC_SEQ_CST));
}

void driver_ring_init(struct driver_ring *ring, struct guest_memory *memory, uint64_t base,
                      uint16_t size)
{
    *ring = (struct driver_ring){
        .memory = memory,
        .size = size,
        .desc = base,
        .avail = base + DRIVER_RING_AVAIL_OFFSET,
        .used = base + DRIVER_RING_USED_OFFSET,
    };
    memset(at(ring, base, DRIVER_RING_BYTES), 0, DRIVER_RING_BYTES);
}

void driver_ring_put(struct driver_ring *ring, unsigned index, uint64_t address, uint32_t len,
                     uint16_t flags, uint16_t next)
{
    uint8_t *desc = at(ring, ring->desc + 16ull * index, 16);

    put_le64(desc, address);
    put_le32(desc + 8, len);
    put_le16(desc + 12, flags);
    put_le16(desc + 14, next);
}

void driver_ring_offer(struct driver_ring *ring, uint16_t head)
{
    store16(ring, ring->avail + 4 + 2ull * (ring->next_avail % ring->size), head);
    driver_ring_set_avail_idx(ring, (uint16_t)(ring->next_avail + 1));
}

void driver_ring_set_avail_idx(struct driver_ring *ring, uint16_t idx)
{
    ring->next_avail = idx;
    store16(ring, ring->avail + 2, idx);
}

void driver_ring_set_avail_flags(struct driver_ring *ring, uint16_t flags)
{
    store16(ring, ring->avail, flags);
}

void driver_ring_set_used_event(struct driver_ring *ring, uint16_t event)
{
    store16(ring, ring->avail + 4 + 2ull * ring->size, event);
}

uint16_t driver_ring_used_flags(const struct driver_ring *ring)
{
    return load16(ring, ring->used);
}

uint16_t driver_ring_avail_event(const struct driver_ring *ring)
{
    return load16(ring, ring->used + 4 + 8ull * ring->size);
}

uint16_t driver_ring_used_idx(const struct driver_ring *ring)
{
    return load16(ring, ring->used + 2);
}

uint16_t driver_ring_add(struct driver_ring *ring, const struct driver_buffer *buffers,
                         unsigned count)
{
    uint16_t head = ring->next_desc;

    for (unsigned i = 0; i < count; i++) {
        uint16_t next = (uint16_t)((ring->next_desc + 1) % ring->size);

        driver_ring_put(ring, ring->next_desc, buffers[i].address, buffers[i].len,
                        (uint16_t)((i + 1 < count ? VRING_DESC_F_NEXT : 0) |
                                   (buffers[i].writable ? VRING_DESC_F_WRITE : 0)),
                        next);
        ring->next_desc = next;
    }
    driver_ring_offer(ring, head);
    return head;
}

uint16_t driver_ring_add_one(struct driver_ring *ring, uint64_t address, uint32_t len,
                             bool writable)
{
    const struct driver_buffer buffer = {address, len, writable};

    return driver_ring_add(ring, &buffer, 1);
}

bool driver_ring_take(struct driver_ring *ring, uint32_t *head, uint32_t *len)
{
    const uint8_t *entry = at(ring, ring->used + 4 + 8ull * (ring->next_used % ring->size), 8);

    if (driver_ring_used_idx(ring) == ring->next_used)
        return false;
    *head = get_le32(entry);
    *len = get_le32(entry + 4);
    ring->next_used++;
    return true;
}

bool driver_ring_must_kick(const struct driver_ring *ring, bool event_idx, uint16_t added)
{
    if (!event_idx)
        return !(driver_ring_used_flags(ring) & VRING_USED_F_NO_NOTIFY);
    return vring_need_event(driver_ring_avail_event(ring), ring->next_avail,
                            (uint16_t)(ring->next_avail - added));
}
