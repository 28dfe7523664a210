// SPDX-License-Identifier: Apache-2.0
/* The virtio core: the status walk, features, frozen registers, failure, pause (virtio 1.2, 2 and
 * 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "base/checked.h"
#include "tests/harness/ring_driver.h"

#define QUEUES      2u
#define RING        0x10000u
#define DATA        0x100000u
#define FEATURE     (1ull << 5)
#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER      VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define FAILED      VIRTIO_CONFIG_S_FAILED

/* A device that counts what the core asks of it and gives chains back as they come. */
static struct test {
    struct virtio_surroundings around;
    struct virtio_device device;
    struct ring_driver rings[QUEUES];
    unsigned activated, resets, paused, resumed, destroyed;
    unsigned notified[QUEUES];
    int activate_result;
    uint8_t config[8];
    struct virtq_chain chain;
} t;

static int probe_activate(struct virtio_device *device)
{
    t.activated++;
    return t.activate_result;
}

static void probe_reset(struct virtio_device *device)
{
    t.resets++;
    assert_false(device->active);
}

static void probe_notify(struct virtio_device *device, unsigned queue)
{
    int ret;

    t.notified[queue]++;
    while ((ret = virtqueue_pop(&device->queues[queue], &t.chain)) > 0)
        virtqueue_push(&device->queues[queue], t.chain.head, 0);
    if (ret < 0)
        virtio_device_failed(device, "queue %u is broken", queue);
    else
        virtio_device_signal_queue(device, queue);
}

static void probe_config_read(struct virtio_device *device, uint32_t offset, void *data,
                              unsigned size)
{
    assert_true(offset + size <= sizeof(t.config));
    memcpy(data, t.config + offset, size);
}

static void probe_config_write(struct virtio_device *device, uint32_t offset, const void *data,
                               unsigned size)
{
    assert_true(offset + size <= sizeof(t.config));
    memcpy(t.config + offset, data, size);
}

static void probe_pause(struct virtio_device *device)
{
    t.paused++;
}

static void probe_resume(struct virtio_device *device)
{
    t.resumed++;
}

static void probe_destroy(struct virtio_device *device)
{
    t.destroyed++;
}

static const struct virtio_device_ops probe_ops = {
    .name = "probe",
    .activate = probe_activate,
    .reset = probe_reset,
    .notify = probe_notify,
    .config_read = probe_config_read,
    .config_write = probe_config_write,
    .pause = probe_pause,
    .resume = probe_resume,
    .destroy = probe_destroy,
};

static const uint16_t sizes[QUEUES] = {16, 8};

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, NULL);
    if (virtio_device_init(&t.device, &probe_ops, 63, FEATURE, sizes, QUEUES, sizeof(t.config),
                           &t.around.env))
        return -1;
    surroundings_connect(&t.around, &t.device);
    return 0;
}

static int teardown(void **state)
{
    virtio_device_destroy(&t.device);
    assert_int_equal(t.destroyed, 1);
    surroundings_release(&t.around);
    return 0;
}

static void set_status(uint8_t status)
{
    virtio_device_set_status(&t.device, status);
}

static uint8_t status(void)
{
    return virtio_device_status(&t.device);
}

static void start(uint64_t features)
{
    driver_start(&t.device, features, t.rings, QUEUES, 8);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_true(t.device.active);
}

static void kick(unsigned queue)
{
    virtio_device_kick(&t.device, queue);
}

static void accept_all(uint64_t features)
{
    virtio_device_accept(&t.device, 0, (uint32_t)features);
    virtio_device_accept(&t.device, 1, (uint32_t)(features >> 32));
}

/* ---- making one ---- */

static void impossible_devices_are_refused(void **state)
{
    struct virtio_device device;
    uint16_t many[VIRTIO_MAX_QUEUES + 1] = {0};

    assert_int_equal(virtio_device_init(&device, &probe_ops, 1, 0, many, 0, 0, &t.around.env),
                     -EINVAL);
    assert_int_equal(virtio_device_init(&device, &probe_ops, 1, 0, many, VIRTIO_MAX_QUEUES + 1, 0,
                                        &t.around.env),
                     -EINVAL);
    virtio_device_destroy(NULL);
}

/* ---- status and features ---- */

static void the_walk_to_driver_ok(void **state)
{
    assert_int_equal(status(), 0);
    set_status(ACKNOWLEDGE);
    set_status(ACKNOWLEDGE | DRIVER);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER);
    accept_all(1ull << VIRTIO_F_VERSION_1 | FEATURE);
    set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assert_int_equal(t.activated, 0);
    set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_int_equal(t.activated, 1);
    assert_true(virtio_device_has_feature(&t.device, 5));
    assert_false(virtio_device_has_feature(&t.device, VIRTIO_RING_F_EVENT_IDX));
    /* Again the same: nothing happens twice. */
    set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_int_equal(t.activated, 1);
    assert_int_equal(t.resets, 0);
    assert_int_equal(t.around.config_interrupts, 0);
}

static void the_ring_features_are_always_offered(void **state)
{
    uint64_t offered =
        virtio_device_offered(&t.device, 0) | (uint64_t)virtio_device_offered(&t.device, 1) << 32;

    assert_int_equal(offered, FEATURE | 1ull << VIRTIO_F_VERSION_1 |
                                  1ull << VIRTIO_RING_F_EVENT_IDX |
                                  1ull << VIRTIO_RING_F_INDIRECT_DESC);
    assert_int_equal(virtio_device_offered(&t.device, 2), 0);
    assert_int_equal(virtio_device_offered(&t.device, UINT32_MAX), 0);
}

static void features_that_were_not_offered_are_refused(void **state)
{
    static const uint64_t bad[] = {
        1ull << VIRTIO_F_VERSION_1 | 1ull << 6,
        1ull << VIRTIO_F_VERSION_1 | 1ull << 63,
        1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_RING_PACKED,
        UINT64_MAX,
        FEATURE, /* no VERSION_1: we are not a legacy device (6.1) */
        0,
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        set_status(0);
        set_status(ACKNOWLEDGE | DRIVER);
        accept_all(bad[i]);
        set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        /* The driver reads it back and gives up, or offers something else. */
        assert_int_equal(status(), ACKNOWLEDGE | DRIVER);
        accept_all(1ull << VIRTIO_F_VERSION_1);
        set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    }
}

static void refused_features_and_driver_ok_at_once_fail(void **state)
{
    accept_all(UINT64_MAX);
    set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_true(status() & NEEDS_RESET);
    assert_false(status() & (FEATURES_OK | DRIVER_OK));
    assert_int_equal(t.activated, 0);
}

static void features_are_final_after_features_ok(void **state)
{
    driver_negotiate(&t.device, FEATURE);
    accept_all(0);
    assert_true(virtio_device_has_feature(&t.device, 5));
    accept_all(UINT64_MAX);
    assert_int_equal(t.device.accepted, FEATURE | 1ull << VIRTIO_F_VERSION_1);
    /* A selector beyond the words changes nothing even before. */
    set_status(0);
    virtio_device_accept(&t.device, 2, UINT32_MAX);
    assert_int_equal(t.device.accepted, 0);
}

static void driver_ok_needs_features_ok(void **state)
{
    set_status(ACKNOWLEDGE | DRIVER);
    set_status(ACKNOWLEDGE | DRIVER | DRIVER_OK);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER | NEEDS_RESET);
    assert_int_equal(t.activated, 0);
    /* 2.1.2: no notification before DRIVER_OK. */
    assert_int_equal(t.around.config_interrupts, 0);
    /* What follows does not start the device either. */
    accept_all(1ull << VIRTIO_F_VERSION_1);
    set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_int_equal(t.activated, 0);
    assert_true(status() & NEEDS_RESET);
}

static void bits_are_not_taken_back(void **state)
{
    start(0);
    set_status(ACKNOWLEDGE | DRIVER | DRIVER_OK);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | NEEDS_RESET);
    assert_false(t.device.active);
    assert_int_equal(t.around.config_interrupts, 1);
}

static void the_driver_cannot_set_what_is_the_devices(void **state)
{
    set_status(ACKNOWLEDGE | NEEDS_RESET);
    assert_int_equal(status(), ACKNOWLEDGE);
    set_status(ACKNOWLEDGE | 0x30); /* reserved */
    assert_int_equal(status(), ACKNOWLEDGE);
    /* Nor clear it. */
    set_status(ACKNOWLEDGE | DRIVER | DRIVER_OK);
    assert_true(status() & NEEDS_RESET);
    set_status(ACKNOWLEDGE | DRIVER);
    assert_true(status() & NEEDS_RESET);
    set_status(0);
    assert_int_equal(status(), 0);
}

static void a_driver_that_gives_up_stops_the_device(void **state)
{
    start(0);
    set_status(status() | FAILED);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(t.notified[0], 0);
    set_status(0);
    start(0);
    kick(0);
    assert_int_equal(t.notified[0], 1);
}

static void a_device_that_cannot_start_says_so(void **state)
{
    t.activate_result = -EIO;
    driver_start(&t.device, 0, t.rings, QUEUES, 8);
    assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | NEEDS_RESET);
    assert_int_equal(t.around.config_interrupts, 1);
    kick(0);
    assert_int_equal(t.notified[0], 0);
}

/* ---- reset ---- */

static void a_reset_restores_everything(void **state)
{
    start(FEATURE | 1ull << VIRTIO_RING_F_EVENT_IDX);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    set_status(0);
    assert_int_equal(t.resets, 2); /* the start began with one */
    assert_int_equal(status(), 0);
    assert_int_equal(t.device.accepted, 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        const struct virtqueue *queue = &t.device.queues[i];

        assert_false(virtio_device_queue_ready(&t.device, i));
        assert_int_equal(virtio_device_queue_max(&t.device, i), sizes[i]);
        assert_int_equal(queue->size, 0);
        assert_int_equal(queue->desc_address.value, 0);
        assert_null(queue->desc);
        assert_int_equal(queue->next_avail, 0);
    }
    kick(0);
    assert_int_equal(t.notified[0], 1);
    /* And a new driver finds a new device. */
    start(0);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
}

/* ---- queue registers ---- */

static bool ring_is(unsigned queue, uint64_t address)
{
    const struct virtqueue *q = &t.device.queues[queue];

    return q->desc_address.value == address && q->avail_address.value == address &&
           q->used_address.value == address;
}

/* Write every register of queue 0; returns whether any took it. */
static bool registers_change(uint32_t value)
{
    const struct virtqueue before = t.device.queues[0];

    virtio_device_set_queue_size(&t.device, 0, value);
    for (unsigned part = VIRTIO_RING_DESC; part <= VIRTIO_RING_USED; part++) {
        virtio_device_set_ring(&t.device, 0, (enum virtio_ring_part)part, false, value);
        virtio_device_set_ring(&t.device, 0, (enum virtio_ring_part)part, true, value);
    }
    return memcmp(&before, &t.device.queues[0], sizeof(before)) != 0;
}

static void queue_registers_open_with_features_ok(void **state)
{
    assert_false(registers_change(4));
    set_status(ACKNOWLEDGE | DRIVER);
    assert_false(registers_change(4));
    virtio_device_set_queue_ready(&t.device, 0, true);
    assert_false(virtio_device_queue_ready(&t.device, 0));
    driver_negotiate(&t.device, 0);
    assert_true(registers_change(4));
    assert_int_equal(t.device.queues[0].size, 4);
    assert_true(ring_is(0, 0x0000000400000004));
    assert_true(ring_is(1, 0));
}

static void queue_registers_freeze_while_ready(void **state)
{
    driver_negotiate(&t.device, 0);
    ring_init(&t.rings[0], t.around.memory, RING, 8);
    ring_hand_over(&t.rings[0], &t.device, 0);
    assert_true(virtio_device_queue_ready(&t.device, 0));
    assert_false(registers_change(4));
    /* Ready twice is ready; not ready thaws. */
    virtio_device_set_queue_ready(&t.device, 0, true);
    assert_true(virtio_device_queue_ready(&t.device, 0));
    virtio_device_set_queue_ready(&t.device, 0, false);
    assert_false(virtio_device_queue_ready(&t.device, 0));
    assert_true(registers_change(4));
}

static void queue_registers_freeze_with_driver_ok(void **state)
{
    driver_negotiate(&t.device, 0);
    ring_init(&t.rings[0], t.around.memory, RING, 8);
    ring_hand_over(&t.rings[0], &t.device, 0);
    set_status(status() | DRIVER_OK);
    assert_false(registers_change(4));
    virtio_device_set_queue_ready(&t.device, 0, false);
    assert_true(virtio_device_queue_ready(&t.device, 0));
    virtio_device_set_queue_ready(&t.device, 1, true); /* one that was never set up */
    assert_false(virtio_device_queue_ready(&t.device, 1));
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
}

static void a_flood_of_bad_writes_is_not_a_flood_of_log(void **state)
{
    for (unsigned i = 0; i < 10000; i++)
        virtio_device_set_queue_size(&t.device, 0, 4);
    assert_true(t.around.log_lines > 0);
    assert_true(t.around.log_lines < 1000);
}

static void queues_that_do_not_exist_are_silent(void **state)
{
    driver_negotiate(&t.device, 0);
    assert_int_equal(virtio_device_queue_max(&t.device, QUEUES), 0);
    assert_int_equal(virtio_device_queue_max(&t.device, UINT32_MAX), 0);
    virtio_device_set_queue_size(&t.device, QUEUES, 8);
    virtio_device_set_ring(&t.device, UINT32_MAX, VIRTIO_RING_USED, true, 1);
    virtio_device_set_queue_ready(&t.device, QUEUES, true);
    assert_false(virtio_device_queue_ready(&t.device, QUEUES));
    set_status(status() | DRIVER_OK);
    kick(QUEUES);
    kick(UINT32_MAX);
    assert_false(status() & NEEDS_RESET);
}

/* DRIVER_OK with queue 0 as `ring` says. */
static void start_with(const struct ring_driver *ring)
{
    driver_negotiate(&t.device, 0);
    ring_hand_over(ring, &t.device, 0);
    set_status(status() | DRIVER_OK);
}

static void impossible_rings_need_a_reset(void **state)
{
    const struct ring_driver good = {
        .size = 8, .desc = RING, .avail = RING + 0x1000, .used = RING + 0x2000};
    struct ring_driver bad[10];
    unsigned interrupts = 0;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = good;
    bad[0].size = 0;
    bad[1].size = 3;
    bad[2].size = 32; /* more than was offered */
    bad[3].desc = RING + 8;
    bad[4].avail = RING + 1;
    bad[5].used = RING + 2;
    bad[6].desc = LOW_BYTES - 16;
    bad[7].avail = UINT64_MAX - 1;
    bad[8].used = HIGH_START + HIGH_BYTES;
    bad[9].desc = HIGH_START - 16;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        start_with(&bad[i]);
        assert_true(status() & NEEDS_RESET);
        assert_int_equal(t.around.config_interrupts, ++interrupts);
        assert_int_equal(t.activated, 0);
        kick(0);
    }
    assert_int_equal(t.notified[0], 0);
    start_with(&good);
    assert_false(status() & NEEDS_RESET);
    assert_int_equal(t.activated, 1);
}

static void a_queue_size_beyond_sixteen_bits_is_not_cut(void **state)
{
    struct ring_driver ring;

    driver_negotiate(&t.device, 0);
    ring_init(&ring, t.around.memory, RING, 8);
    virtio_device_set_queue_size(&t.device, 0, 0x10008);
    assert_int_not_equal(t.device.queues[0].size, 8);
    virtio_device_set_queue_ready(&t.device, 0, true);
    set_status(status() | DRIVER_OK);
    assert_true(status() & NEEDS_RESET);
}

static void queues_that_are_not_ready_stay_out(void **state)
{
    driver_negotiate(&t.device, 0);
    ring_init(&t.rings[1], t.around.memory, RING, 8);
    ring_hand_over(&t.rings[1], &t.device, 1);
    set_status(status() | DRIVER_OK);
    assert_false(status() & NEEDS_RESET);
    kick(0);
    assert_int_equal(t.notified[0], 0);
    kick(1);
    assert_int_equal(t.notified[1], 1);
}

/* ---- configuration space ---- */

static void configuration_has_bounds(void **state)
{
    static const struct {
        uint32_t offset;
        unsigned size;
        bool inside;
    } cases[] = {
        {0, 1, true},           {0, 8, true},
        {4, 4, true},           {7, 1, true},
        {7, 2, false},          {5, 4, false},
        {8, 1, false},          {1, 8, false},
        {UINT32_MAX, 1, false}, {UINT32_MAX - 3, 4, false},
        {0xf00, 8, false},
    };
    uint8_t bytes[8];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        static const uint8_t news[8] = {9, 9, 9, 9, 9, 9, 9, 9},
                             ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};

        for (unsigned b = 0; b < sizeof(t.config); b++)
            t.config[b] = (uint8_t)(b + 1);
        virtio_device_config_read(&t.device, cases[i].offset, bytes, cases[i].size);
        if (cases[i].inside)
            assert_memory_equal(bytes, t.config + cases[i].offset, cases[i].size);
        else
            assert_memory_equal(bytes, ones, cases[i].size);
        virtio_device_config_write(&t.device, cases[i].offset, news, cases[i].size);
        for (unsigned b = 0; b < sizeof(t.config); b++) {
            bool written =
                cases[i].inside && b >= cases[i].offset && b < cases[i].offset + cases[i].size;

            assert_int_equal(t.config[b], written ? 9 : b + 1);
        }
    }
}

static void a_change_of_configuration_is_told_once_the_driver_listens(void **state)
{
    uint32_t before = virtio_device_config_generation(&t.device);

    virtio_device_lock(&t.device);
    virtio_device_config_changed(&t.device);
    virtio_device_unlock(&t.device);
    assert_int_equal(virtio_device_config_generation(&t.device), before + 1);
    assert_int_equal(t.around.config_interrupts, 0);
    start(0);
    virtio_device_lock(&t.device);
    virtio_device_config_changed(&t.device);
    virtio_device_unlock(&t.device);
    assert_int_equal(virtio_device_config_generation(&t.device), before + 2);
    assert_int_equal(t.around.config_interrupts, 1);
}

/* ---- failure ---- */

static void a_broken_queue_fails_its_device_alone(void **state)
{
    unsigned lines;

    start(0);
    lines = t.around.log_lines;
    ring_expose(&t.rings[0], 8); /* no such descriptor */
    kick(0);
    assert_true(status() & NEEDS_RESET);
    assert_int_equal(t.around.config_interrupts, 1);
    assert_int_equal(t.around.queue_interrupts[0], 0);
    assert_int_equal(t.around.log_lines, lines + 1);
    /* Further kicks, on either queue, are ignored: no work, no interrupts, no log. */
    ring_add(&t.rings[1], 0, DATA, 1, 0);
    for (unsigned i = 0; i < 100; i++) {
        kick(0);
        kick(1);
    }
    assert_int_equal(t.notified[0], 1);
    assert_int_equal(t.notified[1], 0);
    assert_int_equal(t.around.config_interrupts, 1);
    assert_int_equal(t.around.log_lines, lines + 1);
    set_status(0);
    start(0);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
}

static void a_failure_is_told_once(void **state)
{
    start(0);
    virtio_device_lock(&t.device);
    virtio_device_failed(&t.device, "one");
    virtio_device_failed(&t.device, "two");
    virtio_device_unlock(&t.device);
    assert_int_equal(t.around.config_interrupts, 1);
}

/* ---- interrupts, kicks, pause ---- */

static void work_is_signalled(void **state)
{
    start(0);
    kick(0); /* nothing there */
    assert_int_equal(t.around.queue_interrupts[0], 0);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(t.around.queue_interrupts[0], 1);
    ring_set_avail_flags(&t.rings[0], VRING_AVAIL_F_NO_INTERRUPT);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(ring_used_idx(&t.rings[0]), 2);
    assert_int_equal(t.around.queue_interrupts[0], 1);
}

static void kicks_before_the_start_are_ignored(void **state)
{
    driver_negotiate(&t.device, 0);
    ring_init(&t.rings[0], t.around.memory, RING, 8);
    ring_hand_over(&t.rings[0], &t.device, 0);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(t.notified[0], 0);
    assert_int_equal(ring_used_idx(&t.rings[0]), 0);
}

static void resume_delivers_what_was_missed(void **state)
{
    start(0);
    virtio_device_pause(&t.device);
    virtio_device_pause(&t.device);
    assert_int_equal(t.paused, 1);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(t.notified[0], 0);
    assert_int_equal(ring_used_idx(&t.rings[0]), 0);
    virtio_device_resume(&t.device);
    assert_int_equal(t.resumed, 1);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
    virtio_device_resume(&t.device);
    assert_int_equal(t.resumed, 1);
    assert_int_equal(t.notified[0], 1);
}

static void a_device_may_be_paused_at_any_point_of_its_life(void **state)
{
    virtio_device_pause(&t.device);
    virtio_device_resume(&t.device);
    assert_int_equal(t.notified[0], 0);
    start(0);
    virtio_device_pause(&t.device);
    set_status(0);
    virtio_device_resume(&t.device);
    assert_int_equal(t.notified[0], 0);
    virtio_device_pause(&t.device);
    start(0);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    assert_int_equal(t.notified[0], 0);
    virtio_device_resume(&t.device);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
}

static void a_device_without_a_transport_is_silent(void **state)
{
    virtio_device_set_transport(&t.device, NULL, NULL);
    start(0);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    kick(0);
    virtio_device_lock(&t.device);
    virtio_device_config_changed(&t.device);
    virtio_device_failed(&t.device, "test");
    virtio_device_unlock(&t.device);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(impossible_devices_are_refused),
        TEST(the_walk_to_driver_ok),
        TEST(the_ring_features_are_always_offered),
        TEST(features_that_were_not_offered_are_refused),
        TEST(refused_features_and_driver_ok_at_once_fail),
        TEST(features_are_final_after_features_ok),
        TEST(driver_ok_needs_features_ok),
        TEST(bits_are_not_taken_back),
        TEST(the_driver_cannot_set_what_is_the_devices),
        TEST(a_driver_that_gives_up_stops_the_device),
        TEST(a_device_that_cannot_start_says_so),
        TEST(a_reset_restores_everything),
        TEST(queue_registers_open_with_features_ok),
        TEST(queue_registers_freeze_while_ready),
        TEST(queue_registers_freeze_with_driver_ok),
        TEST(a_flood_of_bad_writes_is_not_a_flood_of_log),
        TEST(queues_that_do_not_exist_are_silent),
        TEST(impossible_rings_need_a_reset),
        TEST(a_queue_size_beyond_sixteen_bits_is_not_cut),
        TEST(queues_that_are_not_ready_stay_out),
        TEST(configuration_has_bounds),
        TEST(a_change_of_configuration_is_told_once_the_driver_listens),
        TEST(a_broken_queue_fails_its_device_alone),
        TEST(a_failure_is_told_once),
        TEST(work_is_signalled),
        TEST(kicks_before_the_start_are_ignored),
        TEST(resume_delivers_what_was_missed),
        TEST(a_device_may_be_paused_at_any_point_of_its_life),
        TEST(a_device_without_a_transport_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
