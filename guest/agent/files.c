// SPDX-License-Identifier: Apache-2.0
/* Small files: see files.h. No state. */
#include "guest/agent/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int file_read(int dir, const char *name, char *buf, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t len = 0;
    ssize_t got = 0;

    if (fd < 0)
        return -errno;
    while (len + 1 < size && (got = read(fd, buf + len, size - 1 - len)) > 0)
        len += (size_t)got;
    got = got < 0 ? -errno : 0;
    buf[len] = '\0';
    close(fd);
    return (int)got;
}

int file_write(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    int ret = 0;

    if (fd < 0)
        return -errno;
    /* One write is one request of the kernel's. */
    if (write(fd, text, strlen(text)) < 0)
        ret = -errno;
    close(fd);
    return ret;
}
