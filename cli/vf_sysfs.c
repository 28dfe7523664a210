// SPDX-License-Identifier: Apache-2.0
/* One attribute of sysfs at a time: see vf_pci.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/vf_pci.h"

__attribute__((format(printf, 3, 0))) static int
make_path(const struct vf_host *host, char path[PATH_MAX], const char *format, va_list args)
{
    int root = snprintf(path, PATH_MAX, "%s/", host->sysfs);
    int rest;

    if (root < 0 || root >= PATH_MAX)
        return -ENAMETOOLONG;
    rest = vsnprintf(path + root, (size_t)(PATH_MAX - root), format, args);
    return rest < 0 || rest >= PATH_MAX - root ? -ENAMETOOLONG : 0;
}

int sysfs_read(const struct vf_host *host, char *out, size_t size, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    ssize_t n;
    int fd, ret;

    va_start(args, format);
    ret = make_path(host, path, format, args);
    va_end(args);
    if (ret)
        return ret;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, out, size - 1);
    ret = n < 0 ? -errno : 0;
    close_fd(&fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return ret;
}

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
    ret = make_path(host, path, format, args);
    va_end(args);
    if (ret)
        return ret;
    return host->store ? host->store(host->opaque, path, text) : store_file(path, text);
}

bool sysfs_exists(const struct vf_host *host, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    int ret;

    va_start(args, format);
    ret = make_path(host, path, format, args);
    va_end(args);
    return ret == 0 && access(path, F_OK) == 0;
}

int interface_attribute(const struct vf_host *host, const char *interface, const char *name,
                        char *out, size_t size)
{
    return sysfs_read(host, out, size, "class/net/%s/%s", interface, name);
}
