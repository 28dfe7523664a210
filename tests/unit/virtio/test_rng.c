// SPDX-License-Identifier: Apache-2.0
/* virtio-rng: entropy goes where it may, in portions (virtio 1.2, section 5.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "devices/virtio/devices.h"
#include "tests/harness/ring_driver.h"

#define DATA  0x100000u
#define SIZE  64u
#define WRITE VRING_DESC_F_WRITE

static struct {
    struct virtio_surroundings around;
    struct virtio_device *rng;
    struct ring_driver ring;
} t;

static int setup(void **state)
{
    const struct rate_limit no_limit = {0};

    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, NULL);
    if (virtio_rng_create(&t.around.env, &no_limit, &t.rng))
        return -1;
    surroundings_connect(&t.around, t.rng);
    driver_start(t.rng, 0, &t.ring, 1, SIZE);
    return 0;
}

static int teardown(void **state)
{
    virtio_device_destroy(t.rng);
    surroundings_release(&t.around);
    return 0;
}

/* How many of `len` bytes at `address` are not 0. */
static unsigned touched(uint64_t address, uint32_t len)
{
    const uint8_t *bytes = guest_bytes(t.around.memory, address, len);
    unsigned count = 0;

    for (uint32_t i = 0; i < len; i++)
        count += bytes[i] != 0;
    return count;
}

static void a_kick(void)
{
    virtio_device_kick(t.rng, 0);
}

static void it_is_an_entropy_device(void **state)
{
    uint8_t byte;

    assert_int_equal(t.rng->id, VIRTIO_ID_RNG);
    assert_int_equal(t.rng->queue_count, 1);
    assert_int_equal(virtio_device_queue_max(t.rng, 0), SIZE);
    /* 5.4.4: no configuration. */
    virtio_device_config_read(t.rng, 0, &byte, 1);
    assert_int_equal(byte, 0xff);
}

static void a_buffer_is_filled(void **state)
{
    uint32_t id, len;

    ring_add(&t.ring, 5, DATA, 256, WRITE);
    a_kick();
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(id, 5);
    assert_int_equal(len, 256);
    assert_true(touched(DATA, 256) > 128);
    assert_int_equal(touched(DATA + 256, 256), 0);
    assert_int_equal(t.around.queue_interrupts[0], 1);
}

static void two_buffers_differ(void **state)
{
    ring_add(&t.ring, 0, DATA, 32, WRITE);
    ring_add(&t.ring, 1, DATA + 32, 32, WRITE);
    a_kick();
    assert_int_equal(ring_used_idx(&t.ring), 2);
    assert_memory_not_equal(guest_bytes(t.around.memory, DATA, 32),
                            guest_bytes(t.around.memory, DATA + 32, 32), 32);
}

static void a_chain_is_filled_across_its_buffers(void **state)
{
    uint32_t id, len;

    ring_descriptor(&t.ring, 0, DATA, 40, WRITE | VRING_DESC_F_NEXT, 1);
    ring_descriptor(&t.ring, 1, DATA + 0x1000, 60, WRITE, 0);
    ring_expose(&t.ring, 0);
    a_kick();
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(len, 100);
    assert_true(touched(DATA, 40) > 20);
    assert_true(touched(DATA + 0x1000, 60) > 30);
    assert_int_equal(touched(DATA + 40, 0x1000 - 40), 0);
}

static void readable_buffers_are_not_touched(void **state)
{
    uint32_t id, len;

    ring_add(&t.ring, 0, DATA, 64, 0);
    ring_descriptor(&t.ring, 1, DATA, 64, VRING_DESC_F_NEXT, 2);
    ring_descriptor(&t.ring, 2, DATA + 64, 64, WRITE, 0);
    ring_expose(&t.ring, 1);
    ring_add(&t.ring, 3, DATA, 0, WRITE);
    a_kick();
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(len, 0);
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(id, 1);
    assert_int_equal(len, 64);
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(len, 0);
    assert_int_equal(touched(DATA, 64), 0);
    assert_true(touched(DATA + 64, 64) > 32);
}

static void a_huge_buffer_gets_a_portion(void **state)
{
    uint32_t id, len;

    /* 5.4.6.1: the device writes at least one byte, and may write less than the buffer holds. */
    ring_add(&t.ring, 0, DATA, 2u << 20, WRITE);
    ring_add(&t.ring, 1, HIGH_START, HIGH_BYTES, WRITE);
    a_kick();
    for (unsigned i = 0; i < 2; i++) {
        assert_true(ring_used(&t.ring, &id, &len));
        assert_int_equal(len, 4096);
    }
    assert_int_equal(touched(DATA + 4096, 2u << 20), 0);
}

/* Many chains: one turn takes part of them, the rest follows without a further kick. */
static void assert_portions(bool event_idx)
{
    uint16_t first;

    driver_start(t.rng, event_idx ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0, &t.ring, 1, SIZE);
    for (uint16_t i = 0; i < SIZE; i++)
        ring_add(&t.ring, i, DATA + i * 4096u, 4096, WRITE);
    a_kick();
    first = ring_used_idx(&t.ring);
    assert_true(first > 0);
    assert_true(first < SIZE);
    surroundings_settle(&t.around);
    while (ring_used_idx(&t.ring) < SIZE && event_loop_run_once(t.around.loop, 1000) > 0)
        ;
    assert_int_equal(ring_used_idx(&t.ring), SIZE);
    while (event_loop_run_once(t.around.loop, 1) > 0) /* the last turn, which finds nothing */
        ;
    /* The next chain kicks again. */
    ring_add(&t.ring, 0, DATA, 8, WRITE);
    assert_true(ring_wants_kick(&t.ring, event_idx, SIZE));
    a_kick();
    assert_int_equal(ring_used_idx(&t.ring), SIZE + 1);
}

static void a_kick_does_a_portion_of_the_work(void **state)
{
    assert_portions(false);
    assert_portions(true);
}

static void a_reset_forgets_the_rest(void **state)
{
    for (uint16_t i = 0; i < SIZE; i++)
        ring_add(&t.ring, i, DATA, 1, WRITE);
    a_kick();
    virtio_device_set_status(t.rng, 0);
    memset(guest_bytes(t.around.memory, DATA, 1), 0, 1);
    for (unsigned i = 0; i < 5; i++)
        event_loop_run_once(t.around.loop, 1);
    assert_true(ring_used_idx(&t.ring) < SIZE);
    assert_int_equal(touched(DATA, 1), 0);
}

static void a_pause_holds_the_rest(void **state)
{
    uint16_t done;

    for (uint16_t i = 0; i < SIZE; i++)
        ring_add(&t.ring, i, DATA, 1, WRITE);
    a_kick();
    done = ring_used_idx(&t.ring);
    virtio_device_pause(t.rng);
    for (unsigned i = 0; i < 5; i++)
        event_loop_run_once(t.around.loop, 1);
    assert_int_equal(ring_used_idx(&t.ring), done);
    virtio_device_resume(t.rng);
    while (ring_used_idx(&t.ring) < SIZE && event_loop_run_once(t.around.loop, 1000) > 0)
        ;
    assert_int_equal(ring_used_idx(&t.ring), SIZE);
}

static void a_broken_queue_needs_a_reset(void **state)
{
    ring_add(&t.ring, 0, UINT64_MAX - 1, 8, WRITE);
    a_kick();
    assert_true(virtio_device_status(t.rng) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(ring_used_idx(&t.ring), 0);
    driver_start(t.rng, 0, &t.ring, 1, SIZE);
    ring_add(&t.ring, 0, DATA, 8, WRITE);
    a_kick();
    assert_int_equal(ring_used_idx(&t.ring), 1);
}

static void limit_to(struct rate_limit limit)
{
    virtio_device_destroy(t.rng);
    assert_int_equal(virtio_rng_create(&t.around.env, &limit, &t.rng), 0);
    surroundings_connect(&t.around, t.rng);
    driver_start(t.rng, 0, &t.ring, 1, SIZE);
}

static void a_limit_holds_the_rest(void **state)
{
    uint32_t id, len;

    limit_to((struct rate_limit){.per_second = 1, .burst = 200});
    ring_add(&t.ring, 0, DATA, 60, WRITE);
    ring_add(&t.ring, 1, DATA + 4096, 200, WRITE); /* in a minute */
    a_kick();
    assert_true(ring_used(&t.ring, &id, &len));
    assert_int_equal(len, 60);
    a_kick();
    assert_int_equal(ring_used_idx(&t.ring), 1);
    assert_int_equal(virtio_rng_bytes(t.rng), 60);
}

static void limited_bytes_come_in_the_end(void **state)
{
    limit_to((struct rate_limit){.per_second = 10000, .burst = 200});
    for (uint16_t i = 0; i < 10; i++)
        ring_add(&t.ring, i, DATA, 150, WRITE);
    a_kick();
    while (ring_used_idx(&t.ring) < 10)
        assert_true(event_loop_run_once(t.around.loop, 60000) >= 0);
    assert_int_equal(virtio_rng_bytes(t.rng), 1500);
}

/* More than the burst at once puts the device into debt, and is not starved. */
static void a_buffer_beyond_the_burst(void **state)
{
    limit_to((struct rate_limit){.per_second = 1, .burst = 16});
    ring_add(&t.ring, 0, DATA, 4096, WRITE);
    ring_add(&t.ring, 1, DATA, 1, WRITE);
    a_kick();
    assert_int_equal(ring_used_idx(&t.ring), 1);
    assert_int_equal(virtio_rng_bytes(t.rng), 4096);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(it_is_an_entropy_device),
        TEST(a_buffer_is_filled),
        TEST(two_buffers_differ),
        TEST(a_chain_is_filled_across_its_buffers),
        TEST(readable_buffers_are_not_touched),
        TEST(a_huge_buffer_gets_a_portion),
        TEST(a_kick_does_a_portion_of_the_work),
        TEST(a_reset_forgets_the_rest),
        TEST(a_pause_holds_the_rest),
        TEST(a_broken_queue_needs_a_reset),
        TEST(a_limit_holds_the_rest),
        TEST(limited_bytes_come_in_the_end),
        TEST(a_buffer_beyond_the_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
