// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/queue.h"
#include "tests/harness/driver_ring.h"

#define MEMORY   (1u << 20)
#define GAP_BASE (4u << 20) /* a second region, behind a hole */
#define RING     0x10000u
#define BUFFER   0x40000u
#define TABLE    0x20000u /* indirect tables */

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

struct fixture {
    struct guest_memory *memory;
    struct virtqueue queue;
    struct driver_ring ring;
    struct virtq_chain chain;
};

static void start(struct fixture *f, uint16_t size, bool event_idx, bool indirect)
{
    driver_ring_init(&f->ring, f->memory, RING, size);
    f->queue.max_size = 256;
    virtqueue_reset(&f->queue);
    f->queue.size = size;
    f->queue.desc_address = gpa(f->ring.desc);
    f->queue.avail_address = gpa(f->ring.avail);
    f->queue.used_address = gpa(f->ring.used);
    f->queue.ready = true;
    assert_int_equal(virtqueue_activate(&f->queue, f->memory, event_idx, indirect), 0);
}

static int setup(void **state)
{
    static struct fixture f;
    const struct guest_region_spec specs[] = {{gpa(0), MEMORY}, {gpa(GAP_BASE), MEMORY}};

    memset(&f, 0, sizeof(f));
    if (guest_memory_create(specs, 2, GUEST_MEMORY_PRIVATE, &f.memory, NULL))
        return -1;
    start(&f, 8, false, true);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    guest_memory_destroy(((struct fixture *)*state)->memory);
    return 0;
}

static void put_table(struct fixture *f, unsigned index, uint64_t address, uint32_t len,
                      uint16_t flags, uint16_t next)
{
    uint8_t *desc = guest_memory_at(f->memory, gpa(TABLE + 16ull * index), 16);

    put_le64(desc, address);
    put_le32(desc + 8, len);
    put_le16(desc + 12, flags);
    put_le16(desc + 14, next);
}

static void *hva(struct fixture *f, uint64_t address)
{
    return guest_memory_at(f->memory, gpa(address), 1);
}

static void expect_pop(struct fixture *f, uint16_t head)
{
    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
    assert_int_equal(f->chain.head, head);
}

/* The queue breaks at this pop, and stays broken and silent. */
static void expect_broken(struct fixture *f)
{
    uint16_t used = driver_ring_used_idx(&f->ring);

    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), -EPROTO);
    assert_true(f->queue.broken);
    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
    assert_int_equal(virtqueue_pending(&f->queue), 0);
    virtqueue_push(&f->queue, 0, 1);
    assert_int_equal(driver_ring_used_idx(&f->ring), used);
    assert_false(virtqueue_should_interrupt(&f->queue));
    assert_false(virtqueue_enable_notify(&f->queue));
}

/* ---- activation ---- */

static int activate_with(struct fixture *f, uint16_t size, uint64_t desc, uint64_t avail,
                         uint64_t used)
{
    virtqueue_reset(&f->queue);
    f->queue.size = size;
    f->queue.desc_address = gpa(desc);
    f->queue.avail_address = gpa(avail);
    f->queue.used_address = gpa(used);
    return virtqueue_activate(&f->queue, f->memory, false, true);
}

static void sizes_are_powers_of_two_up_to_the_maximum(void **state)
{
    struct fixture *f = *state;

    f->queue.max_size = 64;
    for (unsigned size = 0; size <= 300; size++) {
        bool good = size == 1 || size == 2 || size == 4 || size == 8 || size == 16 || size == 32 ||
                    size == 64;

        assert_int_equal(activate_with(f, (uint16_t)size, RING, RING + 0x1000, RING + 0x2000),
                         good ? 0 : -EINVAL);
    }
}

static void rings_are_aligned(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(activate_with(f, 8, RING + 8, RING + 0x1000, RING + 0x2000), -EINVAL);
    assert_int_equal(activate_with(f, 8, RING, RING + 0x1001, RING + 0x2000), -EINVAL);
    assert_int_equal(activate_with(f, 8, RING, RING + 0x1000, RING + 0x2002), -EINVAL);
    assert_int_equal(activate_with(f, 8, RING + 16, RING + 0x1002, RING + 0x2004), 0);
}

static void rings_lie_wholly_inside_memory(void **state)
{
    struct fixture *f = *state;
    const uint64_t desc_bytes = 8 * 16, avail_bytes = 6 + 8 * 2, used_bytes = 6 + 8 * 8;
    const uint64_t ok = RING;

    assert_int_equal(activate_with(f, 8, MEMORY - desc_bytes, ok, ok), 0);
    assert_int_equal(activate_with(f, 8, MEMORY - desc_bytes + 16, ok, ok), -EINVAL);
    assert_int_equal(activate_with(f, 8, ok, MEMORY - avail_bytes, ok), 0);
    assert_int_equal(activate_with(f, 8, ok, MEMORY - avail_bytes + 2, ok), -EINVAL);
    assert_int_equal(activate_with(f, 8, ok, ok, (MEMORY - used_bytes) & ~3ull), 0);
    assert_int_equal(activate_with(f, 8, ok, ok, ((MEMORY - used_bytes) & ~3ull) + 4), -EINVAL);
    assert_int_equal(activate_with(f, 8, UINT64_MAX & ~15ull, ok, ok), -EINVAL);
    assert_int_equal(activate_with(f, 8, MEMORY, ok, ok), -EINVAL); /* the hole */
}

static void an_inactive_queue_does_nothing(void **state)
{
    struct fixture *f = *state;

    virtqueue_reset(&f->queue);
    assert_int_equal(f->queue.max_size, 256);
    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
    assert_int_equal(virtqueue_pending(&f->queue), 0);
    virtqueue_push(&f->queue, 0, 0);
    virtqueue_disable_notify(&f->queue);
    assert_false(virtqueue_enable_notify(&f->queue));
    assert_false(virtqueue_should_interrupt(&f->queue));
}

/* ---- well-formed chains ---- */

static void a_chain_comes_out_as_it_went_in(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffers[] = {
        {BUFFER, 10, false}, {BUFFER + 100, 20, false}, {BUFFER + 200, 30, true}};
    uint32_t head, len;

    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
    driver_ring_add(&f->ring, buffers, 3);
    assert_int_equal(virtqueue_pending(&f->queue), 1);
    expect_pop(f, 0);
    assert_int_equal(f->chain.readable_count, 2);
    assert_int_equal(f->chain.writable_count, 1);
    assert_int_equal(f->chain.readable_bytes, 30);
    assert_int_equal(f->chain.writable_bytes, 30);
    assert_ptr_equal(f->chain.iov[0].iov_base, hva(f, BUFFER));
    assert_int_equal(f->chain.iov[0].iov_len, 10);
    assert_ptr_equal(f->chain.iov[1].iov_base, hva(f, BUFFER + 100));
    assert_ptr_equal(f->chain.iov[2].iov_base, hva(f, BUFFER + 200));
    assert_int_equal(f->queue.in_flight, 1);
    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);

    assert_false(driver_ring_take(&f->ring, &head, &len));
    virtqueue_push(&f->queue, 0, 17);
    assert_true(driver_ring_take(&f->ring, &head, &len));
    assert_int_equal(head, 0);
    assert_int_equal(len, 17);
    assert_int_equal(f->queue.in_flight, 0);
}

static void indices_run_through_two_to_the_sixteen(void **state)
{
    struct fixture *f = *state;
    uint32_t head, len;

    for (unsigned i = 0; i < 70000; i++) {
        uint16_t added = driver_ring_add_one(&f->ring, BUFFER + i % 1000, 1 + i % 7, i & 1);

        expect_pop(f, added);
        assert_ptr_equal(f->chain.iov[0].iov_base, hva(f, BUFFER + i % 1000));
        virtqueue_push(&f->queue, added, i);
        assert_true(driver_ring_take(&f->ring, &head, &len));
        assert_int_equal(head, added);
        assert_int_equal(len, i);
    }
}

static void a_full_queue_of_chains_may_be_out_in_any_order(void **state)
{
    struct fixture *f = *state;
    uint32_t head, len;

    for (unsigned i = 0; i < 8; i++)
        driver_ring_add_one(&f->ring, BUFFER, 1, true);
    assert_int_equal(virtqueue_pending(&f->queue), 8);
    for (unsigned i = 0; i < 8; i++)
        expect_pop(f, (uint16_t)i);
    assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
    for (unsigned i = 8; i > 0; i--)
        virtqueue_push(&f->queue, (uint16_t)(i - 1), 0);
    for (unsigned i = 8; i > 0; i--) {
        assert_true(driver_ring_take(&f->ring, &head, &len));
        assert_int_equal(head, i - 1);
    }
}

static void chains_pushed_together_appear_together(void **state)
{
    struct fixture *f = *state;
    const uint16_t heads[] = {0, 1, 2};
    const uint32_t written[] = {100, 200, 300};
    uint32_t head, len;

    for (unsigned i = 0; i < 3; i++)
        driver_ring_add_one(&f->ring, BUFFER, 1, true);
    for (unsigned i = 0; i < 3; i++)
        expect_pop(f, (uint16_t)i);
    virtqueue_push_many(&f->queue, heads, written, 3);
    assert_int_equal(driver_ring_used_idx(&f->ring), 3);
    assert_int_equal(f->queue.in_flight, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(driver_ring_take(&f->ring, &head, &len));
        assert_int_equal(head, i);
        assert_int_equal(len, 100 * (i + 1));
    }
}

static void an_unpopped_chain_comes_again(void **state)
{
    struct fixture *f = *state;

    driver_ring_add_one(&f->ring, BUFFER, 5, false);
    expect_pop(f, 0);
    virtqueue_unpop(&f->queue);
    assert_int_equal(f->queue.in_flight, 0);
    assert_int_equal(virtqueue_pending(&f->queue), 1);
    expect_pop(f, 0);
    assert_int_equal(f->chain.readable_bytes, 5);
}

static void a_popped_chain_does_not_change_with_its_descriptors(void **state)
{
    struct fixture *f = *state;

    driver_ring_add_one(&f->ring, BUFFER, 5, false);
    expect_pop(f, 0);
    driver_ring_put(&f->ring, 0, UINT64_MAX, UINT32_MAX, WRITE, 0);
    assert_ptr_equal(f->chain.iov[0].iov_base, hva(f, BUFFER));
    assert_int_equal(f->chain.iov[0].iov_len, 5);
    virtqueue_push(&f->queue, 0, 0);
    assert_int_equal(driver_ring_used_idx(&f->ring), 1);
}

static void empty_buffers_are_left_out(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffers[] = {
        {0, 0, false}, {BUFFER, 4, false}, {UINT64_MAX, 0, true}, {BUFFER + 8, 6, true}};

    driver_ring_add(&f->ring, buffers, 4);
    expect_pop(f, 0);
    assert_int_equal(f->chain.readable_count, 1);
    assert_int_equal(f->chain.writable_count, 1);
    assert_int_equal(f->chain.iov[0].iov_len, 4);
    assert_int_equal(f->chain.iov[1].iov_len, 6);
}

static void a_chain_may_fill_the_queue(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 8; i++)
        driver_ring_put(&f->ring, i, BUFFER, 1, i < 7 ? NEXT : 0, (uint16_t)(i + 1));
    driver_ring_offer(&f->ring, 0);
    expect_pop(f, 0);
    assert_int_equal(f->chain.readable_count, 8);
}

static void the_largest_queue_and_chain_fit(void **state)
{
    struct fixture *f = *state;

    start(f, 256, false, true);
    for (unsigned i = 0; i < 256; i++)
        put_table(f, i, BUFFER + i, 1, WRITE | (i < 255 ? NEXT : 0), (uint16_t)(i + 1));
    driver_ring_put(&f->ring, 0, TABLE, 256 * 16, INDIRECT, 0);
    driver_ring_offer(&f->ring, 0);
    expect_pop(f, 0);
    assert_int_equal(f->chain.writable_count, 256);
    assert_int_equal(f->chain.writable_bytes, 256);
    assert_ptr_equal(f->chain.iov[255].iov_base, hva(f, BUFFER + 255));
}

/* ---- indirect tables ---- */

static void an_indirect_table_continues_a_chain(void **state)
{
    struct fixture *f = *state;

    put_table(f, 0, BUFFER + 10, 10, NEXT, 2);
    put_table(f, 2, BUFFER + 20, 20, WRITE, 0);
    driver_ring_put(&f->ring, 3, BUFFER, 5, NEXT, 5);
    /* 2.7.5.3.2: WRITE means nothing on the pointer to a table. */
    driver_ring_put(&f->ring, 5, TABLE, 3 * 16, INDIRECT | WRITE, 0);
    driver_ring_offer(&f->ring, 3);
    expect_pop(f, 3);
    assert_int_equal(f->chain.readable_count, 2);
    assert_int_equal(f->chain.readable_bytes, 15);
    assert_int_equal(f->chain.writable_count, 1);
    assert_int_equal(f->chain.writable_bytes, 20);
}

static void indirect_needs_negotiation(void **state)
{
    struct fixture *f = *state;

    start(f, 8, false, false);
    put_table(f, 0, BUFFER, 10, 0, 0);
    driver_ring_put(&f->ring, 0, TABLE, 16, INDIRECT, 0);
    driver_ring_offer(&f->ring, 0);
    expect_broken(f);
}

static void offer_indirect(struct fixture *f, uint64_t table, uint32_t len, uint16_t more_flags)
{
    driver_ring_put(&f->ring, 0, table, len, INDIRECT | more_flags, 1);
    driver_ring_put(&f->ring, 1, BUFFER, 1, 0, 0);
    driver_ring_offer(&f->ring, 0);
}

static void indirect_never_comes_with_next(void **state)
{
    struct fixture *f = *state;

    put_table(f, 0, BUFFER, 10, 0, 0);
    offer_indirect(f, TABLE, 16, NEXT);
    expect_broken(f);
}

static void indirect_tables_have_whole_descriptors(void **state)
{
    static const uint32_t lengths[] = {0, 1, 15, 17, 8 * 16 + 1, 9 * 16, 0xfffffff0u, UINT32_MAX};
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        start(f, 8, false, true);
        put_table(f, 0, BUFFER, 10, 0, 0);
        offer_indirect(f, TABLE, lengths[i], 0);
        expect_broken(f);
    }
}

static void indirect_tables_lie_inside_memory(void **state)
{
    static const uint64_t tables[] = {MEMORY - 16, MEMORY, UINT64_MAX - 15, GAP_BASE - 16};
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        start(f, 8, false, true);
        offer_indirect(f, tables[i], 32, 0);
        expect_broken(f);
    }
}

static void indirect_tables_do_not_nest(void **state)
{
    struct fixture *f = *state;

    put_table(f, 0, TABLE + 32, 16, INDIRECT, 0);
    put_table(f, 2, BUFFER, 10, 0, 0);
    offer_indirect(f, TABLE, 16, 0);
    expect_broken(f);
}

static void indirect_chains_stay_in_their_table(void **state)
{
    struct fixture *f = *state;

    put_table(f, 0, BUFFER, 10, NEXT, 1);
    put_table(f, 1, BUFFER, 10, 0, 0); /* present, but behind the table's end */
    offer_indirect(f, TABLE, 16, 0);
    expect_broken(f);
}

static void indirect_loops_end(void **state)
{
    struct fixture *f = *state;

    put_table(f, 0, BUFFER, 10, NEXT, 0);
    offer_indirect(f, TABLE, 16, 0);
    expect_broken(f);
}

static void direct_and_indirect_buffers_count_together(void **state)
{
    struct fixture *f = *state;

    for (unsigned total = 8; total <= 9; total++) {
        start(f, 8, false, true);
        for (unsigned i = 0; i < 5; i++)
            put_table(f, i, BUFFER, 1, i < 4 ? NEXT : 0, (uint16_t)(i + 1));
        for (unsigned i = 0; i < total - 5; i++)
            driver_ring_put(&f->ring, i, BUFFER, 1, NEXT, (uint16_t)(i + 1));
        driver_ring_put(&f->ring, total - 5, TABLE, 5 * 16, INDIRECT, 0);
        driver_ring_offer(&f->ring, 0);
        if (total == 8) {
            expect_pop(f, 0);
            assert_int_equal(f->chain.readable_count, 8);
        } else {
            expect_broken(f);
        }
    }
}

/* ---- hostile drivers ---- */

static void loops_end(void **state)
{
    struct fixture *f = *state;

    driver_ring_put(&f->ring, 0, BUFFER, 1, NEXT, 1);
    driver_ring_put(&f->ring, 1, BUFFER, 1, NEXT, 0);
    driver_ring_offer(&f->ring, 0);
    expect_broken(f);
}

static void loops_of_empty_buffers_end(void **state)
{
    struct fixture *f = *state;

    driver_ring_put(&f->ring, 0, BUFFER, 0, NEXT, 0);
    driver_ring_offer(&f->ring, 0);
    expect_broken(f);
}

static void writable_before_readable_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffers[] = {{BUFFER, 1, true}, {BUFFER, 1, false}};

    driver_ring_add(&f->ring, buffers, 2);
    expect_broken(f);
}

static void buffers_lie_inside_one_region(void **state)
{
    static const struct {
        uint64_t address;
        uint32_t len;
        bool good;
    } cases[] = {
        {0, 1, true},
        {MEMORY - 1, 1, true},
        {0, MEMORY, true},
        {GAP_BASE, MEMORY, true},
        {MEMORY - 1, 2, false},
        {MEMORY, 1, false},
        {0, MEMORY + 1, false},
        {GAP_BASE - 1, 1, false},
        {GAP_BASE - 1, 2, false},
        {GAP_BASE + MEMORY - 1, 2, false},
        {0, UINT32_MAX, false},
        {UINT64_MAX, 1, false},
        {UINT64_MAX - 3, 8, false},
        {1ull << 63, 16, false},
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned writable = 0; writable < 2; writable++) {
            start(f, 8, false, true);
            driver_ring_add_one(&f->ring, cases[i].address, cases[i].len, writable);
            if (cases[i].good)
                expect_pop(f, 0);
            else
                expect_broken(f);
        }
    }
}

static void heads_and_next_stay_in_the_table(void **state)
{
    struct fixture *f = *state;

    driver_ring_offer(&f->ring, 8);
    expect_broken(f);
    start(f, 8, false, true);
    driver_ring_offer(&f->ring, UINT16_MAX);
    expect_broken(f);
    start(f, 8, false, true);
    driver_ring_put(&f->ring, 0, BUFFER, 1, NEXT, 8);
    driver_ring_offer(&f->ring, 0);
    expect_broken(f);
}

static void an_index_too_far_ahead_is_refused(void **state)
{
    struct fixture *f = *state;

    driver_ring_set_avail_idx(&f->ring, 8);
    assert_int_equal(virtqueue_pending(&f->queue), 8);
    driver_ring_set_avail_idx(&f->ring, 9);
    assert_int_equal(virtqueue_pending(&f->queue), 8);
    expect_broken(f);
    start(f, 8, false, true);
    driver_ring_set_avail_idx(&f->ring, UINT16_MAX); /* backwards */
    expect_broken(f);
}

static void heads_offered_again_while_out_are_refused(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 8; i++)
        driver_ring_add_one(&f->ring, BUFFER, 1, true);
    for (unsigned i = 0; i < 5; i++)
        expect_pop(f, (uint16_t)i);
    /* Three wait and five are out: there is no descriptor left for a ninth. */
    driver_ring_offer(&f->ring, 0);
    expect_broken(f);
    assert_int_equal(f->queue.in_flight, 5);
}

/* ---- notifications ---- */

static void finish_one(struct fixture *f)
{
    uint16_t head = driver_ring_add_one(&f->ring, BUFFER, 1, true);

    expect_pop(f, head);
    virtqueue_push(&f->queue, head, 1);
}

static void flags_ask_for_interrupts(void **state)
{
    struct fixture *f = *state;

    assert_false(virtqueue_should_interrupt(&f->queue)); /* nothing was pushed */
    finish_one(f);
    assert_true(virtqueue_should_interrupt(&f->queue));
    assert_false(virtqueue_should_interrupt(&f->queue)); /* said already */
    driver_ring_set_avail_flags(&f->ring, VRING_AVAIL_F_NO_INTERRUPT);
    finish_one(f);
    assert_false(virtqueue_should_interrupt(&f->queue));
    driver_ring_set_avail_flags(&f->ring, 0);
    finish_one(f);
    assert_true(virtqueue_should_interrupt(&f->queue));
}

static void the_used_event_asks_for_interrupts(void **state)
{
    struct fixture *f = *state;

    start(f, 8, true, true);
    driver_ring_set_avail_flags(&f->ring, VRING_AVAIL_F_NO_INTERRUPT); /* means nothing now */
    finish_one(f);
    assert_true(virtqueue_should_interrupt(&f->queue)); /* used_event is 0 */
    finish_one(f);
    assert_false(virtqueue_should_interrupt(&f->queue)); /* entry 1 is not entry 0 */
    driver_ring_set_used_event(&f->ring, 4);
    finish_one(f); /* entry 2 */
    finish_one(f); /* entry 3 */
    assert_false(virtqueue_should_interrupt(&f->queue));
    finish_one(f); /* entry 4 */
    finish_one(f);
    assert_true(virtqueue_should_interrupt(&f->queue));
    assert_false(virtqueue_should_interrupt(&f->queue));
}

static void the_used_event_works_across_the_wrap(void **state)
{
    struct fixture *f = *state;

    start(f, 8, true, true);
    for (unsigned i = 0; i < 70000; i++) {
        driver_ring_set_used_event(&f->ring, (uint16_t)i);
        finish_one(f);
        assert_true(virtqueue_should_interrupt(&f->queue));
    }
    driver_ring_set_used_event(&f->ring, (uint16_t)(70000 + 100));
    for (unsigned i = 0; i < 100; i++) {
        finish_one(f);
        assert_false(virtqueue_should_interrupt(&f->queue));
    }
    finish_one(f);
    assert_true(virtqueue_should_interrupt(&f->queue));
}

static void kicks_are_turned_off_and_on(void **state)
{
    struct fixture *f = *state;

    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        start(f, 8, event_idx, true);
        driver_ring_add_one(&f->ring, BUFFER, 1, true);
        assert_true(driver_ring_must_kick(&f->ring, event_idx, 1));
        virtqueue_disable_notify(&f->queue);
        expect_pop(f, 0);
        driver_ring_add_one(&f->ring, BUFFER, 1, true);
        assert_false(driver_ring_must_kick(&f->ring, event_idx, 1));
        assert_true(virtqueue_enable_notify(&f->queue)); /* one came meanwhile */
        expect_pop(f, 1);
        assert_false(virtqueue_enable_notify(&f->queue));
        driver_ring_add_one(&f->ring, BUFFER, 1, true);
        assert_true(driver_ring_must_kick(&f->ring, event_idx, 1));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sizes_are_powers_of_two_up_to_the_maximum),
        TEST(rings_are_aligned),
        TEST(rings_lie_wholly_inside_memory),
        TEST(an_inactive_queue_does_nothing),
        TEST(a_chain_comes_out_as_it_went_in),
        TEST(indices_run_through_two_to_the_sixteen),
        TEST(a_full_queue_of_chains_may_be_out_in_any_order),
        TEST(chains_pushed_together_appear_together),
        TEST(an_unpopped_chain_comes_again),
        TEST(a_popped_chain_does_not_change_with_its_descriptors),
        TEST(empty_buffers_are_left_out),
        TEST(a_chain_may_fill_the_queue),
        TEST(the_largest_queue_and_chain_fit),
        TEST(an_indirect_table_continues_a_chain),
        TEST(indirect_needs_negotiation),
        TEST(indirect_never_comes_with_next),
        TEST(indirect_tables_have_whole_descriptors),
        TEST(indirect_tables_lie_inside_memory),
        TEST(indirect_tables_do_not_nest),
        TEST(indirect_chains_stay_in_their_table),
        TEST(indirect_loops_end),
        TEST(direct_and_indirect_buffers_count_together),
        TEST(loops_end),
        TEST(loops_of_empty_buffers_end),
        TEST(writable_before_readable_is_refused),
        TEST(buffers_lie_inside_one_region),
        TEST(heads_and_next_stay_in_the_table),
        TEST(an_index_too_far_ahead_is_refused),
        TEST(heads_offered_again_while_out_are_refused),
        TEST(flags_ask_for_interrupts),
        TEST(the_used_event_asks_for_interrupts),
        TEST(the_used_event_works_across_the_wrap),
        TEST(kicks_are_turned_off_and_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
