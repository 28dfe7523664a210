// SPDX-License-Identifier: Apache-2.0
/* Device nodes: see devices.h. No state. */
#include "guest/agent/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "guest/agent/inroot.h"
#include "guest/agent/mounts.h"

/* config-linux.md, "Default Devices". */
static const struct oci_device defaults[] = {
    {"/dev/null", S_IFCHR, 1, 3, 0666, 0, 0},    {"/dev/zero", S_IFCHR, 1, 5, 0666, 0, 0},
    {"/dev/full", S_IFCHR, 1, 7, 0666, 0, 0},    {"/dev/random", S_IFCHR, 1, 8, 0666, 0, 0},
    {"/dev/urandom", S_IFCHR, 1, 9, 0666, 0, 0}, {"/dev/tty", S_IFCHR, 5, 0, 0666, 0, 0},
};

/* runtime-linux.md, "Dev symbolic links"; ptmx is of the container's own devpts. */
static const struct {
    const char *path, *target;
} links[] = {
    {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
    {"/dev/ptmx", "pts/ptmx"},
};

/* In a user namespace nobody makes nodes: the agent's own is shown instead. */
static int bind_own(int parent, const char *name, const struct oci_device *device)
{
    char path[64];
    struct stat info;
    int source = -1, target = -1, ret = 0;

    snprintf(path, sizeof(path), "/dev/%s/%u:%u", device->type == S_IFBLK ? "block" : "char",
             device->major, device->minor);
    source = open(path, O_PATH | O_CLOEXEC);
    if (source < 0)
        source = open(device->path, O_PATH | O_CLOEXEC);
    if (source < 0 || fstat(source, &info) < 0)
        ret = -errno;
    else if ((info.st_mode & S_IFMT) != device->type ||
             info.st_rdev != makedev(device->major, device->minor))
        ret = -ENODEV;
    if (!ret) {
        target = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
        ret = target < 0 ? -errno : mount_bind(source, target, false, 0);
    }
    close_fd(&target);
    close_fd(&source);
    return ret;
}

/* What the image has there gives way: it could be anything. */
static int make_node(int root, const struct oci_device *device)
{
    const char *name;
    int parent = inroot_parent(root, device->path, &name), ret = 0;

    if (parent < 0)
        return parent;
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        ret = -errno;
    if (!ret && mknodat(parent, name, device->type | device->mode,
                        makedev(device->major, device->minor)) < 0)
        ret = errno == EPERM ? bind_own(parent, name, device) : -errno;
    else if (!ret && fchownat(parent, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW) < 0)
        ret = -errno;
    close(parent);
    return ret;
}

static int make_link(int root, const char *path, const char *target)
{
    const char *name;
    int parent = inroot_parent(root, path, &name), ret = 0;

    if (parent < 0)
        return parent;
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        ret = -errno;
    if (!ret && symlinkat(target, parent, name) < 0)
        ret = -errno;
    close(parent);
    return ret;
}

static bool is_configured(const struct oci_config *config, const char *path)
{
    for (size_t i = 0; i < config->device_count; i++) {
        if (!strcmp(config->devices[i].path, path))
            return true;
    }
    for (size_t i = 0; i < config->mount_count; i++) {
        if (!strcmp(config->mounts[i].destination, path))
            return true;
    }
    return false;
}

static bool is_bound_dev(const struct oci_config *config)
{
    for (size_t i = 0; i < config->mount_count; i++) {
        if (config->mounts[i].options.bind && !strcmp(config->mounts[i].destination, "/dev"))
            return true;
    }
    return false;
}

int devices_make(int root, const struct oci_config *config, struct husk_error *err)
{
    char where[192];
    int ret = 0;

    /* A /dev of somebody else's has its nodes; ours would appear there. */
    for (size_t i = 0; i < ARRAY_SIZE(defaults) && !ret && !is_bound_dev(config); i++) {
        if (!is_configured(config, defaults[i].path))
            ret = make_node(root, &defaults[i]);
        if (ret)
            return error_set(err, -ret, defaults[i].path, "cannot be made", NULL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(links) && !is_bound_dev(config); i++) {
        if (!is_configured(config, links[i].path))
            ret = make_link(root, links[i].path, links[i].target);
        if (ret)
            return error_set(err, -ret, links[i].path, "cannot be made", NULL);
    }
    for (size_t i = 0; i < config->device_count; i++) {
        ret = make_node(root, &config->devices[i]);
        if (ret) {
            snprintf(where, sizeof(where), "linux.devices[%zu] %.128s", i, config->devices[i].path);
            return error_set(err, -ret, where, "cannot be made", NULL);
        }
    }
    return 0;
}
