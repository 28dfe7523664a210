// SPDX-License-Identifier: Apache-2.0
/* The virtio-mmio transport: every register and every access of virtio 1.2, section 4.2.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "devices/virtio/mmio.h"
#include "tests/harness/ring_driver.h"

#define BASE   0xd0000000ull
#define QUEUES 3u
#define ID     63u
#define DATA   0x100000u
#define CONFIG VIRTIO_MMIO_CONFIG

static struct test {
    struct virtio_surroundings around;
    struct virtio_device virtio;
    struct device *device;
    struct irq_line irq;
    struct ring_driver rings[QUEUES];
    unsigned notified[QUEUES], resets, destroyed, paused, resumed;
    unsigned config_reads, config_writes, config_offset, config_size;
    uint8_t config[16];
    /* The accelerator: what it was asked for, and what it says. */
    int accelerate_result;
    unsigned accelerated;
} t;

static int probe_activate(struct virtio_device *device)
{
    return 0;
}

static void probe_reset(struct virtio_device *device)
{
    t.resets++;
}

static void probe_notify(struct virtio_device *device, unsigned queue)
{
    static struct virtq_chain chain;

    t.notified[queue]++;
    while (virtqueue_pop(&device->queues[queue], &chain) > 0)
        virtqueue_push(&device->queues[queue], chain.head, 0);
    virtio_device_signal_queue(device, queue);
}

static void probe_config_read(struct virtio_device *device, uint32_t offset, void *data,
                              unsigned size)
{
    t.config_reads++;
    memcpy(data, t.config + offset, size);
}

static void probe_config_write(struct virtio_device *device, uint32_t offset, const void *data,
                               unsigned size)
{
    t.config_writes++;
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

static int accelerate(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    assert_int_equal(address, BASE + VIRTIO_MMIO_QUEUE_NOTIFY);
    assert_int_equal(size, 4);
    if (t.accelerate_result)
        return t.accelerate_result;
    t.accelerated |= 1u << value;
    return 0;
}

static void decelerate(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    assert_true(t.accelerated & 1u << value);
    t.accelerated &= ~(1u << value);
}

static void make_surroundings(bool accelerated)
{
    static const struct bus_accelerator accelerator = {.attach = accelerate, .detach = decelerate};
    static const uint16_t sizes[QUEUES] = {8, 16, 256};

    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, accelerated ? &accelerator : NULL);
    t.irq = (struct irq_line){.event_fd = eventfd_open(), .gsi = 7};
    assert_int_equal(virtio_device_init(&t.virtio, &probe_ops, ID, 0, sizes, QUEUES,
                                        sizeof(t.config), &t.around.env),
                     0);
}

static int create(void)
{
    return virtio_mmio_create(&t.around.env, &t.virtio, BASE, &t.irq, &t.device);
}

static int setup(void **state)
{
    make_surroundings(false);
    return create();
}

static int teardown(void **state)
{
    device_destroy(t.device);
    assert_int_equal(t.destroyed, 1);
    assert_int_equal(t.accelerated, 0);
    surroundings_release(&t.around);
    close_fd(&t.irq.event_fd);
    return 0;
}

static uint64_t read_sized(uint64_t offset, unsigned size)
{
    uint8_t bytes[8] = {0};

    bus_read(t.around.mmio, BASE + offset, bytes, size);
    return get_le_sized(bytes, size);
}

static void write_sized(uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    bus_write(t.around.mmio, BASE + offset, bytes, size);
}

static uint32_t get(uint64_t offset)
{
    return (uint32_t)read_sized(offset, 4);
}

static void set(uint64_t offset, uint32_t value)
{
    write_sized(offset, 4, value);
}

static bool interrupted(void)
{
    return eventfd_drain(t.irq.event_fd) > 0;
}

static void hand_over(unsigned queue, uint16_t size)
{
    struct ring_driver *ring = &t.rings[queue];

    ring_init(ring, t.around.memory, 0x10000 + queue * RING_DRIVER_BYTES, size);
    set(VIRTIO_MMIO_QUEUE_SEL, queue);
    set(VIRTIO_MMIO_QUEUE_NUM, size);
    set(VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)ring->desc);
    set(VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
    set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)ring->avail);
    set(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
    set(VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)ring->used);
    set(VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
    set(VIRTIO_MMIO_QUEUE_READY, 1);
}

/* A driver's start, by registers alone. */
static void start(void)
{
    set(VIRTIO_MMIO_STATUS, 0);
    set(VIRTIO_MMIO_STATUS, 1);
    set(VIRTIO_MMIO_STATUS, 3);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 0);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32));
    set(VIRTIO_MMIO_STATUS, 11);
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 11);
    for (unsigned i = 0; i < QUEUES; i++)
        hand_over(i, 8);
    set(VIRTIO_MMIO_STATUS, 15);
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
}

/* ---- registers ---- */

static void the_device_says_what_it_is(void **state)
{
    assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(get(VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), ID);
    assert_int_equal(get(VIRTIO_MMIO_VENDOR_ID), 0x4b535548);
    /* None of it can be changed. */
    for (uint64_t offset = 0; offset < 0x10; offset += 4)
        set(offset, 0x12345678);
    assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), ID);
}

static void features_are_two_words(void **state)
{
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES),
                     1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC);
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 1);
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 0x11);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 0x22);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 0x33);
    assert_int_equal(t.virtio.accepted, 0x0000002200000011);
}

static void queues_are_selected(void **state)
{
    start();
    for (unsigned i = 0; i < QUEUES; i++) {
        static const uint16_t sizes[QUEUES] = {8, 16, 256};

        set(VIRTIO_MMIO_QUEUE_SEL, i);
        assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), sizes[i]);
        assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
        assert_int_equal(t.virtio.queues[i].desc_address.value, t.rings[i].desc);
        assert_int_equal(t.virtio.queues[i].avail_address.value, t.rings[i].avail);
        assert_int_equal(t.virtio.queues[i].used_address.value, t.rings[i].used);
    }
    /* 4.2.2: a queue that does not exist has size 0. */
    set(VIRTIO_MMIO_QUEUE_SEL, QUEUES);
    assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
    assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
    set(VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
    assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

static void ring_addresses_have_two_halves(void **state)
{
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set(VIRTIO_MMIO_STATUS, 11);
    set(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x10);
    set(VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x11);
    set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x20);
    set(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0x22);
    set(VIRTIO_MMIO_QUEUE_USED_LOW, 0x30);
    set(VIRTIO_MMIO_QUEUE_USED_HIGH, 0x33);
    assert_int_equal(t.virtio.queues[0].desc_address.value, 0x1100000010);
    assert_int_equal(t.virtio.queues[0].avail_address.value, 0x2200000020);
    assert_int_equal(t.virtio.queues[0].used_address.value, 0x3300000030);
}

static void there_is_no_shared_memory(void **state)
{
    /* 4.2.2: a region that does not exist has length and base of all ones. */
    set(VIRTIO_MMIO_SHM_SEL, 0);
    assert_int_equal(get(VIRTIO_MMIO_SHM_LEN_LOW), 0xffffffff);
    assert_int_equal(get(VIRTIO_MMIO_SHM_LEN_HIGH), 0xffffffff);
    assert_int_equal(get(VIRTIO_MMIO_SHM_BASE_LOW), 0xffffffff);
    assert_int_equal(get(VIRTIO_MMIO_SHM_BASE_HIGH), 0xffffffff);
}

static void a_reset_by_register(void **state)
{
    start();
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    surroundings_settle(&t.around);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
    set(VIRTIO_MMIO_STATUS, 0);
    /* 4.2.2.1: all bits of InterruptStatus and QueueReady are clear. */
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        set(VIRTIO_MMIO_QUEUE_SEL, i);
        assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
    }
    start();
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    surroundings_settle(&t.around);
    /* Only the low byte is the status. */
    set(VIRTIO_MMIO_STATUS, 0x100);
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

/* ---- every access ---- */

static void only_aligned_words_reach_registers(void **state)
{
    static const unsigned sizes[] = {1, 2, 4, 8};

    start();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned size = sizes[i];
        uint64_t ones = UINT64_MAX >> (64 - 8 * size);

        for (uint64_t offset = 0; offset < CONFIG; offset++) {
            if (size == 4 && offset % 4 == 0)
                continue;
            assert_int_equal(read_sized(offset, size), ones);
            write_sized(offset, size, 0);
        }
    }
    /* Not one of the writes reset it, moved a selector or kicked. */
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
    assert_int_equal(t.resets, 1);
    surroundings_settle(&t.around);
    for (unsigned i = 0; i < QUEUES; i++)
        assert_int_equal(t.notified[i], 0);
    assert_int_equal(t.config_reads + t.config_writes, 0);
}

static void registers_that_do_not_exist_are_quiet(void **state)
{
    static const uint32_t holes[] = {0x18, 0x1c, 0x28, 0x2c, 0x3c, 0x40, 0x48, 0x4c, 0x54,
                                     0x58, 0x5c, 0x68, 0x6c, 0x74, 0x78, 0x7c, 0x88, 0x8c,
                                     0x98, 0x9c, 0xa8, 0xc0, 0xc4, 0xd0, 0xf8};

    start();
    for (size_t i = 0; i < ARRAY_SIZE(holes); i++) {
        set(holes[i], UINT32_MAX);
        assert_int_equal(get(holes[i]), 0);
    }
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
}

static void write_only_registers_read_as_zero(void **state)
{
    static const uint32_t registers[] = {
        VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES,
        VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_QUEUE_SEL,
        VIRTIO_MMIO_QUEUE_NUM,           VIRTIO_MMIO_QUEUE_NOTIFY,
        VIRTIO_MMIO_INTERRUPT_ACK,       VIRTIO_MMIO_QUEUE_DESC_LOW,
        VIRTIO_MMIO_QUEUE_AVAIL_HIGH,    VIRTIO_MMIO_QUEUE_USED_LOW,
    };

    start();
    for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
        assert_int_equal(get(registers[i]), 0);
}

static void configuration_takes_any_size_and_alignment(void **state)
{
    static const unsigned sizes[] = {1, 2, 4, 8};

    for (unsigned i = 0; i < sizeof(t.config); i++)
        t.config[i] = (uint8_t)(0x10 + i);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned size = sizes[i];
        uint64_t ones = UINT64_MAX >> (64 - 8 * size);

        for (uint64_t offset = 0; offset < 0x40; offset++) {
            uint64_t value = read_sized(CONFIG + offset, size);

            if (offset + size <= sizeof(t.config))
                assert_int_equal(value, get_le_sized(t.config + offset, size));
            else
                assert_int_equal(value, ones);
            write_sized(CONFIG + offset, size, value);
        }
        assert_int_equal(read_sized(0xfff, 1), 0xff);
        assert_int_equal(read_sized(0x1000 - size, size), ones);
    }
    /* Over the border between registers and configuration: neither. */
    t.config_reads = 0;
    assert_int_equal(read_sized(CONFIG - 2, 4), 0xffffffff);
    assert_int_equal(read_sized(CONFIG - 4, 8), UINT64_MAX);
    assert_int_equal(t.config_reads, 0);
    /* Out of the window: nobody. */
    assert_int_equal(read_sized(VIRTIO_MMIO_WINDOW_BYTES - 2, 4), 0xffffffff);
    for (unsigned i = 0; i < sizeof(t.config); i++)
        assert_int_equal(t.config[i], 0x10 + i);
    write_sized(CONFIG + 4, 2, 0xbeef);
    assert_int_equal(get_le16(t.config + 4), 0xbeef);
}

/* ---- interrupts ---- */

static void interrupts_say_why_and_are_acknowledged(void **state)
{
    uint32_t generation = get(VIRTIO_MMIO_CONFIG_GENERATION);

    start();
    assert_false(interrupted());
    ring_add(&t.rings[1], 0, DATA, 1, 0);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    surroundings_settle(&t.around);
    assert_true(interrupted());
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
    virtio_device_lock(&t.virtio);
    virtio_device_config_changed(&t.virtio);
    virtio_device_unlock(&t.virtio);
    assert_true(interrupted());
    assert_int_equal(get(VIRTIO_MMIO_CONFIG_GENERATION), generation + 1);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS),
                     VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
    /* Reading does not acknowledge; each bit goes by itself; unknown ones are nothing. */
    set(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING | 0xfffffff0);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    set(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    /* The status register itself is not writable. */
    set(VIRTIO_MMIO_INTERRUPT_STATUS, 3);
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_false(interrupted());
}

static void an_unacknowledged_interrupt_is_raised_again(void **state)
{
    start();
    for (unsigned i = 0; i < 2; i++) {
        ring_add(&t.rings[0], 0, DATA, 1, 0);
        set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
        surroundings_settle(&t.around);
        /* An edge each time: the handler may be past its look at the ring. */
        assert_true(interrupted());
    }
}

static void a_failed_device_interrupts(void **state)
{
    start();
    virtio_device_lock(&t.virtio);
    virtio_device_failed(&t.virtio, "test");
    virtio_device_unlock(&t.virtio);
    assert_true(interrupted());
    assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    assert_int_equal(get(VIRTIO_MMIO_STATUS), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* ---- kicks ---- */

static void assert_kicks_arrive(void)
{
    start();
    for (unsigned i = 0; i < QUEUES; i++) {
        unsigned before = t.notified[i];

        ring_add(&t.rings[i], 0, DATA, 1, 0);
        set(VIRTIO_MMIO_QUEUE_NOTIFY, i);
        /* On the I/O thread, not on the vCPU's. */
        assert_int_equal(t.notified[i], before);
        surroundings_settle(&t.around);
        assert_int_equal(t.notified[i], before + 1);
        assert_int_equal(ring_used_idx(&t.rings[i]), 1);
    }
    set(VIRTIO_MMIO_QUEUE_NOTIFY, QUEUES);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 0x10000); /* no queue 0 with something above */
    surroundings_settle(&t.around);
    assert_int_equal(t.notified[0] + t.notified[1] + t.notified[2], QUEUES);
}

static void kicks_arrive_by_the_bus(void **state)
{
    assert_kicks_arrive();
}

static void kicks_arrive_by_register_when_the_accelerator_refuses(void **state)
{
    make_surroundings(true);
    t.accelerate_result = -ENOSPC;
    assert_int_equal(create(), 0);
    assert_kicks_arrive();
    teardown(NULL);
}

static void kicks_arrive_by_register_past_an_accelerator(void **state)
{
    make_surroundings(true);
    assert_int_equal(create(), 0);
    assert_int_equal(t.accelerated, (1u << QUEUES) - 1);
    /* An exit that reaches the handler all the same, as an emulated instruction may. */
    assert_kicks_arrive();
    teardown(NULL);
}

static void kicks_can_be_lent_and_come_back(void **state)
{
    const struct virtio_transport_ops *ops = t.virtio.transport_ops;
    int fd;

    start();
    fd = ops->take_kick(t.virtio.transport, 1, true);
    assert_true(fd >= 0);
    ring_add(&t.rings[1], 0, DATA, 1, 0);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    surroundings_settle(&t.around);
    assert_int_equal(t.notified[1], 0);
    assert_int_equal(eventfd_drain(fd), 1);
    /* A kick that the borrower left is found when it comes back. */
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    assert_int_equal(ops->take_kick(t.virtio.transport, 1, false), fd);
    surroundings_settle(&t.around);
    assert_int_equal(t.notified[1], 1);
    assert_int_equal(ops->take_kick(t.virtio.transport, QUEUES, true), -EINVAL);
}

/* ---- life ---- */

static void the_window_is_described(void **state)
{
    struct device_description description;

    t.device->ops->describe(t.device, &description);
    assert_int_equal(description.kind, DEVICE_VIRTIO_MMIO);
    assert_false(description.is_port);
    assert_int_equal(description.base, BASE);
    assert_int_equal(description.size, 0x1000);
    assert_true(description.has_gsi);
    assert_int_equal(description.gsi, 7);
}

static void pause_and_resume_reach_the_device(void **state)
{
    start();
    t.device->ops->pause(t.device);
    assert_int_equal(t.paused, 1);
    ring_add(&t.rings[0], 0, DATA, 1, 0);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    surroundings_settle(&t.around);
    assert_int_equal(ring_used_idx(&t.rings[0]), 0);
    t.device->ops->resume(t.device);
    assert_int_equal(t.resumed, 1);
    assert_int_equal(ring_used_idx(&t.rings[0]), 1);
    assert_true(interrupted());
}

static void a_destroyed_window_is_gone(void **state)
{
    start();
    device_destroy(t.device);
    t.device = NULL;
    assert_int_equal(t.resets, 2); /* a device that lent its kicks gives them back */
    assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0xffffffff);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(event_loop_run_once(t.around.loop, 0), 0);
}

static void a_window_that_is_taken_leaves_the_device_to_its_caller(void **state)
{
    static const struct bus_ops nothing = {0};
    int before, after;

    make_surroundings(true);
    before = dup(0);
    close(before);
    assert_int_equal(bus_attach(t.around.mmio, BASE + 0xfff, 1, &nothing, NULL, "other"), 0);
    assert_int_equal(create(), -EEXIST);
    assert_null(t.device);
    assert_int_equal(t.destroyed, 0);
    after = dup(0);
    close(after);
    assert_int_equal(before, after);
    bus_detach(t.around.mmio, BASE + 0xfff);
    assert_int_equal(create(), 0);
    teardown(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_device_says_what_it_is),
        TEST(features_are_two_words),
        TEST(queues_are_selected),
        TEST(ring_addresses_have_two_halves),
        TEST(there_is_no_shared_memory),
        TEST(a_reset_by_register),
        TEST(only_aligned_words_reach_registers),
        TEST(registers_that_do_not_exist_are_quiet),
        TEST(write_only_registers_read_as_zero),
        TEST(configuration_takes_any_size_and_alignment),
        TEST(interrupts_say_why_and_are_acknowledged),
        TEST(an_unacknowledged_interrupt_is_raised_again),
        TEST(a_failed_device_interrupts),
        TEST(kicks_arrive_by_the_bus),
        cmocka_unit_test(kicks_arrive_by_register_when_the_accelerator_refuses),
        cmocka_unit_test(kicks_arrive_by_register_past_an_accelerator),
        TEST(kicks_can_be_lent_and_come_back),
        TEST(the_window_is_described),
        TEST(pause_and_resume_reach_the_device),
        TEST(a_destroyed_window_is_gone),
        cmocka_unit_test(a_window_that_is_taken_leaves_the_device_to_its_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
