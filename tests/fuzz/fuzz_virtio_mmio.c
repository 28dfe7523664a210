// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-mmio transport and the virtio core: accesses of every size at every offset of the
 * window, and hostile rings, with a device that copies what it may read to what it may write.
 * Afterwards an honest driver must find a working device.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "devices/virtio/mmio.h"
#include "tests/harness/hostile_driver.h"

#define MAX_STEPS    256u
#define WINDOW       0xd0000000u
#define QUEUES       2u
#define CONFIG_BYTES 16u
#define ECHO_BYTES   4096u /* at most, per chain */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition)
{
    if (!condition)
        abort();
}

/* ---- the device ---- */

struct echo {
    struct virtio_device virtio;
    bool running; /* between activate and reset */
    uint8_t config[CONFIG_BYTES];
};

static int echo_activate(struct virtio_device *virtio)
{
    struct echo *echo = (struct echo *)virtio;

    need(!echo->running);
    echo->running = true;
    return 0;
}

static void echo_reset(struct virtio_device *virtio)
{
    ((struct echo *)virtio)->running = false;
}

static void echo_notify(struct virtio_device *virtio, unsigned queue)
{
    struct virtqueue *vq = &virtio->queues[queue];
    uint8_t bytes[ECHO_BYTES];
    struct virtq_chain chain;
    int ret = 0;

    need(((struct echo *)virtio)->running);
    for (unsigned i = 0; i < vq->size && (ret = virtqueue_pop(vq, &chain)) > 0; i++) {
        size_t len = iov_to_buf(chain.iov, chain.readable_count, 0, bytes, sizeof(bytes));

        len = iov_from_buf(chain.iov + chain.readable_count, chain.writable_count, 0, bytes, len);
        virtqueue_push(vq, chain.head, (uint32_t)len);
    }
    if (ret < 0) {
        virtio_device_failed(virtio, "queue %u: the driver broke it", queue);
        return;
    }
    virtqueue_enable_notify(vq);
    virtio_device_signal_queue(virtio, queue);
}

static void echo_config_read(struct virtio_device *virtio, uint32_t offset, void *data,
                             unsigned size)
{
    memcpy(data, ((struct echo *)virtio)->config + offset, size);
}

static void echo_config_write(struct virtio_device *virtio, uint32_t offset, const void *data,
                              unsigned size)
{
    memcpy(((struct echo *)virtio)->config + offset, data, size);
}

static void echo_destroy(struct virtio_device *virtio)
{
    need(!((struct echo *)virtio)->running);
    free(virtio);
}

static const struct virtio_device_ops echo_ops = {
    .name = "echo",
    .activate = echo_activate,
    .reset = echo_reset,
    .notify = echo_notify,
    .config_read = echo_config_read,
    .config_write = echo_config_write,
    .destroy = echo_destroy,
};

/* ---- the driver ---- */

struct target {
    struct virtio_surroundings s;
    struct irq_line irq;
    struct device *transport; /* owns the echo device */
    struct ring_driver rings[QUEUES];
};

static uint32_t read_register(struct target *t, uint32_t offset)
{
    uint8_t data[4];

    bus_read(t->s.mmio, WINDOW + offset, data, 4);
    return get_le32(data);
}

static void write_register(struct target *t, uint32_t offset, uint32_t value)
{
    uint8_t data[4];

    put_le32(data, value);
    bus_write(t->s.mmio, WINDOW + offset, data, 4);
}

static void set_address(struct target *t, uint32_t low_register, uint64_t address)
{
    write_register(t, low_register, (uint32_t)address);
    write_register(t, low_register + 4, (uint32_t)(address >> 32));
}

/* 3.1.1 and 4.2.3. */
static void start(struct target *t, uint64_t features, uint16_t size)
{
    features |= 1ull << VIRTIO_F_VERSION_1;
    write_register(t, VIRTIO_MMIO_STATUS, 0);
    write_register(t, VIRTIO_MMIO_STATUS, 1);
    write_register(t, VIRTIO_MMIO_STATUS, 3);
    for (unsigned word = 0; word < 2; word++) {
        write_register(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
        write_register(t, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * word)));
    }
    write_register(t, VIRTIO_MMIO_STATUS, 11);
    for (unsigned i = 0; i < QUEUES; i++) {
        struct ring_driver *ring = &t->rings[i];

        ring_init(ring, t->s.memory, 0x10000 + i * RING_DRIVER_BYTES, size);
        write_register(t, VIRTIO_MMIO_QUEUE_SEL, i);
        write_register(t, VIRTIO_MMIO_QUEUE_NUM, size);
        set_address(t, VIRTIO_MMIO_QUEUE_DESC_LOW, ring->desc);
        set_address(t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, ring->avail);
        set_address(t, VIRTIO_MMIO_QUEUE_USED_LOW, ring->used);
        write_register(t, VIRTIO_MMIO_QUEUE_READY, 1);
    }
    write_register(t, VIRTIO_MMIO_STATUS, 15);
}

static void any_access(struct target *t, struct fuzz_input *in)
{
    uint8_t how = (uint8_t)fuzz_take(in, 1), data[8];
    unsigned size = 1u << (how & 3);
    /* Mostly a register, sometimes anywhere in the window. */
    uint64_t offset =
        how & 4 ? fuzz_take(in, 2) % VIRTIO_MMIO_WINDOW_BYTES : (fuzz_take(in, 1) % 0x48) * 4;

    put_le64(data, fuzz_take(in, size));
    if (how & 8)
        bus_read(t->s.mmio, WINDOW + offset, data, size);
    else
        bus_write(t->s.mmio, WINDOW + offset, data, size);
}

static void step(struct target *t, struct fuzz_input *in)
{
    struct ring_driver *ring = &t->rings[fuzz_take(in, 1) % QUEUES];

    switch (fuzz_take(in, 1) % 10) {
    case 0:
        start(t, fuzz_take(in, 6), (uint16_t)(1u << fuzz_take(in, 1) % 9));
        break;
    case 1:
        if (fuzz_take(in, 1) & 1)
            t->transport->ops->pause(t->transport);
        else
            t->transport->ops->resume(t->transport);
        break;
    case 2:
        event_loop_run_once(t->s.loop, 0);
        break;
    case 3:
        write_register(t, VIRTIO_MMIO_QUEUE_NOTIFY, (uint32_t)fuzz_take(in, 1) % (QUEUES + 1));
        break;
    case 4:
        ring_expose(ring, (uint16_t)(fuzz_take(in, 1) % ring->size));
        break;
    case 5:
        hostile_descriptor(t->s.memory, ring->desc, ring->size, in);
        break;
    case 6:
        fuzz_take_bytes(in, guest_bytes(t->s.memory, ring->desc + fuzz_take(in, 2) % 0x3fe0, 32),
                        32);
        break;
    default:
        any_access(t, in);
        break;
    }
}

/* ---- before and after ---- */

static void open_target(struct target *t)
{
    static const uint16_t sizes[] = {256, 16};
    struct echo *echo = calloc(1, sizeof(*echo));

    memset(t, 0, sizeof(*t));
    surroundings_init(&t->s, NULL);
    t->irq = (struct irq_line){.event_fd = eventfd_open(), .gsi = 5};
    need(echo && virtio_device_init(&echo->virtio, &echo_ops, 0x3f, 1ull << 3 | 1ull << 40, sizes,
                                    QUEUES, CONFIG_BYTES, &t->s.env) == 0);
    need(virtio_mmio_create(&t->s.env, &echo->virtio, WINDOW, &t->irq, &t->transport) == 0);
}

static void check_works(struct target *t)
{
    uint32_t id, len;

    t->transport->ops->resume(t->transport);
    start(t, 0, 16);
    need(read_register(t, VIRTIO_MMIO_STATUS) == 15);
    surroundings_settle(&t->s); /* kicks that came before */
    eventfd_drain(t->irq.event_fd);
    memcpy(guest_bytes(t->s.memory, 0x200000, 4), "echo", 4);
    memset(guest_bytes(t->s.memory, 0x200010, 4), 0, 4);
    ring_descriptor(&t->rings[1], 3, 0x200000, 4, VRING_DESC_F_NEXT, 4);
    ring_descriptor(&t->rings[1], 4, 0x200010, 8, VRING_DESC_F_WRITE, 0);
    ring_expose(&t->rings[1], 3);
    write_register(t, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    surroundings_settle(&t->s);
    need(ring_used(&t->rings[1], &id, &len) && id == 3 && len == 4);
    need(memcmp(guest_bytes(t->s.memory, 0x200010, 4), "echo", 4) == 0);
    need(eventfd_drain(t->irq.event_fd) > 0);
    need(read_register(t, VIRTIO_MMIO_INTERRUPT_STATUS) == VIRTIO_MMIO_INT_VRING);
    write_register(t, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    need(read_register(t, VIRTIO_MMIO_INTERRUPT_STATUS) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct target t;

    open_target(&t);
    start(&t, fuzz_take(&in, 6), 16);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++)
        step(&t, &in);
    check_works(&t);
    device_destroy(t.transport);
    surroundings_release(&t.s);
    close_fd(&t.irq.event_fd);
    return 0;
}
