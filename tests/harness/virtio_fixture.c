// SPDX-License-Identifier: Apache-2.0
/* See virtio_fixture.h. Failures abort the test program. */
#include "tests/harness/virtio_fixture.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "devices/virtio/mmio.h"

static void need(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "virtio_fixture: %s\n", what);
        abort();
    }
}

static void count_line(void *arg, enum log_level level, const char *line)
{
    struct virtio_fixture *f = arg;

    f->log_lines++;
    snprintf(f->last_line, sizeof(f->last_line), "%s", line);
}

void virtio_fixture_init(struct virtio_fixture *f)
{
    const struct guest_region_spec specs[] = {
        {gpa(0), VIRTIO_FIXTURE_LOW_BYTES},
        {gpa(VIRTIO_FIXTURE_HIGH), VIRTIO_FIXTURE_HIGH_BYTES},
    };

    memset(f, 0, sizeof(*f));
    need(guest_memory_create(specs, 2, GUEST_MEMORY_PRIVATE, &f->memory, NULL) == 0, "memory");
    need(event_loop_create(&f->loop) == 0, "loop");
    need(bus_create(NULL, &f->bus) == 0, "bus");
    f->irq = (struct irq_line){.event_fd = eventfd_open(), .gsi = 5};
    need(f->irq.event_fd >= 0, "eventfd");
    f->log = (struct log){.sink = count_line, .sink_arg = f, .level = LOG_LEVEL_DEBUG};
    f->env =
        (struct device_env){.memory = f->memory, .mmio = f->bus, .loop = f->loop, .log = &f->log};
}

void virtio_fixture_attach(struct virtio_fixture *f, struct virtio_device *virtio)
{
    need(virtio_mmio_create(&f->env, virtio, VIRTIO_FIXTURE_WINDOW, &f->irq, &f->device) == 0,
         "transport");
    f->virtio = virtio;
}

void virtio_fixture_release(struct virtio_fixture *f)
{
    device_destroy(f->device);
    bus_destroy(f->bus);
    event_loop_destroy(f->loop);
    guest_memory_destroy(f->memory);
    close_fd(&f->irq.event_fd);
}

uint32_t virtio_fixture_read(struct virtio_fixture *f, uint32_t offset)
{
    uint8_t bytes[4];

    bus_read(f->bus, VIRTIO_FIXTURE_WINDOW + offset, bytes, 4);
    return get_le32(bytes);
}

void virtio_fixture_write(struct virtio_fixture *f, uint32_t offset, uint32_t value)
{
    uint8_t bytes[4];

    put_le32(bytes, value);
    bus_write(f->bus, VIRTIO_FIXTURE_WINDOW + offset, bytes, 4);
}

static void add_status(struct virtio_fixture *f, uint32_t bits)
{
    virtio_fixture_write(f, VIRTIO_MMIO_STATUS, virtio_fixture_read(f, VIRTIO_MMIO_STATUS) | bits);
}

void virtio_fixture_negotiate(struct virtio_fixture *f, uint64_t features)
{
    features |= 1ull << VIRTIO_F_VERSION_1;
    virtio_fixture_write(f, VIRTIO_MMIO_STATUS, 0);
    add_status(f, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(f, VIRTIO_CONFIG_S_DRIVER);
    for (unsigned word = 0; word < 2; word++) {
        virtio_fixture_write(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
        virtio_fixture_write(f, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * word)));
    }
    add_status(f, VIRTIO_CONFIG_S_FEATURES_OK);
}

static void set_address(struct virtio_fixture *f, uint32_t low_register, uint64_t address)
{
    virtio_fixture_write(f, low_register, (uint32_t)address);
    virtio_fixture_write(f, low_register + 4, (uint32_t)(address >> 32));
}

void virtio_fixture_set_queue(struct virtio_fixture *f, unsigned queue, uint16_t size)
{
    struct driver_ring *ring = &f->ring[queue];

    driver_ring_init(ring, f->memory, VIRTIO_FIXTURE_RINGS + queue * DRIVER_RING_BYTES, size);
    virtio_fixture_write(f, VIRTIO_MMIO_QUEUE_SEL, queue);
    virtio_fixture_write(f, VIRTIO_MMIO_QUEUE_NUM, size);
    set_address(f, VIRTIO_MMIO_QUEUE_DESC_LOW, ring->desc);
    set_address(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, ring->avail);
    set_address(f, VIRTIO_MMIO_QUEUE_USED_LOW, ring->used);
    virtio_fixture_write(f, VIRTIO_MMIO_QUEUE_READY, 1);
}

void virtio_fixture_start(struct virtio_fixture *f, uint64_t features, uint16_t size)
{
    virtio_fixture_negotiate(f, features);
    for (unsigned i = 0; i < f->virtio->queue_count && i < VIRTIO_FIXTURE_QUEUES; i++)
        virtio_fixture_set_queue(f, i, size);
    add_status(f, VIRTIO_CONFIG_S_DRIVER_OK);
}

uint64_t virtio_fixture_offered(struct virtio_fixture *f, bool event_idx)
{
    return f->virtio->offered & ~(event_idx ? 0 : 1ull << VIRTIO_RING_F_EVENT_IDX);
}

void virtio_fixture_kick(struct virtio_fixture *f, unsigned queue)
{
    virtio_fixture_write(f, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
    virtio_fixture_settle(f);
}

void virtio_fixture_settle(struct virtio_fixture *f)
{
    for (unsigned turn = 0; turn < 100000; turn++) {
        if (event_loop_run_once(f->loop, 0) == 0)
            return;
    }
    need(false, "the loop spins");
}

uint32_t virtio_fixture_interrupt(struct virtio_fixture *f)
{
    uint32_t status;

    if (eventfd_drain(f->irq.event_fd) == 0)
        return 0;
    status = virtio_fixture_read(f, VIRTIO_MMIO_INTERRUPT_STATUS);
    virtio_fixture_write(f, VIRTIO_MMIO_INTERRUPT_ACK, status);
    return status;
}

bool virtio_fixture_needs_reset(struct virtio_fixture *f)
{
    return virtio_fixture_read(f, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

uint8_t *virtio_fixture_at(struct virtio_fixture *f, uint64_t address, uint64_t len)
{
    uint8_t *p = guest_memory_at(f->memory, gpa(address), len);

    need(p != NULL, "address");
    return p;
}

/* ---- the echo device ---- */

#define ECHO_BYTES 65536u /* at most, for one chain */

static struct echo_device *to_echo(struct virtio_device *virtio)
{
    return (struct echo_device *)virtio;
}

static int echo_activate(struct virtio_device *virtio)
{
    to_echo(virtio)->activated++;
    return to_echo(virtio)->activate_result;
}

static void echo_reset(struct virtio_device *virtio)
{
    to_echo(virtio)->resets++;
}

/* Byte by byte, slowly: what a test compares with must not share code with what it tests. */
static uint32_t echo_chain(const struct virtq_chain *chain)
{
    unsigned out = chain->readable_count, end = out + chain->writable_count;
    size_t out_at = 0;
    uint32_t copied = 0;

    for (unsigned in = 0; in < chain->readable_count; in++) {
        for (size_t i = 0; i < chain->iov[in].iov_len && out < end && copied < ECHO_BYTES; i++) {
            ((uint8_t *)chain->iov[out].iov_base)[out_at++] =
                ((const uint8_t *)chain->iov[in].iov_base)[i];
            copied++;
            if (out_at == chain->iov[out].iov_len) {
                out++;
                out_at = 0;
            }
        }
    }
    return copied;
}

static void echo_notify(struct virtio_device *virtio, unsigned queue)
{
    struct echo_device *echo = to_echo(virtio);
    struct virtqueue *vq = &virtio->queues[queue];
    struct virtq_chain chain;
    int ret = 0;

    echo->kicks++;
    for (unsigned i = 0; i < echo->budget && (ret = virtqueue_pop(vq, &chain)) > 0; i++)
        virtqueue_push(vq, chain.head, echo_chain(&chain));
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
    memcpy(data, to_echo(virtio)->config + offset, size);
}

static void echo_config_write(struct virtio_device *virtio, uint32_t offset, const void *data,
                              unsigned size)
{
    memcpy(to_echo(virtio)->config + offset, data, size);
}

static void echo_pause(struct virtio_device *virtio)
{
    to_echo(virtio)->paused++;
}

static void echo_resume(struct virtio_device *virtio)
{
    to_echo(virtio)->resumed++;
}

static void echo_destroy(struct virtio_device *virtio)
{
    free(virtio);
}

static const struct virtio_device_ops echo_ops = {
    .name = "echo",
    .activate = echo_activate,
    .reset = echo_reset,
    .notify = echo_notify,
    .config_read = echo_config_read,
    .config_write = echo_config_write,
    .pause = echo_pause,
    .resume = echo_resume,
    .destroy = echo_destroy,
};

struct echo_device *echo_device_create(const struct device_env *env)
{
    static const uint16_t sizes[] = {256, 16};
    struct echo_device *echo = calloc(1, sizeof(*echo));

    need(echo != NULL, "allocation");
    echo->budget = VIRTQUEUE_MAX_SIZE;
    need(virtio_device_init(&echo->virtio, &echo_ops, ECHO_DEVICE_ID, 1ull << 3 | 1ull << 40, sizes,
                            2, sizeof(echo->config), env) == 0,
         "device");
    return echo;
}
