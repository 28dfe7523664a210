// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-mmio transport: see mmio.h.
 *
 * Threads: register accesses come from vCPU threads, concurrently; the selectors (which feature
 * word, which queue) are atomics, for a driver that races against itself only confuses itself. The
 * interrupt status is set by any thread before the line is raised, so that the driver's handler,
 * which reads it first (4.2.3.3), finds the reason. Kicks are read by the I/O thread.
 */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "devices/virtio/kick.h"
#include "devices/virtio/virtio.h"
#include "vmm/bus.h"

#define VIRTIO_MMIO_MAGIC 0x74726976u /* "virt" */
#define VIRTIO_MMIO_V2    2u
#define HUSK_VENDOR_ID    0x4b535548u /* "HUSK" */
#define CONFIG_SPACE      0x100u

struct mmio_queue {
    struct virtio_kick kick;
    bool by_bus; /* the bus signals the kick; else the register handler does */
};

struct virtio_mmio {
    struct device device;
    struct device_env env;
    struct virtio_device *virtio;
    uint64_t base;
    struct irq_line irq;
    bool attached;
    atomic_uint interrupt_status;
    atomic_uint device_features_select;
    atomic_uint driver_features_select;
    atomic_uint queue_select;
    unsigned queue_count;
    struct mmio_queue queues[];
};

static void raise_interrupt(struct virtio_mmio *mmio, unsigned reason)
{
    atomic_fetch_or(&mmio->interrupt_status, reason);
    irq_line_raise(&mmio->irq);
}

static void interrupt_queue(void *transport, unsigned queue)
{
    raise_interrupt(transport, VIRTIO_MMIO_INT_VRING);
}

static void interrupt_config(void *transport)
{
    raise_interrupt(transport, VIRTIO_MMIO_INT_CONFIG);
}

static int take_kick(void *transport, unsigned queue, bool taken)
{
    struct virtio_mmio *mmio = transport;

    return queue < mmio->queue_count ? virtio_kick_take(&mmio->queues[queue].kick, taken) : -EINVAL;
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
    .take_kick = take_kick,
};

/* 4.2.2, table 4.1: the registers that can be read. */
static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
    struct virtio_device *virtio = mmio->virtio;
    unsigned queue = atomic_load(&mmio->queue_select);

    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_VERSION:
        return VIRTIO_MMIO_V2;
    case VIRTIO_MMIO_DEVICE_ID:
        return virtio->id;
    case VIRTIO_MMIO_VENDOR_ID:
        return HUSK_VENDOR_ID;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return virtio_device_offered(virtio, atomic_load(&mmio->device_features_select));
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return virtio_device_queue_max(virtio, queue);
    case VIRTIO_MMIO_QUEUE_READY:
        return virtio_device_queue_ready(virtio, queue);
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return atomic_load(&mmio->interrupt_status);
    case VIRTIO_MMIO_STATUS:
        return virtio_device_status(virtio);
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return virtio_device_config_generation(virtio);
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return 0xffffffff; /* 4.2.2: no shared memory region */
    default:
        return 0;
    }
}

static void mmio_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct virtio_mmio *mmio = device;

    if (offset >= CONFIG_SPACE) {
        virtio_device_config_read(mmio->virtio, (uint32_t)(offset - CONFIG_SPACE), data, size);
        return;
    }
    /* 4.2.2.2: registers are only accessed by aligned 32-bit reads; others find all-ones. */
    if (size == 4 && is_aligned(offset, 4))
        put_le32(data, read_register(mmio, offset));
}

static void write_status(struct virtio_mmio *mmio, uint32_t value)
{
    uint8_t status = (uint8_t)value;

    virtio_device_set_status(mmio->virtio, status);
    if (status == 0)
        atomic_store(&mmio->interrupt_status, 0);
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    struct virtio_device *virtio = mmio->virtio;
    unsigned queue = atomic_load(&mmio->queue_select);

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        atomic_store(&mmio->device_features_select, value);
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        atomic_store(&mmio->driver_features_select, value);
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        virtio_device_accept(virtio, atomic_load(&mmio->driver_features_select), value);
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        atomic_store(&mmio->queue_select, value);
        break;
    case VIRTIO_MMIO_QUEUE_NUM:
        virtio_device_set_queue_size(virtio, queue, value);
        break;
    case VIRTIO_MMIO_QUEUE_READY:
        virtio_device_set_queue_ready(virtio, queue, value & 1);
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        /* Usually consumed by the eventfd, before it gets here. */
        if (value < mmio->queue_count)
            eventfd_signal(mmio->queues[value].kick.fd);
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        atomic_fetch_and(&mmio->interrupt_status, ~value);
        break;
    case VIRTIO_MMIO_STATUS:
        write_status(mmio, value);
        break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        virtio_device_set_ring(virtio, queue, VIRTIO_RING_DESC,
                               offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
        virtio_device_set_ring(virtio, queue, VIRTIO_RING_AVAIL,
                               offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
        break;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        virtio_device_set_ring(virtio, queue, VIRTIO_RING_USED,
                               offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
        break;
    default:
        break;
    }
}

static void mmio_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct virtio_mmio *mmio = device;

    if (offset >= CONFIG_SPACE) {
        virtio_device_config_write(mmio->virtio, (uint32_t)(offset - CONFIG_SPACE), data, size);
        return;
    }
    if (size == 4 && is_aligned(offset, 4))
        write_register(mmio, offset, get_le32(data));
}

static const struct bus_ops mmio_bus_ops = {.read = mmio_read, .write = mmio_write};

static void mmio_pause(struct device *device)
{
    virtio_device_pause(((struct virtio_mmio *)device)->virtio);
}

static void mmio_resume(struct device *device)
{
    virtio_device_resume(((struct virtio_mmio *)device)->virtio);
}

static void mmio_describe(const struct device *device, struct device_description *out)
{
    const struct virtio_mmio *mmio = (const struct virtio_mmio *)device;

    *out = (struct device_description){
        .kind = DEVICE_VIRTIO_MMIO,
        .base = mmio->base,
        .size = VIRTIO_MMIO_WINDOW_BYTES,
        .gsi = mmio->irq.gsi,
        .has_gsi = true,
    };
}

/* Undoes what was done, whole or half; leaves the virtio device alone. */
static void detach(struct virtio_mmio *mmio)
{
    uint64_t notify = mmio->base + VIRTIO_MMIO_QUEUE_NOTIFY;

    for (unsigned i = 0; i < mmio->queue_count; i++) {
        struct mmio_queue *queue = &mmio->queues[i];

        if (queue->by_bus)
            bus_detach_eventfd(mmio->env.mmio, notify, 4, i, queue->kick.fd);
        virtio_kick_close(&queue->kick);
    }
    if (mmio->attached)
        bus_detach(mmio->env.mmio, mmio->base);
}

static void mmio_destroy(struct device *device)
{
    struct virtio_mmio *mmio = (struct virtio_mmio *)device;
    struct virtio_device *virtio = mmio->virtio;

    /* Back to the state after create, so that a device that lent its kicks gives them back. */
    virtio_device_set_status(virtio, 0);
    detach(mmio);
    virtio_device_destroy(virtio);
    free(mmio);
}

static const struct device_ops mmio_device_ops = {
    .name = "virtio-mmio",
    .pause = mmio_pause,
    .resume = mmio_resume,
    .describe = mmio_describe,
    .destroy = mmio_destroy,
};

static int attach_queue(struct virtio_mmio *mmio, unsigned index)
{
    struct mmio_queue *queue = &mmio->queues[index];
    uint64_t notify = mmio->base + VIRTIO_MMIO_QUEUE_NOTIFY;
    int ret = virtio_kick_open(&queue->kick, mmio->env.loop, mmio->virtio, index);

    if (ret)
        return ret;
    /* Without it a kick costs an exit to user space, and works all the same. */
    queue->by_bus = bus_attach_eventfd(mmio->env.mmio, notify, 4, index, queue->kick.fd) == 0;
    return 0;
}

int virtio_mmio_create(const struct device_env *env, struct virtio_device *virtio, uint64_t base,
                       const struct irq_line *irq, struct device **out)
{
    unsigned count = virtio->queue_count;
    struct virtio_mmio *mmio = calloc(1, sizeof(*mmio) + count * sizeof(mmio->queues[0]));
    int ret;

    if (!mmio)
        return -ENOMEM;
    mmio->device.ops = &mmio_device_ops;
    mmio->env = *env;
    mmio->virtio = virtio;
    mmio->base = base;
    mmio->irq = *irq;
    mmio->queue_count = count;
    for (unsigned i = 0; i < count; i++)
        mmio->queues[i].kick.fd = -1;
    ret = bus_attach(env->mmio, base, VIRTIO_MMIO_WINDOW_BYTES, &mmio_bus_ops, mmio,
                     virtio->ops->name);
    mmio->attached = ret == 0;
    for (unsigned i = 0; i < count && !ret; i++)
        ret = attach_queue(mmio, i);
    if (ret) {
        detach(mmio);
        free(mmio);
        return ret;
    }
    virtio_device_set_transport(virtio, &transport_ops, mmio);
    *out = &mmio->device;
    return 0;
}
