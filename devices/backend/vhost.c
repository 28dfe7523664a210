// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's vhost interface: see vhost.h. Each function is one ioctl (vhost_start_ring(): the
 * six that describe a ring), with the kernel's structures kept out of sight. No state.
 */
#include "devices/backend/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/vhost.h>

#include "base/error.h"
#include "base/io.h"
#include "devices/backend/tap.h"

#define VHOST_NET_DEVICE "/dev/vhost-net"

int vhost_net_open(unsigned count, int *fds, struct husk_error *err)
{
    static const char cannot_open[] = "cannot use the kernel's network data path";
    int code = 0;

    for (unsigned i = 0; i < count; i++)
        fds[i] = -1;
    for (unsigned i = 0; i < count && code == 0; i++) {
        fds[i] = open(VHOST_NET_DEVICE, O_RDWR | O_CLOEXEC);
        if (fds[i] < 0)
            code = errno;
    }
    if (code == 0)
        return 0;
    for (unsigned i = 0; i < count; i++)
        close_fd(&fds[i]);

    switch (code) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return error_set(err, ENODEV, VHOST_NET_DEVICE, cannot_open,
                         "the host kernel has no vhost-net (try `modprobe vhost_net`)");
    case EACCES:
    case EPERM:
        return error_set(err, EPERM, VHOST_NET_DEVICE, cannot_open,
                         "no permission to open it for reading and writing");
    default:
        return error_set(err, code, VHOST_NET_DEVICE, cannot_open, NULL);
    }
}

int vhost_ioctl(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

int vhost_set_owner(const struct vhost *vhost)
{
    return vhost->ioctl(vhost->fd, VHOST_SET_OWNER, NULL);
}

int vhost_get_features(const struct vhost *vhost, uint64_t *features)
{
    return vhost->ioctl(vhost->fd, VHOST_GET_FEATURES, features);
}

int vhost_set_features(const struct vhost *vhost, uint64_t features)
{
    return vhost->ioctl(vhost->fd, VHOST_SET_FEATURES, &features);
}

int vhost_set_memory(const struct vhost *vhost, const struct vhost_region *regions, unsigned count)
{
    union {
        struct vhost_memory head;
        unsigned char room[sizeof(struct vhost_memory) +
                           VHOST_MAX_REGIONS * sizeof(struct vhost_memory_region)];
    } table = {.head = {.nregions = count}};

    if (count > VHOST_MAX_REGIONS)
        return -E2BIG;
    for (unsigned i = 0; i < count; i++) {
        struct vhost_memory_region region = {
            .guest_phys_addr = regions[i].gpa,
            .memory_size = regions[i].size,
            .userspace_addr = (uintptr_t)regions[i].hva,
        };

        memcpy(table.room + sizeof(struct vhost_memory) + i * sizeof(region), &region,
               sizeof(region));
    }
    return vhost->ioctl(vhost->fd, VHOST_SET_MEM_TABLE, &table);
}

static int set_state(const struct vhost *vhost, unsigned long request, unsigned index, unsigned num)
{
    struct vhost_vring_state state = {.index = index, .num = num};

    return vhost->ioctl(vhost->fd, request, &state);
}

static int set_file(const struct vhost *vhost, unsigned long request, unsigned index, int fd)
{
    struct vhost_vring_file file = {.index = index, .fd = fd};

    return vhost->ioctl(vhost->fd, request, &file);
}

int vhost_start_ring(const struct vhost *vhost, const struct vhost_ring *ring)
{
    struct vhost_vring_addr addresses = {
        .index = ring->index,
        .desc_user_addr = (uintptr_t)ring->desc,
        .avail_user_addr = (uintptr_t)ring->avail,
        .used_user_addr = (uintptr_t)ring->used,
    };
    int ret;

    /* The size first: the kernel measures the rings at the addresses with it. */
    ret = set_state(vhost, VHOST_SET_VRING_NUM, ring->index, ring->size);
    if (ret == 0)
        ret = set_state(vhost, VHOST_SET_VRING_BASE, ring->index, ring->base);
    if (ret == 0)
        ret = vhost->ioctl(vhost->fd, VHOST_SET_VRING_ADDR, &addresses);
    if (ret == 0)
        ret = set_file(vhost, VHOST_SET_VRING_CALL, ring->index, ring->call_fd);
    if (ret == 0)
        ret = set_file(vhost, VHOST_SET_VRING_ERR, ring->index, ring->error_fd);
    if (ret == 0)
        ret = set_file(vhost, VHOST_SET_VRING_KICK, ring->index, ring->kick_fd);
    return ret;
}

int vhost_stop_ring(const struct vhost *vhost, unsigned index, uint16_t *base)
{
    struct vhost_vring_state state = {.index = index};
    int ret = set_file(vhost, VHOST_SET_VRING_KICK, index, VHOST_FILE_UNBIND);

    if (ret == 0)
        ret = vhost->ioctl(vhost->fd, VHOST_GET_VRING_BASE, &state);
    if (ret == 0)
        *base = (uint16_t)state.num;
    return ret;
}

int vhost_net_set_backend(const struct vhost *vhost, unsigned index, int tap_fd)
{
    return set_file(vhost, VHOST_NET_SET_BACKEND, index, tap_fd);
}
