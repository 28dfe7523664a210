// SPDX-License-Identifier: Apache-2.0
/* Descriptor helpers: see io.h. No state. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
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

/* Opening the master of a pseudo-terminal would make a new terminal; a socket cannot be opened. */
static bool can_reopen(int fd)
{
    struct stat info;
    int number;

    return fstat(fd, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISSOCK(info.st_mode) &&
           ioctl(fd, TIOCGPTN, &number) < 0;
}

int dup_nonblocking(int fd, int access)
{
    char path[32];
    int own = -1;

    if (can_reopen(fd)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        own = open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    }
    if (own < 0)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return own < 0 ? -errno : own;
}

int open_again(int fd, int flags)
{
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC);
    return again < 0 ? -errno : again;
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

int read_file_at(int dir, const char *name, size_t max, char **bytes, size_t *len)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    int ret = 0;

    *bytes = NULL;
    *len = 0;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        ret = -errno;
    else if (!S_ISREG(st.st_mode))
        ret = -EINVAL;
    else if ((uint64_t)st.st_size > max)
        ret = -EFBIG;
    if (ret == 0) {
        *len = (size_t)st.st_size;
        *bytes = malloc(*len + 1);
        ret = *bytes ? pread_full(fd, *bytes, *len, 0) : -ENOMEM;
    }
    close_fd(&fd);
    if (ret) {
        free(*bytes);
        *bytes = NULL;
        return ret;
    }
    (*bytes)[*len] = '\0';
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
