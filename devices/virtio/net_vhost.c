// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net with the data path in the kernel (vhost-net): hands the rings of one pair over and
 * takes them back.
 *
 * The kernel's worker reads the ioeventfds of the two queues, moves packets between the rings and
 * the tap, and signals `call_fd` when the driver wants an interrupt; the I/O thread turns that into
 * the transport's interrupt, since virtio-mmio has a status bit to set with it. It signals
 * `error_fd` when it finds a ring malformed: the device then needs a reset, as with our own parser.
 *
 * While a pair is stopped, its queue's next_avail says where to go on; the used index the kernel
 * reads back from the ring itself.
 *
 * Threads: see net_internal.h. The worker is the kernel's and takes none of our locks.
 */
#include "devices/virtio/net_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <linux/virtio_ring.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"

static void vhost_called(struct net_pair *pair, unsigned ring)
{
    struct virtio_device *device = &pair->net->device;

    virtio_device_lock(device);
    if (eventfd_drain(pair->vhost->ring[ring].call_fd) > 0 && device->active)
        virtio_device_interrupt_queue(device, 2 * pair->index + ring);
    virtio_device_unlock(device);
}

static void rx_called(void *arg, uint32_t events)
{
    vhost_called(arg, 0);
}

static void tx_called(void *arg, uint32_t events)
{
    vhost_called(arg, 1);
}

static void vhost_gave_up(void *arg, uint32_t events)
{
    struct net_pair *pair = arg;
    struct virtio_device *device = &pair->net->device;

    virtio_device_lock(device);
    if (eventfd_drain(pair->vhost->error_fd) > 0 && pair->vhost->started && device->active) {
        virtio_device_failed(device, "queue pair %u: vhost-net found a malformed ring",
                             pair->index);
        pair->net->running = false;
        net_vhost_stop(pair);
    }
    virtio_device_unlock(device);
}

static int init_ring(struct net_pair *pair, unsigned ring, event_fn called)
{
    struct net_vhost_ring *at = &pair->vhost->ring[ring];

    at->call_fd = eventfd_open();
    if (at->call_fd < 0)
        return at->call_fd;
    return event_loop_add(pair->net->loop, at->call_fd, EPOLLIN, called, pair, &at->call_source);
}

static int init_parts(struct net_pair *pair, uint64_t *features)
{
    struct net_vhost *vhost = pair->vhost;
    int ret;

    vhost->error_fd = eventfd_open();
    if (vhost->error_fd < 0)
        return vhost->error_fd;
    ret = event_loop_add(pair->net->loop, vhost->error_fd, EPOLLIN, vhost_gave_up, pair,
                         &vhost->error_source);
    if (ret == 0)
        ret = init_ring(pair, 0, rx_called);
    if (ret == 0)
        ret = init_ring(pair, 1, tx_called);
    if (ret == 0)
        ret = vhost_set_owner(&vhost->vhost);
    if (ret == 0)
        ret = vhost_get_features(&vhost->vhost, features);
    return ret;
}

int net_vhost_init(struct net_pair *pair, int vhost_fd, uint64_t *features)
{
    struct net_vhost *vhost = calloc(1, sizeof(*vhost));
    int ret;

    if (!vhost)
        return -ENOMEM;
    vhost->vhost = (struct vhost){.fd = vhost_fd, .ioctl = pair->net->host->vhost_ioctl};
    vhost->error_fd = -1;
    vhost->ring[0].call_fd = -1;
    vhost->ring[1].call_fd = -1;
    pair->vhost = vhost;
    ret = init_parts(pair, features);
    if (ret) {
        vhost->vhost.fd = -1; /* still the caller's */
        net_vhost_release(pair);
    }
    return ret;
}

void net_vhost_release(struct net_pair *pair)
{
    struct net_vhost *vhost = pair->vhost;

    if (!vhost)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(vhost->ring); i++) {
        event_source_remove(vhost->ring[i].call_source);
        close_fd(&vhost->ring[i].call_fd);
    }
    event_source_remove(vhost->error_source);
    close_fd(&vhost->error_fd);
    close_fd(&vhost->vhost.fd); /* the last reference stops the worker */
    free(vhost);
    pair->vhost = NULL;
}

static int set_memory(const struct net_pair *pair)
{
    const struct guest_memory *memory = pair->net->device.memory;
    unsigned count = guest_memory_region_count(memory);
    struct vhost_region regions[GUEST_MEMORY_MAX_REGIONS];

    if (count > ARRAY_SIZE(regions))
        return -E2BIG;
    for (unsigned i = 0; i < count; i++) {
        const struct guest_region *region = guest_memory_region(memory, i);

        regions[i] = (struct vhost_region){
            .gpa = region->base.value,
            .size = region->size,
            .hva = region->hva,
        };
    }
    return vhost_set_memory(&pair->vhost->vhost, regions, count);
}

/* The features that change what the worker does; the others mean nothing to it. */
static uint64_t worker_features(const struct virtio_device *device)
{
    static const unsigned bits[] = {VIRTIO_F_VERSION_1, VIRTIO_RING_F_EVENT_IDX,
                                    VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_NET_F_MRG_RXBUF};
    uint64_t features = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        if (virtio_device_has_feature(device, bits[i]))
            features |= 1ull << bits[i];
    }
    return features;
}

static int start_ring(struct net_pair *pair, unsigned ring)
{
    struct virtio_device *device = &pair->net->device;
    struct net_vhost *vhost = pair->vhost;
    unsigned index = 2 * pair->index + ring;
    const struct virtqueue *queue = &device->queues[index];
    int kick_fd = device->transport_ops->take_kick(device->transport, index, true);
    struct vhost_ring parameters = {
        .index = ring,
        .size = queue->size,
        .base = queue->next_avail,
        .desc = queue->desc,
        .avail = queue->avail,
        .used = queue->used,
        .kick_fd = kick_fd,
        .call_fd = vhost->ring[ring].call_fd,
        .error_fd = vhost->error_fd,
    };
    int ret;

    if (kick_fd < 0)
        return kick_fd;
    ret = vhost_start_ring(&vhost->vhost, &parameters);
    if (ret == 0)
        ret = vhost_net_set_backend(&vhost->vhost, ring, pair->tap_fd);
    if (ret == 0)
        eventfd_signal(kick_fd); /* what the driver queued before, nobody will announce again */
    return ret;
}

int net_vhost_start(struct net_pair *pair)
{
    struct net_vhost *vhost = pair->vhost;
    int ret;

    if (vhost->started)
        return 0;
    vhost->kicks_taken = true;
    vhost->started = true; /* partly, until the end: stopping undoes any part */
    ret = vhost_set_features(&vhost->vhost, worker_features(&pair->net->device));
    if (ret == 0)
        ret = set_memory(pair);
    for (unsigned ring = 0; ring < ARRAY_SIZE(vhost->ring) && ret == 0; ring++)
        ret = start_ring(pair, ring);
    if (ret)
        net_vhost_reset(pair);
    return ret;
}

void net_vhost_stop(struct net_pair *pair)
{
    struct virtio_device *device = &pair->net->device;
    struct net_vhost *vhost = pair->vhost;

    if (!vhost->started)
        return;
    vhost->started = false;
    for (unsigned ring = 0; ring < ARRAY_SIZE(vhost->ring); ring++) {
        unsigned index = 2 * pair->index + ring;
        struct virtqueue *queue = &device->queues[index];
        int ret = vhost_net_set_backend(&vhost->vhost, ring, -1);

        if (ret == 0)
            ret = vhost_stop_ring(&vhost->vhost, ring, &queue->next_avail);
        if (ret)
            log_limited(device->log, &device->log_limit, LOG_LEVEL_ERROR, device->ops->name,
                        "queue %u: cannot stop vhost-net (error %d)", index, -ret);
        /* An interrupt that the worker decided on just before is still owed. */
        if (eventfd_drain(vhost->ring[ring].call_fd) > 0 && device->active)
            virtio_device_interrupt_queue(device, index);
    }
}

void net_vhost_reset(struct net_pair *pair)
{
    struct virtio_device *device = &pair->net->device;
    struct net_vhost *vhost = pair->vhost;

    net_vhost_stop(pair);
    if (!vhost->kicks_taken)
        return;
    vhost->kicks_taken = false;
    for (unsigned ring = 0; ring < ARRAY_SIZE(vhost->ring); ring++)
        device->transport_ops->take_kick(device->transport, 2 * pair->index + ring, false);
    eventfd_drain(vhost->error_fd);
}
