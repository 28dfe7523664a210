// SPDX-License-Identifier: Apache-2.0
/* The kernel behind struct vfio_kernel: see kernel.h. */
#include "devices/vfio/kernel.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int kernel_ioctl(void *arg, int fd, unsigned long request, uintptr_t argument)
{
    int ret;

    do {
        ret = ioctl(fd, request, argument);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static ssize_t kernel_pread(void *arg, int fd, void *buf, size_t len, uint64_t offset)
{
    ssize_t n;

    do {
        n = pread(fd, buf, len, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t kernel_pwrite(void *arg, int fd, const void *buf, size_t len, uint64_t offset)
{
    ssize_t n;

    do {
        n = pwrite(fd, buf, len, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void *kernel_map(void *arg, int fd, size_t len, uint64_t offset, int prot)
{
    void *at = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);

    return at == MAP_FAILED ? NULL : at;
}

static void kernel_unmap(void *arg, void *at, size_t len)
{
    munmap(at, len);
}

const struct vfio_kernel vfio_kernel = {
    .ioctl = kernel_ioctl,
    .pread = kernel_pread,
    .pwrite = kernel_pwrite,
    .map = kernel_map,
    .unmap = kernel_unmap,
};
