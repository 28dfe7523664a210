// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio core: see virtio.h for the contract and the locking.
 *
 * The status register walks 0 → ACKNOWLEDGE → DRIVER → FEATURES_OK → DRIVER_OK (3.1.1), bits are
 * only ever added, and 0 starts again. The walk decides what may change when:
 *
 *     before FEATURES_OK              feature words
 *     FEATURES_OK .. DRIVER_OK        queue registers
 *     DRIVER_OK (`active`)            queues are processed
 *
 * Anything else is ignored, or, where the driver could believe that it succeeded, answered by
 * DEVICE_NEEDS_RESET (2.1.2).
 */
#include "base/error.h"
#include "devices/virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_STATUS                                                                    \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
     VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

int virtio_device_init(struct virtio_device *device, const struct virtio_device_ops *ops,
                       uint32_t id, uint64_t offered, const uint16_t *queue_sizes,
                       unsigned queue_count, uint32_t config_size, const struct device_env *env)
{
    if (queue_count == 0 || queue_count > VIRTIO_MAX_QUEUES)
        return -EINVAL;
    device->queues = calloc(queue_count, sizeof(*device->queues));
    if (!device->queues)
        return -ENOMEM;
    for (unsigned i = 0; i < queue_count; i++)
        device->queues[i].max_size = queue_sizes[i];
    device->ops = ops;
    device->id = id;
    device->config_size = config_size;
    device->offered = offered | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
                      1ull << VIRTIO_RING_F_INDIRECT_DESC;
    device->queue_count = queue_count;
    device->log = env->log;
    device->memory = env->memory;
    pthread_mutex_init(&device->lock, NULL);
    device->accepted = 0;
    device->status = 0;
    device->config_generation = 0;
    device->active = false;
    device->paused = device->on_hold = device->start_due = false;
    device->masters = true;
    memset(&device->log_limit, 0, sizeof(device->log_limit));
    device->transport_ops = NULL;
    device->transport = NULL;
    return 0;
}

void virtio_device_release(struct virtio_device *device)
{
    free(device->queues);
    device->queues = NULL;
    pthread_mutex_destroy(&device->lock);
}

void virtio_device_destroy(struct virtio_device *device)
{
    if (!device)
        return;
    virtio_device_release(device);
    device->ops->destroy(device);
}

void virtio_device_lock(struct virtio_device *device)
{
    pthread_mutex_lock(&device->lock);
}

void virtio_device_unlock(struct virtio_device *device)
{
    pthread_mutex_unlock(&device->lock);
}

bool virtio_device_has_feature(const struct virtio_device *device, unsigned bit)
{
    return device->accepted >> bit & 1;
}

void virtio_device_interrupt_queue(struct virtio_device *device, unsigned queue)
{
    if (device->transport_ops)
        device->transport_ops->interrupt_queue(device->transport, queue);
}

void virtio_device_signal_queue(struct virtio_device *device, unsigned queue)
{
    if (virtqueue_should_interrupt(&device->queues[queue]))
        virtio_device_interrupt_queue(device, queue);
}

static void interrupt_config(struct virtio_device *device)
{
    if (device->transport_ops)
        device->transport_ops->interrupt_config(device->transport);
}

void virtio_device_config_changed(struct virtio_device *device)
{
    device->config_generation++;
    /* 2.5: before DRIVER_OK the driver reads the configuration anyway. */
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt_config(device);
}

void virtio_device_failed(struct virtio_device *device, const char *why, ...)
{
    char text[200];
    va_list args;

    va_start(args, why);
    vsnprintf(text, sizeof(text), why, args);
    va_end(args);
    log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                "%s; the device needs a reset", text);
    device->active = false;
    if (device->status & VIRTIO_CONFIG_S_NEEDS_RESET)
        return;
    device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    /* 2.1.2: the driver is told only once DRIVER_OK is set. */
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt_config(device);
}

static void reset(struct virtio_device *device)
{
    /* The device first: it waits for requests in flight, which still point into the rings. */
    device->active = false;
    device->ops->reset(device);
    for (unsigned i = 0; i < device->queue_count; i++)
        virtqueue_reset(&device->queues[i]);
    device->accepted = 0;
    device->status = 0;
    device->start_due = false;
}

/* 3.1.1, step 5: the device says whether it can live with what the driver chose. */
static bool features_acceptable(const struct virtio_device *device)
{
    return !(device->accepted & ~device->offered) &&
           virtio_device_has_feature(device, VIRTIO_F_VERSION_1);
}

static void activate(struct virtio_device *device)
{
    bool event_idx = virtio_device_has_feature(device, VIRTIO_RING_F_EVENT_IDX);
    bool indirect = virtio_device_has_feature(device, VIRTIO_RING_F_INDIRECT_DESC);
    int ret;

    for (unsigned i = 0; i < device->queue_count; i++) {
        struct virtqueue *queue = &device->queues[i];

        if (queue->ready && virtqueue_activate(queue, device->memory, event_idx, indirect)) {
            virtio_device_failed(device, "queue %u: impossible size or addresses", i);
            return;
        }
    }
    ret = device->ops->activate(device);
    if (ret) {
        virtio_device_failed(device, "cannot start: %s", error_text(-ret));
        return;
    }
    device->active = true;
}

void virtio_device_set_status(struct virtio_device *device, uint8_t status)
{
    uint8_t added;

    virtio_device_lock(device);
    if (status == 0) {
        reset(device);
        virtio_device_unlock(device);
        return;
    }
    /* Only the device sets NEEDS_RESET, and only a reset clears bits (2.1.1). */
    status |= device->status & VIRTIO_CONFIG_S_NEEDS_RESET;
    added = status & (uint8_t)~device->status & KNOWN_STATUS;
    if (device->status & (uint8_t)~status & KNOWN_STATUS) {
        virtio_device_failed(device, "the driver cleared status bits (0x%02x to 0x%02x)",
                             device->status, status);
        added = 0;
    }
    if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(device)) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                    "the driver chose features that were not offered, or not version 1");
        added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK; /* it reads this back */
    }
    if ((added & VIRTIO_CONFIG_S_DRIVER_OK) &&
        !((device->status | added) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        virtio_device_failed(device, "DRIVER_OK without FEATURES_OK");
        added = 0;
    }
    device->status |= added;
    if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && !(device->status & VIRTIO_CONFIG_S_NEEDS_RESET)) {
        if (device->masters)
            activate(device);
        else
            device->start_due = true;
    }
    if (device->status & VIRTIO_CONFIG_S_FAILED)
        device->active = device->start_due = false;
    virtio_device_unlock(device);
}

uint8_t virtio_device_status(struct virtio_device *device)
{
    uint8_t status;

    virtio_device_lock(device);
    status = device->status;
    virtio_device_unlock(device);
    return status;
}

uint32_t virtio_device_offered(struct virtio_device *device, uint32_t select)
{
    return select < 2 ? (uint32_t)(device->offered >> (32 * select)) : 0;
}

uint32_t virtio_device_accepted(struct virtio_device *device, uint32_t select)
{
    uint32_t bits;

    virtio_device_lock(device);
    bits = select < 2 ? (uint32_t)(device->accepted >> (32 * select)) : 0;
    virtio_device_unlock(device);
    return bits;
}

void virtio_device_accept(struct virtio_device *device, uint32_t select, uint32_t bits)
{
    virtio_device_lock(device);
    if (select < 2 && !(device->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        unsigned shift = 32 * select;

        device->accepted &= ~(0xffffffffull << shift);
        device->accepted |= (uint64_t)bits << shift;
    }
    virtio_device_unlock(device);
}

/* The queue, if its registers may change now; else NULL, with a line of log. */
static struct virtqueue *writable_queue(struct virtio_device *device, unsigned queue,
                                        bool even_when_ready)
{
    uint8_t window = device->status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);

    if (queue >= device->queue_count)
        return NULL;
    if (window != VIRTIO_CONFIG_S_FEATURES_OK ||
        (device->queues[queue].ready && !even_when_ready)) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_WARN, device->ops->name,
                    "queue %u: the driver wrote to a frozen register", queue);
        return NULL;
    }
    return &device->queues[queue];
}

uint16_t virtio_device_queue_max(struct virtio_device *device, unsigned queue)
{
    return queue < device->queue_count ? device->queues[queue].max_size : 0;
}

bool virtio_device_queue_ready(struct virtio_device *device, unsigned queue)
{
    bool ready = false;

    virtio_device_lock(device);
    if (queue < device->queue_count)
        ready = device->queues[queue].ready;
    virtio_device_unlock(device);
    return ready;
}

uint16_t virtio_device_queue_size(struct virtio_device *device, unsigned queue)
{
    uint16_t size = 0;

    virtio_device_lock(device);
    if (queue < device->queue_count)
        size = device->queues[queue].size;
    virtio_device_unlock(device);
    return size;
}

void virtio_device_set_queue_size(struct virtio_device *device, unsigned queue, uint32_t size)
{
    struct virtqueue *target;

    virtio_device_lock(device);
    target = writable_queue(device, queue, false);
    if (target)
        /* What does not fit is kept as 0, which virtqueue_activate() refuses. */
        target->size = size <= VIRTQUEUE_MAX_SIZE ? (uint16_t)size : 0;
    virtio_device_unlock(device);
}

void virtio_device_set_queue_ready(struct virtio_device *device, unsigned queue, bool ready)
{
    struct virtqueue *target;

    virtio_device_lock(device);
    /* A driver that tears down after a reset clears what is clear: no offence. */
    if (queue < device->queue_count && device->queues[queue].ready != ready) {
        target = writable_queue(device, queue, true);
        if (target)
            target->ready = ready;
    }
    virtio_device_unlock(device);
}

static gpa_t *ring_address(struct virtqueue *queue, enum virtio_ring_part part)
{
    gpa_t *const addresses[] = {&queue->desc_address, &queue->avail_address, &queue->used_address};

    return addresses[part];
}

void virtio_device_set_ring(struct virtio_device *device, unsigned queue,
                            enum virtio_ring_part part, bool high, uint32_t bits)
{
    struct virtqueue *target;

    virtio_device_lock(device);
    target = writable_queue(device, queue, false);
    if (target) {
        gpa_t *address = ring_address(target, part);
        unsigned shift = high ? 32 : 0;

        address->value &= ~(0xffffffffull << shift);
        address->value |= (uint64_t)bits << shift;
    }
    virtio_device_unlock(device);
}

uint32_t virtio_device_ring(struct virtio_device *device, unsigned queue,
                            enum virtio_ring_part part, bool high)
{
    uint64_t address = 0;

    virtio_device_lock(device);
    if (queue < device->queue_count)
        address = ring_address(&device->queues[queue], part)->value;
    virtio_device_unlock(device);
    return (uint32_t)(high ? address >> 32 : address);
}

void virtio_device_config_read(struct virtio_device *device, uint32_t offset, void *data,
                               unsigned size)
{
    memset(data, 0xff, size);
    if (!device->ops->config_read || size > device->config_size ||
        offset > device->config_size - size)
        return;
    virtio_device_lock(device);
    device->ops->config_read(device, offset, data, size);
    virtio_device_unlock(device);
}

void virtio_device_config_write(struct virtio_device *device, uint32_t offset, const void *data,
                                unsigned size)
{
    if (!device->ops->config_write || size > device->config_size ||
        offset > device->config_size - size)
        return;
    virtio_device_lock(device);
    device->ops->config_write(device, offset, data, size);
    virtio_device_unlock(device);
}

uint32_t virtio_device_config_generation(struct virtio_device *device)
{
    uint32_t generation;

    virtio_device_lock(device);
    generation = device->config_generation;
    virtio_device_unlock(device);
    return generation;
}

void virtio_device_set_transport(struct virtio_device *device,
                                 const struct virtio_transport_ops *ops, void *transport)
{
    device->transport_ops = ops;
    device->transport = transport;
}

/* Lock held. */
static void kick_locked(struct virtio_device *device, unsigned queue)
{
    struct virtqueue *target = &device->queues[queue];

    if (device->active && !device->paused && target->ready && !target->broken)
        device->ops->notify(device, queue);
}

void virtio_device_kick(struct virtio_device *device, unsigned queue)
{
    if (queue >= device->queue_count)
        return;
    virtio_device_lock(device);
    kick_locked(device, queue);
    virtio_device_unlock(device);
}

/* Lock held. */
static void start_if_due(struct virtio_device *device)
{
    if (device->start_due && !(device->status & VIRTIO_CONFIG_S_NEEDS_RESET))
        activate(device);
    device->start_due = false;
}

/* Bring it to what the host and the transport say. Lock held. */
static void update_paused(struct virtio_device *device)
{
    bool paused = device->on_hold || !device->masters;

    if (paused == device->paused)
        return;
    device->paused = paused;
    if (paused) {
        if (device->ops->pause)
            device->ops->pause(device);
        return;
    }
    start_if_due(device);
    if (device->ops->resume)
        device->ops->resume(device);
    /* Kicks that came meanwhile were ignored. */
    for (unsigned i = 0; i < device->queue_count; i++)
        kick_locked(device, i);
}

void virtio_device_set_mastering(struct virtio_device *device, bool masters)
{
    virtio_device_lock(device);
    device->masters = masters;
    update_paused(device);
    virtio_device_unlock(device);
}

void virtio_device_pause(struct virtio_device *device)
{
    virtio_device_lock(device);
    device->on_hold = true;
    update_paused(device);
    virtio_device_unlock(device);
}

void virtio_device_resume(struct virtio_device *device)
{
    virtio_device_lock(device);
    device->on_hold = false;
    update_paused(device);
    virtio_device_unlock(device);
}
