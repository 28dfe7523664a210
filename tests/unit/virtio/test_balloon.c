// SPDX-License-Identifier: Apache-2.0
/* virtio-balloon: what the driver reports as free goes back to the host, and nothing else (virtio
 * 1.2, section 5.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/devices.h"
#include "tests/harness/ring_driver.h"

#define DATA      0x200000u
#define PAGE      0x1000u
#define PAGES     16u
#define SIZE      64u
#define WRITE     VRING_DESC_F_WRITE
#define REPORTING (UINT64_C(1) << VIRTIO_BALLOON_F_REPORTING)

enum { INFLATE, DEFLATE, LINUX_REPORTS, REPORTS = 4, QUEUES };

static struct {
    struct virtio_surroundings around;
    struct virtio_device *balloon;
    struct ring_driver rings[QUEUES];
} t;

static void begin(uint64_t features)
{
    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, NULL);
    assert_int_equal(virtio_balloon_create(&t.around.env, &t.balloon), 0);
    surroundings_connect(&t.around, t.balloon);
    driver_start(t.balloon, features, t.rings, QUEUES, SIZE);
    memset(guest_bytes(t.around.memory, DATA, PAGES * PAGE), 0xa5, PAGES * PAGE);
}

static int setup(void **state)
{
    begin(REPORTING);
    return 0;
}

static int teardown(void **state)
{
    virtio_device_destroy(t.balloon);
    surroundings_release(&t.around);
    return 0;
}

/* Which of the pages read as zero, a bit each; the others must be as they were. */
static unsigned dropped(void)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        const uint8_t *page = guest_bytes(t.around.memory, DATA + i * PAGE, PAGE);
        unsigned zeroes = 0;

        for (unsigned at = 0; at < PAGE; at++)
            zeroes += page[at] == 0;
        assert_true(zeroes == 0 || zeroes == PAGE);
        bits |= (zeroes == PAGE) << i;
    }
    return bits;
}

static void serve(unsigned queue)
{
    uint32_t id, len;

    virtio_device_kick(t.balloon, queue);
    surroundings_settle(&t.around);
    assert_true(ring_used(&t.rings[queue], &id, &len));
    assert_int_equal(len, 0);
}

static void it_asks_for_nothing(void **state)
{
    uint8_t config[8];

    assert_int_equal(t.balloon->id, VIRTIO_ID_BALLOON);
    virtio_device_config_read(t.balloon, 0, config, 4);
    virtio_device_config_read(t.balloon, 4, config + 4, 4);
    assert_int_equal(get_le32(config), 0);
    assert_int_equal(get_le32(config + 4), 0);
}

/* 5.5.6.1: the driver's word, which a reset forgets; the host's is not the driver's to write. */
static void only_the_actual_size_can_be_written(void **state)
{
    const uint8_t five[4] = {5, 0, 0, 0};
    uint8_t read[4];

    virtio_device_config_write(t.balloon, 0, five, 4);
    virtio_device_config_read(t.balloon, 0, read, 4);
    assert_int_equal(get_le32(read), 0);
    virtio_device_config_write(t.balloon, 4, five, 4);
    virtio_device_config_read(t.balloon, 4, read, 4);
    assert_int_equal(get_le32(read), 5);
    virtio_device_set_status(t.balloon, 0);
    virtio_device_config_read(t.balloon, 4, read, 4);
    assert_int_equal(get_le32(read), 0);
}

static void reported_pages_go_back(void **state)
{
    ring_add(&t.rings[LINUX_REPORTS], 0, DATA + PAGE, 2 * PAGE, WRITE);
    serve(LINUX_REPORTS);
    assert_int_equal(dropped(), 0x6);
    assert_int_equal(virtio_balloon_dropped(t.balloon), 2 * PAGE);
    /* The queue's number in the specification. */
    ring_add(&t.rings[REPORTS], 0, DATA + 8 * PAGE, PAGE, WRITE);
    serve(REPORTS);
    assert_int_equal(dropped(), 0x106);
    assert_int_equal(t.around.queue_interrupts[LINUX_REPORTS], 1);
}

/* What is beside a page belongs to somebody else. */
static void parts_of_pages_stay(void **state)
{
    ring_add(&t.rings[REPORTS], 0, DATA + 1, 3 * PAGE - 2, WRITE);
    serve(REPORTS);
    assert_int_equal(dropped(), 0x2);
    ring_add(&t.rings[REPORTS], 1, DATA + 4 * PAGE + 8, PAGE, WRITE);
    serve(REPORTS);
    assert_int_equal(dropped(), 0x2);
}

static void readable_buffers_are_no_reports(void **state)
{
    ring_add(&t.rings[REPORTS], 0, DATA, PAGES * PAGE, 0);
    serve(REPORTS);
    assert_int_equal(dropped(), 0);
}

static void without_the_feature_there_are_no_reports(void **state)
{
    ring_add(&t.rings[REPORTS], 0, DATA, PAGES * PAGE, WRITE);
    serve(REPORTS);
    assert_int_equal(dropped(), 0);
}

static void pinned_memory_stays(void **state)
{
    guest_memory_set_pinned(t.around.memory, true);
    ring_add(&t.rings[REPORTS], 0, DATA, PAGES * PAGE, WRITE);
    serve(REPORTS);
    assert_int_equal(dropped(), 0);
    assert_int_equal(virtio_balloon_dropped(t.balloon), 0);
    guest_memory_set_pinned(t.around.memory, false);
}

/* 5.5.6: page frame numbers; those of no page, and a part of a number, say nothing. */
static void inflation_gives_pages_away(void **state)
{
    uint8_t *pfns = guest_bytes(t.around.memory, 0x100000, 18);

    put_le32(pfns, DATA / PAGE + 3);
    put_le32(pfns + 4, 0xffffffffu);
    put_le32(pfns + 8, LOW_BYTES / PAGE);
    put_le32(pfns + 12, DATA / PAGE + 15);
    ring_add(&t.rings[INFLATE], 0, 0x100000, 18, 0);
    serve(INFLATE);
    assert_int_equal(dropped(), 0x8008);
    ring_add(&t.rings[DEFLATE], 0, 0x100000, 16, 0);
    serve(DEFLATE);
    assert_int_equal(dropped(), 0x8008);
}

static void many_chains_are_served_in_turns(void **state)
{
    for (unsigned i = 0; i < SIZE; i++)
        ring_add(&t.rings[REPORTS], (uint16_t)i, DATA + i % PAGES * PAGE, PAGE, WRITE);
    virtio_device_kick(t.balloon, REPORTS);
    assert_true(ring_used_idx(&t.rings[REPORTS]) < SIZE);
    surroundings_settle(&t.around);
    assert_int_equal(ring_used_idx(&t.rings[REPORTS]), SIZE);
    assert_int_equal(dropped(), 0xffff);
}

static int setup_without(void **state)
{
    begin(0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_asks_for_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_actual_size_can_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(reported_pages_go_back, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_of_pages_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(readable_buffers_are_no_reports, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_feature_there_are_no_reports, setup_without,
                                        teardown),
        cmocka_unit_test_setup_teardown(pinned_memory_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(inflation_gives_pages_away, setup, teardown),
        cmocka_unit_test_setup_teardown(many_chains_are_served_in_turns, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
