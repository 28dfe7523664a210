// SPDX-License-Identifier: Apache-2.0
/*
 * Attaching to tap interfaces: see tap.h for the contract.
 *
 * Interface: the kernel's tun driver, Documentation/networking/tuntap.rst and linux/if_tun.h. Its
 * TUNSETIFF creates what does not exist, so existence is checked before and identity after: nothing
 * here ever leaves an interface behind that was not there.
 *
 * No state; every function may be called from any thread. None of them blocks for longer than the
 * kernel's network configuration lock is held by others.
 */
#include "devices/backend/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/if_tun.h>

#include "base/error.h"
#include "base/io.h"

#define TUN_DEVICE "/dev/net/tun"

/* struct virtio_net_hdr with num_buffers, what virtio 1.x always uses. */
#define VNET_HEADER_BYTES 12

static const char cannot_attach[] = "cannot attach to the tap interface";

static int open_tun(struct husk_error *err)
{
    int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return error_set(err, ENODEV, TUN_DEVICE, cannot_attach,
                         "the host kernel has no tun driver (try `modprobe tun`)");
    case EACCES:
    case EPERM:
        return error_set(err, EPERM, TUN_DEVICE, cannot_attach,
                         "no permission to open it for reading and writing");
    default:
        return error_set(err, errno, TUN_DEVICE, cannot_attach, NULL);
    }
}

/* One new descriptor attached to `name`, or -errno without a message. */
static int attach(int fd, const char *name, bool multi_queue)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

    if (multi_queue)
        request.ifr_flags |= IFF_MULTI_QUEUE;
    memcpy(request.ifr_name, name, strlen(name) + 1); /* shorter than IFNAMSIZ: tap_open() */
    return ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
}

static int explain(struct husk_error *err, const char *name, int code)
{
    switch (code) {
    case EBUSY:
        return error_set(err, EBUSY, name, cannot_attach, "it is in use by another process");
    case EPERM:
    case EACCES:
        return error_set(err, EPERM, name, cannot_attach,
                         "not permitted: make it with `ip tuntap add %s mode tap user $USER`",
                         name);
    case EINVAL:
        return error_set(err, EINVAL, name, cannot_attach, "it is not a tap interface");
    case E2BIG:
        return error_set(err, EBUSY, name, cannot_attach, "all of its queues are in use");
    default:
        return error_set(err, code, name, cannot_attach, NULL);
    }
}

/*
 * Attach the first queue and find out whether the interface was made with multi_queue: the kernel
 * insists that each attachment says the same (and answers EINVAL, as for something that is no tap).
 */
static int attach_first(int fd, const char *name, unsigned queue_pairs, bool *multi_queue,
                        struct husk_error *err)
{
    int first_try, second_try;

    *multi_queue = queue_pairs > 1;
    first_try = attach(fd, name, *multi_queue);
    if (first_try == 0)
        return 0;
    if (first_try != -EINVAL)
        return explain(err, name, -first_try);

    *multi_queue = !*multi_queue;
    second_try = attach(fd, name, *multi_queue);
    if (second_try == -EINVAL)
        return explain(err, name, EINVAL);
    if (queue_pairs == 1)
        return second_try == 0 ? 0 : explain(err, name, -second_try);
    /* Any other answer came from a tap with one queue; the caller closes fd and so detaches it. */
    return error_set(err, EINVAL, name, cannot_attach,
                     "%u queue pairs need a tap made with `ip tuntap add %s mode tap multi_queue`",
                     queue_pairs, name);
}

static int attach_all(const char *name, unsigned queue_pairs, int *fds, struct husk_error *err)
{
    bool multi_queue = false;
    int little_endian = 1;
    int ret;

    for (unsigned i = 0; i < queue_pairs; i++) {
        fds[i] = open_tun(err);
        if (fds[i] < 0)
            return fds[i];
        if (i == 0) {
            ret = attach_first(fds[0], name, queue_pairs, &multi_queue, err);
            if (ret)
                return ret;
        } else {
            ret = attach(fds[i], name, multi_queue);
            if (ret)
                return explain(err, name, -ret);
        }
        ret = tap_set_header_size(fds[i], VNET_HEADER_BYTES);
        if (ret == 0 && ioctl(fds[i], TUNSETVNETLE, &little_endian) < 0)
            ret = -errno;
        if (ret)
            return error_set(err, -ret, name, cannot_attach,
                             "the host kernel's tun driver is too old for virtio 1.0 headers");
    }
    return 0;
}

int tap_open(const char *name, unsigned queue_pairs, int *fds, struct husk_error *err)
{
    size_t length = strlen(name);
    unsigned index;
    int ret;

    if (length == 0 || length >= IFNAMSIZ)
        return error_set(err, EINVAL, name, cannot_attach,
                         "the name of an interface has 1 to %d characters", IFNAMSIZ - 1);
    if (queue_pairs == 0)
        return error_set(err, EINVAL, name, cannot_attach, "no queue was asked for");
    index = if_nametoindex(name);
    if (index == 0)
        return error_set(err, ENODEV, name, cannot_attach,
                         "no such interface: make it with `ip tuntap add %s mode tap user $USER`",
                         name);

    for (unsigned i = 0; i < queue_pairs; i++)
        fds[i] = -1;
    ret = attach_all(name, queue_pairs, fds, err);
    /* Removed in between, TUNSETIFF made a new one: closing it removes it again. */
    if (ret == 0 && if_nametoindex(name) != index)
        ret = error_set(err, ENODEV, name, cannot_attach, "it was removed meanwhile");
    if (ret) {
        for (unsigned i = 0; i < queue_pairs; i++)
            close_fd(&fds[i]);
    }
    return ret;
}

int tap_set_header_size(int fd, int size)
{
    return ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ? -errno : 0;
}

int tap_set_offload(int fd, unsigned offload)
{
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offload) < 0 ? -errno : 0;
}

int tap_set_queue_enabled(int fd, int enabled)
{
    struct ifreq request = {.ifr_flags = enabled ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

    return ioctl(fd, TUNSETQUEUE, &request) < 0 ? -errno : 0;
}
