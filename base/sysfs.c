// SPDX-License-Identifier: Apache-2.0
/* Attributes and links of sysfs: see sysfs.h. */
#include "base/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

int sysfs_path(const char *root, char path[PATH_MAX], const char *format, va_list args)
{
    int used = snprintf(path, PATH_MAX, "%s/", root);
    int rest;

    if (used < 0 || used >= PATH_MAX)
        return -ENAMETOOLONG;
    rest = vsnprintf(path + used, (size_t)(PATH_MAX - used), format, args);
    return rest < 0 || rest >= PATH_MAX - used ? -ENAMETOOLONG : 0;
}

int sysfs_read(const char *root, char *out, size_t size, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    ssize_t n;
    int fd, ret;

    va_start(args, format);
    ret = sysfs_path(root, path, format, args);
    va_end(args);
    if (ret)
        return ret;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, out, size - 1);
    ret = n < 0 ? -errno : 0;
    close_fd(&fd);
    if (ret)
        return ret;
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

int sysfs_link(const char *root, char *out, size_t size, const char *format, ...)
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *name;
    va_list args;
    ssize_t n;
    int ret;

    va_start(args, format);
    ret = sysfs_path(root, path, format, args);
    va_end(args);
    if (ret)
        return ret;
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    name = strrchr(target, '/');
    name = name ? name + 1 : target;
    return (size_t)snprintf(out, size, "%s", name) < size ? 0 : -ENAMETOOLONG;
}

bool sysfs_exists(const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    int ret;

    va_start(args, format);
    ret = sysfs_path(root, path, format, args);
    va_end(args);
    return ret == 0 && access(path, F_OK) == 0;
}
