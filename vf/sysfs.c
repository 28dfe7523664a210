// SPDX-License-Identifier: Apache-2.0
/* Attributes that are written, and those of interfaces: see pci.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "vf/pci.h"

const struct vf_host vf_this_host = {.sysfs = "/sys", .dev = "/dev", .state = "/run/husk"};

/* An attribute's store function sees one write as one value, so it is never split. */
static int store_file(const char *path, const char *text)
{
    size_t len = strlen(text);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n;
    int ret;

    if (fd < 0)
        return -errno;
    n = write(fd, text, len);
    ret = n < 0 ? -errno : (size_t)n != len ? -EIO : 0;
    close_fd(&fd);
    return ret;
}

int sysfs_write(const struct vf_host *host, const char *text, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    int ret;

    va_start(args, format);
    ret = sysfs_path(host->sysfs, path, format, args);
    va_end(args);
    if (ret)
        return ret;
    return host->store ? host->store(host->opaque, path, text) : store_file(path, text);
}

int interface_attribute(const struct vf_host *host, const char *interface, const char *name,
                        char *out, size_t size)
{
    return sysfs_read(host->sysfs, out, size, "class/net/%s/%s", interface, name);
}
