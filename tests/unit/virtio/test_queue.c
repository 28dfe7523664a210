// SPDX-License-Identifier: Apache-2.0
/* Virtqueues: every rule of virtio 1.2, section 2.7, kept and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "tests/harness/ring_driver.h"

#define SIZE     8u
#define RING     0x1000u
#define TABLE    0x8000u /* an indirect table */
#define DATA     0x100000u
#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static struct {
    struct virtio_surroundings around;
    struct ring_driver ring;
    struct virtqueue queue;
    struct virtq_chain chain;
} t;

static void activate(bool event_idx, bool indirect)
{
    ring_init(&t.ring, t.around.memory, RING, SIZE);
    t.queue = (struct virtqueue){
        .max_size = VIRTQUEUE_MAX_SIZE,
        .size = SIZE,
        .desc_address = gpa(t.ring.desc),
        .avail_address = gpa(t.ring.avail),
        .used_address = gpa(t.ring.used),
    };
    assert_int_equal(virtqueue_activate(&t.queue, t.around.memory, event_idx, indirect), 0);
}

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, NULL);
    activate(false, true);
    return 0;
}

static int teardown(void **state)
{
    surroundings_release(&t.around);
    return 0;
}

static int pop(void)
{
    return virtqueue_pop(&t.queue, &t.chain);
}

static void *hva(uint64_t address)
{
    return guest_bytes(t.around.memory, address, 1);
}

/* The queue refuses what was exposed, stays dead, and writes nothing to the used ring. */
static void assert_refused(void)
{
    uint16_t used = ring_used_idx(&t.ring);

    assert_int_equal(pop(), -EPROTO);
    assert_true(t.queue.broken);
    assert_int_equal(pop(), 0);
    assert_int_equal(virtqueue_pending(&t.queue), 0);
    virtqueue_push(&t.queue, 0, 1);
    assert_int_equal(ring_used_idx(&t.ring), used);
    assert_false(virtqueue_should_interrupt(&t.queue));
    assert_false(virtqueue_enable_notify(&t.queue));
}

/* ---- activation ---- */

static void put_queue(uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
    t.queue = (struct virtqueue){
        .max_size = 64,
        .size = size,
        .desc_address = gpa(desc),
        .avail_address = gpa(avail),
        .used_address = gpa(used),
    };
}

static int try_activate(void)
{
    return virtqueue_activate(&t.queue, t.around.memory, false, false);
}

static void size_is_a_power_of_two_up_to_the_maximum(void **state)
{
    static const uint16_t good[] = {1, 2, 32, 64}, bad[] = {0, 3, 63, 65, 128, 0x8000, 0xffff};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        put_queue(good[i], 0x1000, 0x2000, 0x3000);
        assert_int_equal(try_activate(), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        put_queue(bad[i], 0x1000, 0x2000, 0x3000);
        assert_int_equal(try_activate(), -EINVAL);
    }
}

static void rings_are_aligned(void **state)
{
    put_queue(64, 0x1008, 0x2000, 0x3000);
    assert_int_equal(try_activate(), -EINVAL);
    put_queue(64, 0x1000, 0x2001, 0x3000);
    assert_int_equal(try_activate(), -EINVAL);
    put_queue(64, 0x1000, 0x2000, 0x3002);
    assert_int_equal(try_activate(), -EINVAL);
    put_queue(64, 0x1010, 0x2002, 0x3004);
    assert_int_equal(try_activate(), 0);
}

static void rings_lie_inside_memory(void **state)
{
    const uint64_t desc_bytes = 16 * 64, avail_bytes = 6 + 2 * 64, used_bytes = 6 + 8 * 64;
    static const uint64_t outside[] = {LOW_BYTES, HIGH_START - 16, HIGH_START + HIGH_BYTES,
                                       0xfffffffffffffff0};

    for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
        put_queue(64, outside[i], 0x2000, 0x3000);
        assert_int_equal(try_activate(), -EINVAL);
        put_queue(64, 0x1000, outside[i], 0x3000);
        assert_int_equal(try_activate(), -EINVAL);
        put_queue(64, 0x1000, 0x2000, outside[i]);
        assert_int_equal(try_activate(), -EINVAL);
    }
    /* The last byte counts, event fields included. */
    put_queue(64, LOW_BYTES - desc_bytes, 0x2000, 0x3000);
    assert_int_equal(try_activate(), 0);
    put_queue(64, LOW_BYTES - desc_bytes + 16, 0x2000, 0x3000);
    assert_int_equal(try_activate(), -EINVAL);
    put_queue(64, 0x1000, LOW_BYTES - avail_bytes, 0x3000);
    assert_int_equal(try_activate(), 0);
    put_queue(64, 0x1000, LOW_BYTES - avail_bytes + 2, 0x3000);
    assert_int_equal(try_activate(), -EINVAL);
    put_queue(64, 0x1000, 0x2000, align_down(LOW_BYTES - used_bytes, 4));
    assert_int_equal(try_activate(), 0);
    put_queue(64, 0x1000, 0x2000, align_down(LOW_BYTES - used_bytes, 4) + 4);
    assert_int_equal(try_activate(), -EINVAL);
}

static void a_queue_that_was_not_activated_is_silent(void **state)
{
    virtqueue_reset(&t.queue);
    assert_int_equal(t.queue.max_size, VIRTQUEUE_MAX_SIZE);
    assert_int_equal(t.queue.size, 0);
    assert_int_equal(pop(), 0);
    assert_int_equal(virtqueue_pending(&t.queue), 0);
    virtqueue_push(&t.queue, 0, 0);
    virtqueue_disable_notify(&t.queue);
    assert_false(virtqueue_enable_notify(&t.queue));
    assert_false(virtqueue_should_interrupt(&t.queue));
}

/* ---- good chains ---- */

static void an_empty_queue_gives_nothing(void **state)
{
    assert_int_equal(pop(), 0);
    assert_int_equal(virtqueue_pending(&t.queue), 0);
}

static void a_chain_is_read_and_given_back(void **state)
{
    uint32_t id, len;

    ring_descriptor(&t.ring, 3, DATA, 16, NEXT, 5);
    ring_descriptor(&t.ring, 5, DATA + 0x100, 512, NEXT | WRITE, 1);
    ring_descriptor(&t.ring, 1, DATA + 0x1000, 1, WRITE, 7);
    ring_expose(&t.ring, 3);
    assert_int_equal(virtqueue_pending(&t.queue), 1);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.head, 3);
    assert_int_equal(t.chain.readable_count, 1);
    assert_int_equal(t.chain.writable_count, 2);
    assert_int_equal(t.chain.readable_bytes, 16);
    assert_int_equal(t.chain.writable_bytes, 513);
    assert_ptr_equal(t.chain.iov[0].iov_base, hva(DATA));
    assert_ptr_equal(t.chain.iov[1].iov_base, hva(DATA + 0x100));
    assert_ptr_equal(t.chain.iov[2].iov_base, hva(DATA + 0x1000));
    assert_int_equal(t.chain.iov[2].iov_len, 1);
    assert_int_equal(virtqueue_pending(&t.queue), 0);
    assert_int_equal(pop(), 0);

    assert_false(ring_used(&t.ring, &id, &len));
    virtqueue_push(&t.queue, 3, 513);
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(id, 3);
    assert_int_equal(len, 513);
    assert_false(ring_used(&t.ring, &id, &len));
}

static void empty_descriptors_are_skipped(void **state)
{
    ring_descriptor(&t.ring, 0, DATA, 0, NEXT, 1);
    ring_descriptor(&t.ring, 1, DATA, 4, NEXT, 2);
    /* Even with an address that is none: there is nothing to touch. */
    ring_descriptor(&t.ring, 2, UINT64_MAX, 0, NEXT | WRITE, 3);
    ring_descriptor(&t.ring, 3, DATA, 4, WRITE, 0);
    ring_expose(&t.ring, 0);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.readable_count, 1);
    assert_int_equal(t.chain.writable_count, 1);

    ring_add(&t.ring, 4, DATA, 0, 0);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.readable_count + t.chain.writable_count, 0);
    assert_int_equal(t.chain.readable_bytes + t.chain.writable_bytes, 0);
}

static void a_chain_may_be_as_long_as_the_queue(void **state)
{
    for (uint16_t i = 0; i < SIZE; i++)
        ring_descriptor(&t.ring, i, DATA + i, 1, i + 1u < SIZE ? NEXT : 0, (uint16_t)(i + 1));
    ring_expose(&t.ring, 0);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.readable_count, SIZE);
    assert_ptr_equal(t.chain.iov[SIZE - 1].iov_base, hva(DATA + SIZE - 1));
}

static void an_indirect_table_stands_for_the_chain(void **state)
{
    put_descriptor(t.around.memory, TABLE, 0, DATA, 10, NEXT, 2);
    put_descriptor(t.around.memory, TABLE, 2, DATA + 64, 20, WRITE, 0);
    ring_add(&t.ring, 6, TABLE, 3 * 16, INDIRECT);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.head, 6);
    assert_int_equal(t.chain.readable_bytes, 10);
    assert_int_equal(t.chain.writable_bytes, 20);
    assert_ptr_equal(t.chain.iov[1].iov_base, hva(DATA + 64));
}

static void write_on_the_pointer_to_a_table_means_nothing(void **state)
{
    /* 2.7.5.3.2: the device ignores it. */
    put_descriptor(t.around.memory, TABLE, 0, DATA, 10, 0, 0);
    ring_add(&t.ring, 0, TABLE, 16, INDIRECT | WRITE);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.readable_count, 1);
    assert_int_equal(t.chain.writable_count, 0);
}

static void direct_descriptors_may_precede_a_table(void **state)
{
    /* 2.7.5.3.2: any number of them, then one table. */
    ring_descriptor(&t.ring, 0, DATA, 1, NEXT, 1);
    ring_descriptor(&t.ring, 1, DATA + 1, 2, NEXT, 2);
    ring_descriptor(&t.ring, 2, TABLE, 2 * 16, INDIRECT, 0);
    put_descriptor(t.around.memory, TABLE, 0, DATA + 3, 4, NEXT, 1);
    put_descriptor(t.around.memory, TABLE, 1, DATA + 7, 8, WRITE, 0);
    ring_expose(&t.ring, 0);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.readable_count, 3);
    assert_int_equal(t.chain.readable_bytes, 7);
    assert_int_equal(t.chain.writable_bytes, 8);
}

static void a_full_table_is_as_long_as_the_queue(void **state)
{
    for (uint16_t i = 0; i < SIZE; i++)
        put_descriptor(t.around.memory, TABLE, i, DATA + i, 1, i + 1u < SIZE ? NEXT : 0,
                       (uint16_t)(i + 1));
    ring_add(&t.ring, 0, TABLE, SIZE * 16, INDIRECT);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.readable_count, SIZE);
}

static void a_chain_does_not_change_after_the_pop(void **state)
{
    ring_add(&t.ring, 0, DATA, 100, WRITE);
    assert_int_equal(pop(), 1);
    ring_descriptor(&t.ring, 0, UINT64_MAX, UINT32_MAX, 0, 0);
    assert_ptr_equal(t.chain.iov[0].iov_base, hva(DATA));
    assert_int_equal(t.chain.iov[0].iov_len, 100);
    assert_int_equal(t.chain.writable_bytes, 100);
}

static void buffers_reach_the_last_byte_of_a_region(void **state)
{
    ring_add(&t.ring, 0, LOW_BYTES - 1, 1, 0);
    ring_add(&t.ring, 1, HIGH_START, HIGH_BYTES, WRITE);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.writable_bytes, HIGH_BYTES);
}

/* ---- broken chains ---- */

static void a_head_outside_the_table_is_refused(void **state)
{
    ring_expose(&t.ring, SIZE);
    assert_refused();
}

static void a_next_outside_the_table_is_refused(void **state)
{
    ring_descriptor(&t.ring, 0, DATA, 1, NEXT, SIZE);
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_loop_is_refused(void **state)
{
    ring_descriptor(&t.ring, 0, DATA, 1, NEXT, 1);
    ring_descriptor(&t.ring, 1, DATA, 1, NEXT, 0);
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_loop_of_empty_descriptors_is_refused(void **state)
{
    ring_descriptor(&t.ring, 0, DATA, 0, NEXT, 0);
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_loop_inside_a_table_is_refused(void **state)
{
    put_descriptor(t.around.memory, TABLE, 0, DATA, 1, NEXT, 0);
    ring_add(&t.ring, 0, TABLE, 16, INDIRECT);
    assert_refused();
}

static void a_next_outside_its_table_is_refused(void **state)
{
    put_descriptor(t.around.memory, TABLE, 0, DATA, 1, NEXT, 1);
    put_descriptor(t.around.memory, TABLE, 1, DATA, 1, 0, 0);
    ring_add(&t.ring, 0, TABLE, 16, INDIRECT);
    assert_refused();
}

static void a_chain_longer_than_the_queue_is_refused(void **state)
{
    /* One direct, and a table as long as the queue allows alone. */
    ring_descriptor(&t.ring, 0, DATA, 1, NEXT, 1);
    ring_descriptor(&t.ring, 1, TABLE, SIZE * 16, INDIRECT, 0);
    for (uint16_t i = 0; i < SIZE; i++)
        put_descriptor(t.around.memory, TABLE, i, DATA, 1, i + 1u < SIZE ? NEXT : 0,
                       (uint16_t)(i + 1));
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_table_longer_than_the_queue_is_refused(void **state)
{
    put_descriptor(t.around.memory, TABLE, 0, DATA, 1, 0, 0);
    ring_add(&t.ring, 0, TABLE, (SIZE + 1) * 16, INDIRECT);
    assert_refused();
}

static void a_table_without_the_feature_is_refused(void **state)
{
    activate(false, false);
    put_descriptor(t.around.memory, TABLE, 0, DATA, 1, 0, 0);
    ring_add(&t.ring, 0, TABLE, 16, INDIRECT);
    assert_refused();
}

static void a_table_in_a_table_is_refused(void **state)
{
    put_descriptor(t.around.memory, TABLE, 0, TABLE + 16, 16, INDIRECT, 0);
    put_descriptor(t.around.memory, TABLE, 1, DATA, 1, 0, 0);
    ring_add(&t.ring, 0, TABLE, 16, INDIRECT);
    assert_refused();
}

static void a_table_with_a_successor_is_refused(void **state)
{
    put_descriptor(t.around.memory, TABLE, 0, DATA, 1, 0, 0);
    ring_descriptor(&t.ring, 0, TABLE, 16, INDIRECT | NEXT, 1);
    ring_descriptor(&t.ring, 1, DATA, 1, 0, 0);
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_table_of_odd_length_is_refused(void **state)
{
    static const uint32_t lengths[] = {0, 1, 15, 17, 0xffffffff, 0xfffffff0};

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        activate(false, true);
        put_descriptor(t.around.memory, TABLE, 0, DATA, 1, 0, 0);
        ring_add(&t.ring, 0, TABLE, lengths[i], INDIRECT);
        assert_refused();
    }
}

static void a_table_outside_memory_is_refused(void **state)
{
    static const uint64_t tables[] = {LOW_BYTES - 16, LOW_BYTES, HIGH_START - 16,
                                      0xfffffffffffffff0};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        activate(false, true);
        ring_add(&t.ring, 0, tables[i], 32, INDIRECT);
        assert_refused();
    }
}

static void a_readable_buffer_after_a_writable_one_is_refused(void **state)
{
    ring_descriptor(&t.ring, 0, DATA, 1, NEXT | WRITE, 1);
    ring_descriptor(&t.ring, 1, DATA, 1, 0, 0);
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_readable_buffer_in_a_table_after_a_writable_one_is_refused(void **state)
{
    ring_descriptor(&t.ring, 0, DATA, 1, NEXT | WRITE, 1);
    ring_descriptor(&t.ring, 1, TABLE, 16, INDIRECT, 0);
    put_descriptor(t.around.memory, TABLE, 0, DATA, 1, 0, 0);
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_buffer_outside_memory_is_refused(void **state)
{
    static const struct {
        uint64_t address;
        uint32_t len;
    } bad[] = {
        {LOW_BYTES, 1},
        {LOW_BYTES - 1, 2}, /* over the end of a region */
        {0, LOW_BYTES + 1},
        {HIGH_START - 1, 1},
        {HIGH_START - 1, 2}, /* into a region from below */
        {HIGH_START + HIGH_BYTES, 1},
        {HIGH_START, HIGH_BYTES + 1},
        {0, 0xffffffff},
        {UINT64_MAX, 1},
        {UINT64_MAX, 2}, /* wraps to 0 and is inside there */
        {UINT64_MAX - 0xfff, 0x2000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        activate(false, true);
        ring_add(&t.ring, 0, bad[i].address, bad[i].len, 0);
        assert_refused();
        activate(false, true);
        put_descriptor(t.around.memory, TABLE, 0, bad[i].address, bad[i].len, WRITE, 0);
        ring_add(&t.ring, 0, TABLE, 16, INDIRECT);
        assert_refused();
    }
}

static void an_index_too_far_ahead_is_refused(void **state)
{
    static const uint16_t jumps[] = {SIZE + 1, 2 * SIZE, 0x8000, 0xffff};

    for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
        activate(false, true);
        ring_set_avail_idx(&t.ring, jumps[i]);
        assert_int_equal(virtqueue_pending(&t.queue), SIZE);
        assert_refused();
    }
}

static void more_chains_than_descriptors_are_refused(void **state)
{
    for (uint16_t i = 0; i < SIZE; i++) {
        ring_add(&t.ring, i, DATA, 1, 0);
        assert_int_equal(pop(), 1);
    }
    assert_int_equal(pop(), 0);
    /* All are out: there is no head left that the driver could own. */
    ring_expose(&t.ring, 0);
    assert_refused();
}

static void a_broken_queue_works_again_after_a_reset(void **state)
{
    ring_expose(&t.ring, SIZE);
    assert_refused();
    virtqueue_reset(&t.queue);
    activate(false, true);
    ring_add(&t.ring, 0, DATA, 1, 0);
    assert_int_equal(pop(), 1);
}

/* ---- order, wrapping ---- */

static void unpop_gives_the_same_chain_again(void **state)
{
    ring_add(&t.ring, 2, DATA, 1, 0);
    ring_add(&t.ring, 4, DATA, 1, 0);
    assert_int_equal(pop(), 1);
    virtqueue_unpop(&t.queue);
    assert_int_equal(virtqueue_pending(&t.queue), 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.head, 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(t.chain.head, 4);
    assert_int_equal(t.queue.in_flight, 2);
}

static void chains_may_come_back_in_any_order(void **state)
{
    uint32_t id, len;

    for (uint16_t i = 0; i < 3; i++) {
        ring_add(&t.ring, i, DATA, 1, WRITE);
        assert_int_equal(pop(), 1);
    }
    virtqueue_push(&t.queue, 1, 11);
    virtqueue_push(&t.queue, 2, 12);
    virtqueue_push(&t.queue, 0, 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(ring_used(&t.ring, &id, &len));
        assert_int_equal(id, (i + 1) % 3);
        assert_int_equal(len, 10 + (i + 1) % 3);
    }
}

static void push_many_keeps_the_order_across_the_end_of_the_ring(void **state)
{
    static const uint16_t heads[] = {5, 0, 7, 2};
    static const uint32_t written[] = {50, 0, 70, 20};
    uint32_t id, len;

    for (uint16_t i = 0; i < SIZE - 2; i++) {
        ring_add(&t.ring, i, DATA, 1, WRITE);
        assert_int_equal(pop(), 1);
        virtqueue_push(&t.queue, i, 0);
        assert_true(ring_used(&t.ring, &id, &len));
    }
    for (unsigned i = 0; i < 4; i++) {
        ring_add(&t.ring, heads[i], DATA, 1, WRITE);
        assert_int_equal(pop(), 1);
    }
    virtqueue_push_many(&t.queue, heads, written, 4);
    assert_int_equal(t.queue.in_flight, 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(ring_used(&t.ring, &id, &len));
        assert_int_equal(id, heads[i]);
        assert_int_equal(len, written[i]);
    }
    assert_false(ring_used(&t.ring, &id, &len));
}

static void indices_wrap_at_two_to_the_sixteen(void **state)
{
    uint32_t id, len;

    for (uint32_t i = 0; i < 0x10000 + 3 * SIZE; i++) {
        uint16_t head = (uint16_t)(i * 3 % SIZE);

        ring_add(&t.ring, head, DATA, 1, WRITE);
        assert_int_equal(pop(), 1);
        assert_int_equal(t.chain.head, head);
        virtqueue_push(&t.queue, head, i);
        assert_true(ring_used(&t.ring, &id, &len));
        assert_int_equal(id, head);
        assert_int_equal(len, i);
        assert_int_equal(ring_used_idx(&t.ring), (uint16_t)(i + 1));
    }
    /* And again too far ahead, seen across the wrap. */
    ring_set_avail_idx(&t.ring, (uint16_t)(t.queue.next_avail + SIZE + 1));
    assert_refused();
}

/* ---- interrupts ---- */

/* Complete `count` chains. */
static void complete(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ring_add(&t.ring, (uint16_t)(i % SIZE), DATA, 1, WRITE);
        assert_int_equal(pop(), 1);
        virtqueue_push(&t.queue, t.chain.head, 1);
    }
}

static void flags_suppress_interrupts(void **state)
{
    assert_false(virtqueue_should_interrupt(&t.queue));
    complete(1);
    assert_true(virtqueue_should_interrupt(&t.queue));
    assert_false(virtqueue_should_interrupt(&t.queue)); /* nothing new */
    ring_set_avail_flags(&t.ring, VRING_AVAIL_F_NO_INTERRUPT);
    complete(3);
    assert_false(virtqueue_should_interrupt(&t.queue));
    ring_set_avail_flags(&t.ring, 0);
    complete(1);
    assert_true(virtqueue_should_interrupt(&t.queue));
}

static void used_event_is_ignored_without_the_feature(void **state)
{
    ring_set_used_event(&t.ring, 1000);
    complete(1);
    assert_true(virtqueue_should_interrupt(&t.queue));
    complete(1);
    assert_true(virtqueue_should_interrupt(&t.queue));
}

static void flags_are_ignored_with_event_idx(void **state)
{
    /* 2.7.7.2: a device that negotiated it ignores the flag. */
    activate(true, true);
    complete(1);
    virtqueue_should_interrupt(&t.queue);
    ring_set_avail_flags(&t.ring, VRING_AVAIL_F_NO_INTERRUPT);
    ring_set_used_event(&t.ring, 1);
    complete(1);
    assert_true(virtqueue_should_interrupt(&t.queue));
}

static void used_event_says_which_entry_interrupts(void **state)
{
    activate(true, true);
    assert_false(virtqueue_should_interrupt(&t.queue));
    complete(1);
    assert_true(virtqueue_should_interrupt(&t.queue));
    ring_set_used_event(&t.ring, 4); /* when used.idx moves past 4 */
    complete(3);
    assert_false(virtqueue_should_interrupt(&t.queue));
    complete(1); /* entry 4 */
    assert_true(virtqueue_should_interrupt(&t.queue));
    complete(3);
    assert_false(virtqueue_should_interrupt(&t.queue));
    ring_set_used_event(&t.ring, 9);
    complete(5); /* entry 9 in the middle of 8..12 */
    assert_true(virtqueue_should_interrupt(&t.queue));
    assert_false(virtqueue_should_interrupt(&t.queue));
}

static void used_event_works_across_the_wrap(void **state)
{
    activate(true, true);
    complete(1);
    virtqueue_should_interrupt(&t.queue);
    for (uint32_t i = 1; i < 0x10000 - 2; i++) {
        complete(1);
        ring_set_used_event(&t.ring, 1);
        virtqueue_should_interrupt(&t.queue);
    }
    /* used.idx is 0xfffe. */
    assert_int_equal(ring_used_idx(&t.ring), 0xfffe);
    ring_set_used_event(&t.ring, 0);
    complete(2);
    assert_int_equal(ring_used_idx(&t.ring), 0);
    assert_false(virtqueue_should_interrupt(&t.queue));
    complete(1); /* entry 0 */
    assert_true(virtqueue_should_interrupt(&t.queue));
    complete(1);
    assert_false(virtqueue_should_interrupt(&t.queue));
}

/* ---- notifications ---- */

static void no_notify_is_a_flag_without_event_idx(void **state)
{
    assert_true(ring_wants_kick(&t.ring, false, 0));
    virtqueue_disable_notify(&t.queue);
    assert_int_equal(ring_used_flags(&t.ring), VRING_USED_F_NO_NOTIFY);
    assert_false(virtqueue_enable_notify(&t.queue));
    assert_int_equal(ring_used_flags(&t.ring), 0);
    assert_int_equal(ring_avail_event(&t.ring), 0);
}

static void enable_notify_reports_what_came_meanwhile(void **state)
{
    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        activate(event_idx, true);
        virtqueue_disable_notify(&t.queue);
        ring_add(&t.ring, 0, DATA, 1, 0);
        assert_int_equal(pop(), 1);
        ring_add(&t.ring, 1, DATA, 1, 0); /* after the last look, before the flag */
        assert_true(virtqueue_enable_notify(&t.queue));
        assert_int_equal(pop(), 1);
        assert_false(virtqueue_enable_notify(&t.queue));
    }
}

static void avail_event_makes_the_next_chain_kick(void **state)
{
    activate(true, true);
    /* The very first chain kicks without our doing. */
    ring_add(&t.ring, 0, DATA, 1, 0);
    assert_true(ring_wants_kick(&t.ring, true, 0));
    assert_int_equal(pop(), 1);
    /* While we poll, none does. */
    virtqueue_disable_notify(&t.queue);
    ring_add(&t.ring, 1, DATA, 1, 0);
    assert_false(ring_wants_kick(&t.ring, true, 1));
    assert_int_equal(pop(), 1);
    assert_false(virtqueue_enable_notify(&t.queue));
    assert_int_equal(ring_avail_event(&t.ring), 2);
    ring_add(&t.ring, 2, DATA, 1, 0);
    assert_true(ring_wants_kick(&t.ring, true, 2));
    /* The flag stays as it is: with event_idx it means nothing (2.7.10). */
    assert_int_equal(ring_used_flags(&t.ring), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(size_is_a_power_of_two_up_to_the_maximum),
        TEST(rings_are_aligned),
        TEST(rings_lie_inside_memory),
        TEST(a_queue_that_was_not_activated_is_silent),
        TEST(an_empty_queue_gives_nothing),
        TEST(a_chain_is_read_and_given_back),
        TEST(empty_descriptors_are_skipped),
        TEST(a_chain_may_be_as_long_as_the_queue),
        TEST(an_indirect_table_stands_for_the_chain),
        TEST(write_on_the_pointer_to_a_table_means_nothing),
        TEST(direct_descriptors_may_precede_a_table),
        TEST(a_full_table_is_as_long_as_the_queue),
        TEST(a_chain_does_not_change_after_the_pop),
        TEST(buffers_reach_the_last_byte_of_a_region),
        TEST(a_head_outside_the_table_is_refused),
        TEST(a_next_outside_the_table_is_refused),
        TEST(a_loop_is_refused),
        TEST(a_loop_of_empty_descriptors_is_refused),
        TEST(a_loop_inside_a_table_is_refused),
        TEST(a_next_outside_its_table_is_refused),
        TEST(a_chain_longer_than_the_queue_is_refused),
        TEST(a_table_longer_than_the_queue_is_refused),
        TEST(a_table_without_the_feature_is_refused),
        TEST(a_table_in_a_table_is_refused),
        TEST(a_table_with_a_successor_is_refused),
        TEST(a_table_of_odd_length_is_refused),
        TEST(a_table_outside_memory_is_refused),
        TEST(a_readable_buffer_after_a_writable_one_is_refused),
        TEST(a_readable_buffer_in_a_table_after_a_writable_one_is_refused),
        TEST(a_buffer_outside_memory_is_refused),
        TEST(an_index_too_far_ahead_is_refused),
        TEST(more_chains_than_descriptors_are_refused),
        TEST(a_broken_queue_works_again_after_a_reset),
        TEST(unpop_gives_the_same_chain_again),
        TEST(chains_may_come_back_in_any_order),
        TEST(push_many_keeps_the_order_across_the_end_of_the_ring),
        TEST(indices_wrap_at_two_to_the_sixteen),
        TEST(flags_suppress_interrupts),
        TEST(used_event_is_ignored_without_the_feature),
        TEST(flags_are_ignored_with_event_idx),
        TEST(used_event_says_which_entry_interrupts),
        TEST(used_event_works_across_the_wrap),
        TEST(no_notify_is_a_flag_without_event_idx),
        TEST(enable_notify_reports_what_came_meanwhile),
        TEST(avail_event_makes_the_next_chain_kick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
