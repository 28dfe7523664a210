// SPDX-License-Identifier: Apache-2.0
/*
 * Split virtqueues, the device's side (virtio 1.2, section 2.7).
 *
 * How a virtqueue works. Driver and device share three arrays in guest memory:
 *
 *   descriptor table   size entries of {address, length, flags, next}, one buffer each. The buffers
 *                      of one request are chained through `next`: first those that the device
 *                      reads, then those that it writes. The last may instead name an indirect
 *                      table, an array of descriptors elsewhere that continues the chain.
 *   available ring     {flags, idx, ring[size], used_event}. The driver puts the index of a chain's
 *                      first descriptor (the head) into ring[idx % size] and increments idx.
 *   used ring          {flags, idx, ring[size] of {id, len}, avail_event}. The device gives the
 *                      head back with the number of bytes it wrote and increments idx.
 *
 * Both idx run freely through 2^16. Each side writes its own ring only. Whether a side wants to be
 * woken it says in its `flags` or, with VIRTIO_F_EVENT_IDX, in its event field: "wake me when your
 * idx moves past this".
 *
 * The driver is hostile. This file is the only one that reads descriptors; it reads each exactly
 * once, into a local, and everything after works on the local. A chain has at most `size` buffers,
 * direct and indirect ones together, which also ends loops. Every buffer lies wholly inside guest
 * memory (guest_memory_at()). Chains that wait and chains that are out are never more than `size`
 * together. Whatever breaks these rules marks the queue broken: it is not read again until the
 * driver resets the device.
 *
 * Barriers, and what they pair with:
 *
 *   A  Our load-acquire of avail.idx, before we read avail.ring and descriptors, pairs with the
 *      driver's write barrier between filling those and storing avail.idx (2.7.13.3).
 *
 *   B  Our store-release of used.idx, after buffers and used entries are written, pairs with the
 *      driver's read barrier between loading used.idx and looking at them (2.7.14).
 *
 *   C  Our full barrier between storing used.idx and loading used_event or avail.flags pairs with
 *      the driver's between storing used_event and loading used.idx (2.7.7).
 *
 *   D  Our full barrier between storing avail_event or used.flags and loading avail.idx again pairs
 *      with the driver's between storing avail.idx and loading avail_event (2.7.10).
 *
 * C and D are the same story told from both ends: each side announces, then looks. Without the full
 * barriers both could look before the other's announcement is visible, both would sleep, and the
 * queue would hang.
 */
#include "devices/virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

/* Layout of the rings: 2.7.6 and 2.7.8. */
#define RING_FLAGS 0
#define RING_IDX   2
#define RING_START 4

static uint16_t load16(const void *ring, size_t offset)
{
    const uint16_t *at = (const uint16_t *)((const uint8_t *)ring + offset);

    return le16toh(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static void store16(void *ring, size_t offset, uint16_t value)
{
    uint16_t *at = (uint16_t *)((uint8_t *)ring + offset);

    __atomic_store_n(at, htole16(value), __ATOMIC_RELAXED);
}

static uint16_t load_avail_idx(const struct virtqueue *queue)
{
    const uint16_t *at = (const uint16_t *)((const uint8_t *)queue->avail + RING_IDX);

    return le16toh(__atomic_load_n(at, __ATOMIC_ACQUIRE)); /* barrier A */
}

static size_t used_event_offset(const struct virtqueue *queue)
{
    return RING_START + 2u * queue->size;
}

static size_t avail_event_offset(const struct virtqueue *queue)
{
    return RING_START + 8u * queue->size;
}

void virtqueue_reset(struct virtqueue *queue)
{
    uint16_t max_size = queue->max_size;

    memset(queue, 0, sizeof(*queue));
    queue->max_size = max_size;
}

int virtqueue_activate(struct virtqueue *queue, const struct guest_memory *memory, bool event_idx,
                       bool indirect)
{
    uint16_t size = queue->size;

    /* 2.7: the size is a power of two, at most what the device offered. */
    if (size == 0 || size > queue->max_size || (size & (size - 1)))
        return -EINVAL;
    /* 2.7: alignment of the three parts is 16, 2 and 4. */
    if (!is_aligned(queue->desc_address.value, 16) || !is_aligned(queue->avail_address.value, 2) ||
        !is_aligned(queue->used_address.value, 4))
        return -EINVAL;
    queue->desc = guest_memory_at(memory, queue->desc_address, 16ull * size);
    queue->avail = guest_memory_at(memory, queue->avail_address, RING_START + 2ull * size + 2);
    queue->used = guest_memory_at(memory, queue->used_address, RING_START + 8ull * size + 2);
    if (!queue->desc || !queue->avail || !queue->used)
        return -EINVAL;
    queue->memory = memory;
    queue->event_idx = event_idx;
    queue->indirect = indirect;
    queue->broken = false;
    queue->next_avail = 0;
    queue->next_used = 0;
    queue->signalled_used = 0;
    queue->signalled_used_valid = false;
    queue->in_flight = 0;
    return 0;
}

struct descriptor {
    uint64_t address;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

/* The one read of a descriptor (2.7.5). */
static struct descriptor read_descriptor(const void *table, uint32_t index)
{
    uint8_t bytes[16];

    memcpy(bytes, (const uint8_t *)table + 16u * (size_t)index, sizeof(bytes));
    /* The compiler must not go back to guest memory for a second look. */
    __asm__ volatile("" ::: "memory");
    return (struct descriptor){
        .address = get_le64(bytes),
        .len = get_le32(bytes + 8),
        .flags = get_le16(bytes + 12),
        .next = get_le16(bytes + 14),
    };
}

/* Check one buffer and append it to the chain. */
static int add_buffer(const struct virtqueue *queue, struct virtq_chain *chain,
                      const struct descriptor *desc)
{
    unsigned count = (unsigned)chain->readable_count + chain->writable_count;
    bool writable = desc->flags & VRING_DESC_F_WRITE;
    void *hva;

    /* 2.7.4.2: all device-readable buffers come before the first device-writable one. */
    if (!writable && chain->writable_count > 0)
        return -EPROTO;
    if (desc->len == 0)
        return 0; /* legal, and nothing to do */
    hva = guest_memory_at(queue->memory, gpa(desc->address), desc->len);
    if (!hva)
        return -EPROTO;
    chain->iov[count] = (struct iovec){.iov_base = hva, .iov_len = desc->len};
    if (writable) {
        chain->writable_count++;
        chain->writable_bytes += desc->len;
    } else {
        chain->readable_count++;
        chain->readable_bytes += desc->len;
    }
    return 0;
}

/*
 * Walk from `index` through `table` of `entries` descriptors. *budget counts down over the whole
 * chain: it bounds the work and ends loops (2.7.5.2: no loops; 2.7.5.3.1: no chain, direct and
 * indirect entries together, longer than the queue).
 */
static int walk_table(const struct virtqueue *queue, struct virtq_chain *chain, const void *table,
                      uint32_t entries, uint32_t index, unsigned *budget, bool is_indirect)
{
    for (;;) {
        struct descriptor desc;
        int ret;

        if (index >= entries || *budget == 0)
            return -EPROTO;
        (*budget)--;
        desc = read_descriptor(table, index);
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            const void *inner;

            /* 2.7.5.3.1: only when negotiated, not nested, and never together with NEXT; the length
             * is a multiple of a descriptor's size. */
            if (!queue->indirect || is_indirect || (desc.flags & VRING_DESC_F_NEXT) ||
                desc.len == 0 || desc.len % 16 || desc.len / 16 > queue->size)
                return -EPROTO;
            inner = guest_memory_at(queue->memory, gpa(desc.address), desc.len);
            if (!inner)
                return -EPROTO;
            (*budget)++; /* the pointer itself is no buffer */
            return walk_table(queue, chain, inner, desc.len / 16, 0, budget, true);
        }
        ret = add_buffer(queue, chain, &desc);
        if (ret)
            return ret;
        if (!(desc.flags & VRING_DESC_F_NEXT))
            return 0;
        index = desc.next;
    }
}

static int break_queue(struct virtqueue *queue)
{
    queue->broken = true;
    return -EPROTO;
}

int virtqueue_pop(struct virtqueue *queue, struct virtq_chain *chain)
{
    unsigned budget = queue->size;
    uint16_t available, head;

    if (queue->broken || !queue->memory)
        return 0;
    available = (uint16_t)(load_avail_idx(queue) - queue->next_avail);
    if (available == 0)
        return 0;
    /* A chain takes at least one of the `size` descriptors, and those that we still hold are taken:
     * no honest driver has more waiting than the rest. */
    if (available > queue->size - queue->in_flight)
        return break_queue(queue);
    head = load16(queue->avail, RING_START + 2u * (queue->next_avail & (queue->size - 1u)));
    if (head >= queue->size)
        return break_queue(queue);
    chain->head = head;
    chain->readable_count = 0;
    chain->writable_count = 0;
    chain->readable_bytes = 0;
    chain->writable_bytes = 0;
    if (walk_table(queue, chain, queue->desc, queue->size, head, &budget, false))
        return break_queue(queue);
    queue->next_avail++;
    queue->in_flight++;
    return 1;
}

void virtqueue_unpop(struct virtqueue *queue)
{
    queue->next_avail--;
    queue->in_flight--;
}

uint16_t virtqueue_pending(struct virtqueue *queue)
{
    uint16_t available;

    if (queue->broken || !queue->memory)
        return 0;
    available = (uint16_t)(load_avail_idx(queue) - queue->next_avail);
    return available > queue->size ? queue->size : available;
}

void virtqueue_push_many(struct virtqueue *queue, const uint16_t *heads, const uint32_t *written,
                         unsigned count)
{
    uint16_t *idx;

    if (queue->broken || !queue->memory)
        return;
    for (unsigned i = 0; i < count; i++) {
        uint16_t slot = (uint16_t)(queue->next_used + i) & (uint16_t)(queue->size - 1u);
        uint8_t *entry = (uint8_t *)queue->used + RING_START + 8u * (size_t)slot;

        put_le32(entry, heads[i]);
        put_le32(entry + 4, written[i]);
    }
    queue->next_used = (uint16_t)(queue->next_used + count);
    queue->in_flight = (uint16_t)(queue->in_flight - count);
    idx = (uint16_t *)((uint8_t *)queue->used + RING_IDX);
    __atomic_store_n(idx, htole16(queue->next_used), __ATOMIC_RELEASE); /* barrier B */
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
    virtqueue_push_many(queue, &head, &written, 1);
}

bool virtqueue_should_interrupt(struct virtqueue *queue)
{
    uint16_t old = queue->signalled_used, now = queue->next_used;
    bool first = !queue->signalled_used_valid;

    if (queue->broken || !queue->memory)
        return false;
    if (!first && old == now)
        return false; /* nothing was pushed since the last decision */
    if (first && now == 0)
        return false;
    queue->signalled_used = now;
    queue->signalled_used_valid = true;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* barrier C */
    if (queue->event_idx) {
        uint16_t event = load16(queue->avail, used_event_offset(queue));

        /* 2.7.7.2: interrupt when the entry at used_event was among those just written. */
        return first || (uint16_t)(now - event - 1) < (uint16_t)(now - old);
    }
    return !(load16(queue->avail, RING_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
}

void virtqueue_disable_notify(struct virtqueue *queue)
{
    if (queue->broken || !queue->memory)
        return;
    /* With event_idx the stale avail_event already lies behind what the driver will add. */
    if (!queue->event_idx)
        store16(queue->used, RING_FLAGS, VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_enable_notify(struct virtqueue *queue)
{
    if (queue->broken || !queue->memory)
        return false;
    if (queue->event_idx)
        store16(queue->used, avail_event_offset(queue), queue->next_avail);
    else
        store16(queue->used, RING_FLAGS, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* barrier D */
    return virtqueue_pending(queue) > 0;
}
