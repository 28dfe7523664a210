// SPDX-License-Identifier: Apache-2.0
/*
 * The parser of descriptor chains: whatever the rings hold, a chain that comes out obeys what
 * queue.h promises, and the queue's own numbers add up.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/queue.h"
#include "tests/harness/hostile_driver.h"

#define MAX_STEPS 512u
#define RING      0x10000u
#define TABLES    0x80000u /* where hostile_descriptor() points indirect ones */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzzed_queue {
    struct virtio_surroundings s;
    struct virtqueue queue;
    struct ring_driver ring;
    bool active;
    uint16_t out[VIRTQUEUE_MAX_SIZE]; /* heads of chains popped and not pushed */
    unsigned out_count;
};

static void need(bool condition)
{
    if (!condition)
        abort();
}

/* queue.h, struct virtq_chain. */
static void check_chain(const struct fuzzed_queue *q, const struct virtq_chain *chain)
{
    unsigned count = (unsigned)chain->readable_count + chain->writable_count;
    uint64_t readable = 0, writable = 0;

    need(chain->head < q->queue.size && count <= q->queue.size);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *at = chain->iov[i].iov_base;
        size_t len = chain->iov[i].iov_len;
        bool inside = false;

        for (unsigned r = 0; r < guest_memory_region_count(q->s.memory); r++) {
            const struct guest_region *region = guest_memory_region(q->s.memory, r);
            const uint8_t *start = region->hva;

            inside |= at >= start && at < start + region->size &&
                      len <= (size_t)(start + region->size - at);
        }
        need(inside && len > 0);
        *(i < chain->readable_count ? &readable : &writable) += len;
    }
    need(readable == chain->readable_bytes && writable == chain->writable_bytes);
}

static void activate(struct fuzzed_queue *q, struct fuzz_input *in)
{
    static const uint16_t max_sizes[] = {1, 16, 64, 256};
    uint8_t how = (uint8_t)fuzz_take(in, 1);
    struct virtqueue *queue = &q->queue;

    queue->max_size = max_sizes[how & 3];
    virtqueue_reset(queue);
    ring_init(&q->ring, q->s.memory, RING, (uint16_t)(1u << fuzz_take(in, 1) % 9));
    queue->size = how & 4 ? (uint16_t)fuzz_take(in, 2) : q->ring.size;
    queue->desc_address = gpa(how & 8 ? fuzz_take(in, 8) : q->ring.desc);
    queue->avail_address = gpa(how & 16 ? fuzz_take(in, 8) : q->ring.avail);
    queue->used_address = gpa(how & 32 ? fuzz_take(in, 8) : q->ring.used);
    q->active = virtqueue_activate(queue, q->s.memory, how & 64, how & 128) == 0;
    q->out_count = 0;
}

static void pop(struct fuzzed_queue *q, bool give_back)
{
    struct virtq_chain chain;
    uint16_t before = q->queue.in_flight;
    int ret = virtqueue_pop(&q->queue, &chain);

    if (ret <= 0) {
        need(q->queue.in_flight == before && (ret == 0 || q->queue.broken));
        return;
    }
    check_chain(q, &chain);
    if (give_back)
        virtqueue_unpop(&q->queue);
    else
        q->out[q->out_count++] = chain.head;
}

static void push(struct fuzzed_queue *q, struct fuzz_input *in)
{
    uint32_t written[8] = {0};
    unsigned count = 1 + (unsigned)fuzz_take(in, 1) % 8;

    if (count > q->out_count)
        count = q->out_count;
    for (unsigned i = 0; i < count; i++)
        written[i] = (uint32_t)fuzz_take(in, 4);
    q->out_count -= count;
    virtqueue_push_many(&q->queue, q->out + q->out_count, written, count);
}

static void step(struct fuzzed_queue *q, struct fuzz_input *in)
{
    switch (fuzz_take(in, 1) % 10) {
    case 0:
        activate(q, in);
        break;
    case 1:
        hostile_descriptor(q->s.memory, q->ring.desc, q->ring.size, in);
        break;
    case 2:
        hostile_descriptor(q->s.memory, TABLES + fuzz_take(in, 1) % 4 * 0x1000, 32, in);
        break;
    case 3:
        ring_expose(&q->ring, (uint16_t)(fuzz_take(in, 1) % q->ring.size));
        break;
    case 4:
        ring_set_avail_idx(&q->ring, (uint16_t)fuzz_take(in, 2));
        break;
    case 5:
        ring_set_used_event(&q->ring, (uint16_t)fuzz_take(in, 2));
        break;
    case 6:
        push(q, in);
        break;
    case 7:
        virtqueue_should_interrupt(&q->queue);
        break;
    case 8:
        if (fuzz_take(in, 1) & 1)
            virtqueue_disable_notify(&q->queue);
        else
            need(virtqueue_enable_notify(&q->queue) == (virtqueue_pending(&q->queue) > 0));
        break;
    default:
        pop(q, fuzz_take(in, 1) % 4 == 0);
        break;
    }
    need(q->active || (!q->queue.broken && q->out_count == 0));
    need(q->queue.broken ||
         (q->queue.in_flight == q->out_count && q->queue.in_flight <= VIRTQUEUE_MAX_SIZE &&
          virtqueue_pending(&q->queue) <= q->queue.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct fuzzed_queue q;

    memset(&q, 0, sizeof(q));
    surroundings_init(&q.s, NULL);
    activate(&q, &in);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++)
        step(&q, &in);
    surroundings_release(&q.s);
    return 0;
}
