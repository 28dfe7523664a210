// SPDX-License-Identifier: Apache-2.0
/*
 * The system calls that passthrough makes, in one table, so that unit tests and fuzzers can put a
 * device of their own behind them. Nothing else in devices/vfio/ talks to the kernel about VFIO.
 */
#ifndef HUSK_DEVICES_VFIO_KERNEL_H
#define HUSK_DEVICES_VFIO_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vfio_kernel {
    /* The result, which is not negative, or -errno. Repeated when interrupted. */
    int (*ioctl)(void *arg, int fd, unsigned long request, uintptr_t argument);
    /* The bytes moved, which may be fewer than asked for, or -errno. */
    ssize_t (*pread)(void *arg, int fd, void *buf, size_t len, uint64_t offset);
    ssize_t (*pwrite)(void *arg, int fd, const void *buf, size_t len, uint64_t offset);
    /* Shared; prot as mmap(2). NULL: it could not be. */
    void *(*map)(void *arg, int fd, size_t len, uint64_t offset, int prot);
    void (*unmap)(void *arg, void *at, size_t len);
    void *arg;
};

/* The kernel itself. */
extern const struct vfio_kernel vfio_kernel;

static inline int vfio_ioctl(const struct vfio_kernel *kernel, int fd, unsigned long request,
                             void *argument)
{
    return kernel->ioctl(kernel->arg, fd, request, (uintptr_t)argument);
}

#endif
