// SPDX-License-Identifier: Apache-2.0
/* Descriptor helpers: see io.h. No state. */
#include "base/io.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

void close_fd(int *fd)
{
    int saved_errno = errno;

    if (*fd >= 0)
        close(*fd); /* EINTR still closes on Linux: never retry */
    *fd = -1;
    errno = saved_errno;
}

int pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
    uint8_t *at = buf;

    if (offset > INT64_MAX || len > INT64_MAX - offset)
        return -EOVERFLOW;
    while (len > 0) {
        ssize_t n = pread(fd, at, len, (off_t)offset);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            return -ENODATA;
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int write_full(int fd, const void *buf, size_t len)
{
    const uint8_t *at = buf;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int eventfd_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

void eventfd_signal(int fd)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the reader will wake up anyway. */
}

uint64_t eventfd_drain(int fd)
{
    uint64_t count = 0;
    ssize_t n;

    do {
        n = read(fd, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(count) ? count : 0;
}

uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}
