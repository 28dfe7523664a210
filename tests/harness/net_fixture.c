// SPDX-License-Identifier: Apache-2.0
/* See net_fixture.h. */
#include "tests/harness/net_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"

/* Each queue's rings lie in a window of their own; buffers come from BUFFERS on. */
#define RINGS       0x100000u
#define RING_WINDOW 0x10000u
#define AVAIL       0x4000u
#define USED        0x8000u
#define BUFFERS     0x400000u

struct net_fixture_host net_fixture_host;

static void need(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "net_fixture: %s\n", what);
        abort();
    }
}

/* ---- host ---- */

static int host_header_size(int fd, int size)
{
    need(size == 12, "header size");
    return 0;
}

static int host_offload(int fd, unsigned offload)
{
    if (net_fixture_host.offload_result == 0)
        net_fixture_host.offload = offload;
    return net_fixture_host.offload_result;
}

static int host_queue_enabled(int fd, int enabled)
{
    net_fixture_host.queue_calls++;
    return enabled ? net_fixture_host.queue_result : 0;
}

static int host_vhost(int fd, unsigned long request, void *arg)
{
    struct net_fixture_host *host = &net_fixture_host;
    struct vhost_vring_file *file = arg;
    struct vhost_vring_state *state = arg;

    if (++host->vhost_calls == host->vhost_fail_at)
        return -EFAULT;
    switch (request) {
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = host->vhost_features;
        break;
    case VHOST_SET_FEATURES:
        host->vhost_accepted = *(uint64_t *)arg;
        break;
    case VHOST_SET_MEM_TABLE:
        host->vhost_regions = ((struct vhost_memory *)arg)->nregions;
        break;
    case VHOST_SET_VRING_BASE:
        host->vhost_base[state->index] = state->num;
        break;
    case VHOST_GET_VRING_BASE:
        state->num = host->vhost_base[state->index];
        break;
    case VHOST_SET_VRING_CALL:
        host->vhost_call[file->index] = *file;
        break;
    case VHOST_SET_VRING_KICK:
        host->vhost_kick[file->index] = *file;
        break;
    case VHOST_SET_VRING_ERR:
        host->vhost_error[file->index] = *file;
        break;
    case VHOST_NET_SET_BACKEND:
        host->vhost_backend[file->index] = file->fd;
        break;
    default:
        break;
    }
    return 0;
}

const struct net_host_ops net_fixture_host_ops = {
    .set_header_size = host_header_size,
    .set_offload = host_offload,
    .set_queue_enabled = host_queue_enabled,
    .vhost_ioctl = host_vhost,
};

/* ---- transport ---- */

static void interrupt_queue(void *transport, unsigned queue)
{
    struct net_fixture *f = transport;

    f->interrupts[queue]++;
}

static void interrupt_config(void *transport)
{
    struct net_fixture *f = transport;

    f->config_interrupts++;
}

static int take_kick(void *transport, unsigned queue, bool taken)
{
    struct net_fixture *f = transport;

    f->kick_taken[queue] = taken;
    return f->kick_fd[queue];
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
    .take_kick = take_kick,
};

/* ---- life ---- */

void net_fixture_init(struct net_fixture *f, unsigned pairs, bool vhost)
{
    const struct guest_region_spec spec = {.base = gpa(0), .size = NET_FIXTURE_MEMORY};

    memset(f, 0, sizeof(*f));
    memset(&net_fixture_host, 0, sizeof(net_fixture_host));
    net_fixture_host.vhost_features = ~0ull;
    need(guest_memory_create(&spec, 1, GUEST_MEMORY_PRIVATE, &f->memory, NULL) == 0, "memory");
    need(event_loop_create(&f->loop) == 0, "loop");
    f->env = (struct device_env){.memory = f->memory, .loop = f->loop};
    for (unsigned i = 0; i < NET_FIXTURE_PAIRS; i++) {
        int ends[2];

        need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
             "socketpair");
        f->tap[i] = ends[0];
        f->wire[i] = ends[1];
        f->vhost[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    for (unsigned i = 0; i < NET_FIXTURE_QUEUES; i++)
        f->kick_fd[i] = eventfd_open();
    f->config = (struct virtio_net_config){
        .tap_fds = f->tap,
        .queue_pairs = pairs,
        .mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56},
        .vhost_fds = vhost ? f->vhost : NULL,
    };
    f->next_buffer = BUFFERS;
}

int net_fixture_create(struct net_fixture *f)
{
    int ret = net_create(&f->env, &f->config, &net_fixture_host_ops, &f->device);

    if (ret)
        return ret;
    virtio_device_set_transport(f->device, &transport_ops, f);
    /* What became the device's. */
    for (unsigned i = 0; i < f->config.queue_pairs; i++) {
        f->tap[i] = -1;
        if (f->config.vhost_fds)
            f->vhost[i] = -1;
    }
    return 0;
}

void net_fixture_release(struct net_fixture *f)
{
    virtio_device_destroy(f->device);
    event_loop_destroy(f->loop);
    guest_memory_destroy(f->memory);
    for (unsigned i = 0; i < NET_FIXTURE_PAIRS; i++) {
        close_fd(&f->tap[i]);
        close_fd(&f->wire[i]);
        close_fd(&f->vhost[i]);
    }
    for (unsigned i = 0; i < NET_FIXTURE_QUEUES; i++)
        close_fd(&f->kick_fd[i]);
}

/* ---- driver ---- */

static uint64_t ring_base(unsigned queue)
{
    return RINGS + (uint64_t)queue * RING_WINDOW;
}

static void set_up_queue(struct net_fixture *f, unsigned queue, uint16_t size)
{
    uint64_t base = ring_base(queue);

    size = (uint16_t)min_u64(size, virtio_device_queue_max(f->device, queue));
    memset(net_fixture_at(f, base, RING_WINDOW), 0, RING_WINDOW);
    f->ring[queue] = (struct net_fixture_ring){.size = size};
    virtio_device_set_queue_size(f->device, queue, size);
    virtio_device_set_ring(f->device, queue, VIRTIO_RING_DESC, false, (uint32_t)base);
    virtio_device_set_ring(f->device, queue, VIRTIO_RING_AVAIL, false, (uint32_t)base + AVAIL);
    virtio_device_set_ring(f->device, queue, VIRTIO_RING_USED, false, (uint32_t)base + USED);
    virtio_device_set_queue_ready(f->device, queue, true);
}

void net_fixture_start(struct net_fixture *f, uint64_t features, uint16_t queue_size)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

    features |= 1ull << VIRTIO_F_VERSION_1;
    virtio_device_set_status(f->device, 0);
    virtio_device_set_status(f->device, status);
    virtio_device_set_status(f->device, status |= VIRTIO_CONFIG_S_DRIVER);
    virtio_device_accept(f->device, 0, (uint32_t)features);
    virtio_device_accept(f->device, 1, (uint32_t)(features >> 32));
    virtio_device_set_status(f->device, status |= VIRTIO_CONFIG_S_FEATURES_OK);
    for (unsigned i = 0; i < f->device->queue_count; i++)
        set_up_queue(f, i, queue_size);
    virtio_device_set_status(f->device, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

void *net_fixture_at(struct net_fixture *f, uint64_t address, uint32_t len)
{
    void *at = guest_memory_at(f->memory, gpa(address), len);

    need(at != NULL, "address");
    return at;
}

uint64_t net_fixture_alloc(struct net_fixture *f, uint32_t len)
{
    uint64_t at = f->next_buffer;

    /* Wraps: tests that move much data use up their buffers in order. */
    if (at + len > NET_FIXTURE_MEMORY)
        at = BUFFERS;
    f->next_buffer = at + len;
    memset(net_fixture_at(f, at, len), 0, len);
    return at;
}

uint16_t net_fixture_add(struct net_fixture *f, unsigned queue,
                         const struct net_fixture_buffer *buffers, unsigned count)
{
    struct net_fixture_ring *ring = &f->ring[queue];
    uint8_t *desc = net_fixture_at(f, ring_base(queue), 16u * ring->size);
    uint8_t *avail = net_fixture_at(f, ring_base(queue) + AVAIL, 6u + 2u * ring->size);
    uint16_t head = ring->next_desc;

    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = desc + 16u * ring->next_desc;
        uint16_t next = (uint16_t)((ring->next_desc + 1) % ring->size);

        put_le64(at, buffers[i].gpa);
        put_le32(at + 8, buffers[i].len);
        put_le16(at + 12, (uint16_t)((i + 1 < count ? 1 : 0) | (buffers[i].writable ? 2 : 0)));
        put_le16(at + 14, next);
        ring->next_desc = next;
    }
    put_le16(avail + 4 + 2 * (ring->next_avail % ring->size), head);
    put_le16(avail + 2, ++ring->next_avail);
    return head;
}

uint16_t net_fixture_add_receive(struct net_fixture *f, unsigned queue, uint32_t len)
{
    struct net_fixture_buffer buffer = {net_fixture_alloc(f, len), len, true};

    return net_fixture_add(f, queue, &buffer, 1);
}

uint16_t net_fixture_add_send(struct net_fixture *f, unsigned queue, const void *data, uint32_t len)
{
    struct net_fixture_buffer buffer = {net_fixture_alloc(f, len), len, false};

    memcpy(net_fixture_at(f, buffer.gpa, len), data, len);
    return net_fixture_add(f, queue, &buffer, 1);
}

uint64_t net_fixture_buffer_of(struct net_fixture *f, unsigned queue, uint16_t head)
{
    return get_le64(net_fixture_at(f, ring_base(queue) + 16u * head, 16));
}

bool net_fixture_used(struct net_fixture *f, unsigned queue, uint16_t *head, uint32_t *len)
{
    struct net_fixture_ring *ring = &f->ring[queue];
    const uint8_t *used = net_fixture_at(f, ring_base(queue) + USED, 6u + 8u * ring->size);
    const uint8_t *entry = used + 4 + 8 * (ring->next_used % ring->size);

    if (get_le16(used + 2) == ring->next_used)
        return false;
    *head = (uint16_t)get_le32(entry);
    *len = get_le32(entry + 4);
    ring->next_used++;
    return true;
}

bool net_fixture_wants_kick(struct net_fixture *f, unsigned queue)
{
    return !(get_le16(net_fixture_at(f, ring_base(queue) + USED, 2)) & 1);
}

void net_fixture_kick(struct net_fixture *f, unsigned queue)
{
    virtio_device_kick(f->device, queue);
}

void net_fixture_settle(struct net_fixture *f)
{
    for (unsigned turn = 0; turn < 100000; turn++) {
        if (event_loop_run_once(f->loop, 0) == 0)
            return;
    }
    need(false, "the loop spins");
}

bool net_fixture_needs_reset(struct net_fixture *f)
{
    return virtio_device_status(f->device) & VIRTIO_CONFIG_S_NEEDS_RESET;
}
