// SPDX-License-Identifier: Apache-2.0
/*
 * A virtio device between its threads: vCPUs at the registers while the I/O thread serves the
 * queues. Run it under the thread sanitizer, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "devices/virtio/devices.h"
#include "devices/virtio/mmio.h"
#include "tests/harness/ring_driver.h"

#define WINDOW    0xd0000000u
#define RING      0x10000u
#define BUFFERS   0x20000u
#define RING_SIZE 16u
#define ROUNDS    300u
#define UNTOUCHED 0xa5

struct fixture {
    struct virtio_surroundings s;
    struct irq_line irq;
    struct device *transport; /* of a virtio-rng */
    struct ring_driver ring;
    pthread_t io;
};

static void *run_loop(void *arg)
{
    struct fixture *f = arg;

    event_loop_run(f->s.loop);
    return NULL;
}

static int setup(void **state)
{
    const struct rate_limit no_limit = {0};
    static struct fixture f;
    struct virtio_device *rng;

    memset(&f, 0, sizeof(f));
    surroundings_init(&f.s, NULL);
    f.s.env.log = NULL; /* the counting log is not for two threads */
    f.irq = (struct irq_line){.event_fd = eventfd_open(), .gsi = 5};
    if (virtio_rng_create(&f.s.env, &no_limit, &rng) ||
        virtio_mmio_create(&f.s.env, rng, WINDOW, &f.irq, &f.transport))
        return -1;
    *state = &f;
    return pthread_create(&f.io, NULL, run_loop, &f);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    device_destroy(f->transport);
    surroundings_release(&f->s);
    close_fd(&f->irq.event_fd);
    return 0;
}

static uint32_t read_register(struct fixture *f, uint32_t offset)
{
    uint8_t data[4];

    bus_read(f->s.mmio, WINDOW + offset, data, 4);
    return get_le32(data);
}

static void write_register(struct fixture *f, uint32_t offset, uint32_t value)
{
    uint8_t data[4];

    put_le32(data, value);
    bus_write(f->s.mmio, WINDOW + offset, data, 4);
}

static void start(struct fixture *f)
{
    ring_init(&f->ring, f->s.memory, RING, RING_SIZE);
    write_register(f, VIRTIO_MMIO_STATUS, 1);
    write_register(f, VIRTIO_MMIO_STATUS, 3);
    write_register(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    write_register(f, VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32));
    write_register(f, VIRTIO_MMIO_STATUS, 11);
    write_register(f, VIRTIO_MMIO_QUEUE_SEL, 0);
    write_register(f, VIRTIO_MMIO_QUEUE_NUM, RING_SIZE);
    write_register(f, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)f->ring.desc);
    write_register(f, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
    write_register(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)f->ring.avail);
    write_register(f, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
    write_register(f, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)f->ring.used);
    write_register(f, VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
    write_register(f, VIRTIO_MMIO_QUEUE_READY, 1);
    write_register(f, VIRTIO_MMIO_STATUS, 15);
    assert_int_equal(read_register(f, VIRTIO_MMIO_STATUS), 15);
}

/* The two fields of a ring that both sides look at without a lock, as a driver does it. */
static void publish(struct fixture *f, uint16_t avail_idx)
{
    uint16_t *at = (uint16_t *)guest_bytes(f->s.memory, f->ring.avail + 2, 2);

    __atomic_store_n(at, htole16(avail_idx), __ATOMIC_RELEASE);
}

static uint16_t used_idx(struct fixture *f)
{
    const uint16_t *at = (const uint16_t *)guest_bytes(f->s.memory, f->ring.used + 2, 2);

    return le16toh(__atomic_load_n(at, __ATOMIC_ACQUIRE));
}

/* A buffer for each entry of the ring, made available at once. */
static void offer_all(struct fixture *f)
{
    uint8_t *avail = guest_bytes(f->s.memory, f->ring.avail + 4, 2 * RING_SIZE);

    for (unsigned i = 0; i < RING_SIZE; i++) {
        ring_descriptor(&f->ring, i, BUFFERS + i * 4096, 4096, VRING_DESC_F_WRITE, 0);
        put_le16(avail + 2 * i, (uint16_t)i);
    }
    publish(f, RING_SIZE);
    write_register(f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

/* Waits until the I/O thread has given back `count` buffers, however long that takes. */
static void wait_for_used(struct fixture *f, uint16_t count)
{
    while (used_idx(f) < count)
        sched_yield();
}

static void end_io_thread(struct fixture *f)
{
    event_loop_stop(f->s.loop);
    pthread_join(f->io, NULL);
}

/* When the write of 0 to the status returns, the memory is the driver's again. */
static void after_a_reset_no_byte_is_written(void **state)
{
    struct fixture *f = *state;
    uint8_t *buffers = guest_bytes(f->s.memory, BUFFERS, RING_SIZE * 4096);
    uint8_t *used = guest_bytes(f->s.memory, RING + 0x2000, 0x1000);

    for (unsigned round = 0; round < ROUNDS; round++) {
        start(f);
        offer_all(f);
        /* Sometimes before the I/O thread begins, sometimes in the middle of its work. */
        if (round % 3 != 0)
            wait_for_used(f, (uint16_t)(1 + round % 8));
        write_register(f, VIRTIO_MMIO_STATUS, 0);
        memset(buffers, UNTOUCHED, RING_SIZE * 4096);
        memset(used, UNTOUCHED, 0x1000);
        if (round % 16 == 0)
            sched_yield();
        for (unsigned i = 0; i < RING_SIZE * 4096; i += 64)
            assert_int_equal(buffers[i], UNTOUCHED);
        for (unsigned i = 0; i < 0x1000; i++)
            assert_int_equal(used[i], UNTOUCHED);
    }
    start(f);
    offer_all(f);
    wait_for_used(f, RING_SIZE);
    end_io_thread(f);
}

static void *hammer_registers(void *arg)
{
    struct fixture *f = arg;
    uint32_t random = (uint32_t)(uintptr_t)&random >> 4 | 1;

    for (unsigned i = 0; i < 20 * ROUNDS; i++) {
        uint32_t offset;

        random = random * 1664525u + 1013904223u;
        offset = (random >> 16) % 0x48 * 4;
        if (random >> 30)
            read_register(f, offset);
        else
            write_register(f, offset, random >> 8 & 0xf);
    }
    return NULL;
}

static void vcpus_may_race_at_the_registers(void **state)
{
    struct fixture *f = *state;
    pthread_t vcpus[2];

    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&vcpus[i], NULL, hammer_registers, f), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(vcpus[i], NULL);
    write_register(f, VIRTIO_MMIO_STATUS, 0);
    start(f);
    offer_all(f);
    wait_for_used(f, RING_SIZE);
    end_io_thread(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(after_a_reset_no_byte_is_written),
        TEST(vcpus_may_race_at_the_registers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
