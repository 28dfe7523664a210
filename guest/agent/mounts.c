// SPDX-License-Identifier: Apache-2.0
/* Mounts of a container: see mounts.h. No state. */
#include "guest/agent/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "guest/agent/inroot.h"
#include "husk/agent.h"

#define OPTION_MAX 255 /* fsconfig(2) */

static int set_attributes(int fd, unsigned flags, uint64_t set, uint64_t clear,
                          uint64_t propagation)
{
    struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};

    if (!set && !clear && !propagation)
        return 0;
    return mount_setattr(fd, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int attach(int mount, int target)
{
    return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
               ? -errno
               : 0;
}

int mount_bind(int source, int target, bool recursive, uint64_t attributes)
{
    unsigned deep = recursive ? AT_RECURSIVE : 0;
    int tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
    int ret;

    if (tree < 0)
        return -errno;
    ret = set_attributes(tree, deep, attributes, 0, 0);
    if (!ret)
        ret = attach(tree, target);
    close(tree);
    return ret;
}

/* The last line that the kernel wrote about this file system, without its letter. */
static void read_reason(int fs, char *why, size_t size)
{
    char line[192];
    ssize_t len;

    while ((len = read(fs, line, sizeof(line) - 1)) > 0) {
        line[len] = '\0';
        line[strcspn(line, "\n")] = '\0';
        snprintf(why, size, "%s", len > 2 ? line + 2 : line);
    }
    make_printable(why);
}

static int set_option(int fs, const char *option)
{
    char key[OPTION_MAX + 1];
    size_t len = strcspn(option, "=");

    if (strlen(option) > OPTION_MAX)
        return -ENAMETOOLONG;
    memcpy(key, option, len);
    key[len] = '\0';
    if (option[len])
        return fsconfig(fs, FSCONFIG_SET_STRING, key, option + len + 1, 0) < 0 ? -errno : 0;
    return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
}

int mount_new(const char *type, const char *source, const char *const *options, uint64_t attributes,
              char *why, size_t why_size)
{
    int fs = fsopen(type, FSOPEN_CLOEXEC), fd = -1, ret = 0;

    why[0] = '\0';
    if (fs < 0)
        return -errno;
    if (source && source[0] && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
        ret = -errno;
    while (!ret && options && *options)
        ret = set_option(fs, *options++);
    if (!ret && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        ret = -errno;
    if (!ret) {
        fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attributes);
        if (fd < 0)
            ret = -errno;
    }
    if (ret)
        read_reason(fs, why, why_size);
    close(fs);
    return ret ? ret : fd;
}

/* A source below a volume cannot leave the volume, whatever links are in it. */
static int open_source(const char *source)
{
    static const char volumes[] = HUSK_AGENT_VOLUMES "/";
    char volume[sizeof(volumes) + HUSK_AGENT_NAME_MAX + 1];
    const char *rest;
    int root, fd;

    if (strncmp(source, volumes, sizeof(volumes) - 1) != 0) {
        fd = open(source, O_PATH | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    rest = strchr(source + sizeof(volumes) - 1, '/');
    if (!rest)
        rest = source + strlen(source);
    if ((size_t)(rest - source) >= sizeof(volume))
        return -ENAMETOOLONG;
    memcpy(volume, source, (size_t)(rest - source));
    volume[rest - source] = '\0';
    root = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (root < 0)
        return -errno;
    fd = inroot_open(root, rest + strspn(rest, "/"), O_PATH);
    close(root);
    return fd;
}

static int finish(int tree, int target, const struct oci_mount_options *options)
{
    unsigned deep = options->recursive_bind ? AT_RECURSIVE : 0;
    int ret = set_attributes(tree, 0, options->attr_set, options->attr_clear, 0);

    if (!ret)
        ret = set_attributes(tree, AT_RECURSIVE | deep, options->recursive_set,
                             options->recursive_clear, 0);
    if (!ret)
        ret = attach(tree, target);
    if (!ret)
        ret = set_attributes(tree, options->propagation_recursive ? AT_RECURSIVE : 0, 0, 0,
                             options->propagation);
    return ret;
}

static int make_bind(int root, const struct oci_mount *mount)
{
    int source = open_source(mount->source), tree = -1, target = -1, ret = 0;
    unsigned deep = mount->options.recursive_bind ? AT_RECURSIVE : 0;
    struct stat info;

    if (source < 0)
        return source;
    tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
    if (tree < 0 || fstat(source, &info) < 0) {
        ret = -errno;
    } else {
        target = S_ISDIR(info.st_mode) ? inroot_directory(root, mount->destination)
                                       : inroot_file(root, mount->destination);
        ret = target < 0 ? target : finish(tree, target, &mount->options);
    }
    close_fd(&target);
    close_fd(&tree);
    close(source);
    return ret;
}

static int make_new(int root, const struct oci_mount *mount, char *why, size_t why_size)
{
    const char *type = !strcmp(mount->type, "cgroup") ? "cgroup2" : mount->type;
    struct oci_mount_options options = mount->options;
    int target = inroot_directory(root, mount->destination), fd, ret;

    if (target < 0)
        return target;
    fd = mount_new(type, mount->source, options.data, options.attr_set, why, why_size);
    options.attr_set = options.attr_clear = 0;
    ret = fd < 0 ? fd : finish(fd, target, &options);
    close_fd(&fd);
    close(target);
    return ret;
}

static bool is_sealed_later(const struct oci_mount *mount)
{
    static const char volumes[] = HUSK_AGENT_VOLUMES "/";

    return mount->options.bind && (mount->options.attr_set & MOUNT_ATTR_RDONLY) &&
           !strncmp(mount->source, volumes, sizeof(volumes) - 1);
}

int mounts_make(int root, const struct oci_config *config, bool seal, struct husk_error *err)
{
    for (size_t i = 0; i < config->mount_count; i++) {
        struct oci_mount mount = config->mounts[i];
        char why[192] = "", where[192];
        int ret;

        if (seal && is_sealed_later(&mount))
            mount.options.attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
        ret =
            mount.options.bind ? make_bind(root, &mount) : make_new(root, &mount, why, sizeof(why));
        if (ret) {
            snprintf(where, sizeof(where), "mounts[%zu] %.128s", i, mount.destination);
            return error_set(err, -ret, where, "cannot be mounted", "%s",
                             why[0] ? why : error_text(-ret));
        }
    }
    return 0;
}

int mounts_seal(const struct oci_config *config, struct husk_error *err)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), ret = root < 0 ? -errno : 0;
    char where[192] = "root.readonly";

    for (size_t i = 0; i < config->mount_count && !ret; i++) {
        const struct oci_mount *mount = &config->mounts[i];
        int target;

        if (!is_sealed_later(mount))
            continue;
        snprintf(where, sizeof(where), "mounts[%zu] %.128s", i, mount->destination);
        target = inroot_open(root, mount->destination, O_PATH);
        ret = target < 0 ? target : set_attributes(target, 0, MOUNT_ATTR_RDONLY, 0, 0);
        close_fd(&target);
    }
    if (!ret && config->root_readonly)
        ret = set_attributes(root, 0, MOUNT_ATTR_RDONLY, 0, 0);
    close_fd(&root);
    return ret ? error_set(err, -ret, where, "cannot become read-only", NULL) : 0;
}

/* A file becomes as /dev/null, a directory empty. */
static int mask(int target)
{
    struct stat info;
    char why[192];
    int fd, ret;

    if (fstat(target, &info) < 0)
        return -errno;
    if (S_ISDIR(info.st_mode)) {
        fd = mount_new("tmpfs", "tmpfs", NULL, MOUNT_ATTR_RDONLY, why, sizeof(why));
        ret = fd < 0 ? fd : attach(fd, target);
    } else {
        fd = open("/dev/null", O_PATH | O_CLOEXEC);
        ret = fd < 0 ? -errno : mount_bind(fd, target, false, 0);
    }
    close_fd(&fd);
    return ret;
}

static int make_readonly(int target)
{
    return mount_bind(target, target, true, MOUNT_ATTR_RDONLY);
}

static int for_each(int root, const char *const *paths, int (*make)(int target), const char *field,
                    struct husk_error *err)
{
    for (; paths && *paths; paths++) {
        int target = inroot_open(root, *paths, O_PATH), ret;

        if (target == -ENOENT || target == -ENOTDIR)
            continue;
        ret = target < 0 ? target : make(target);
        close_fd(&target);
        if (ret) {
            char where[192];

            snprintf(where, sizeof(where), "%s %.150s", field, *paths);
            return error_set(err, -ret, where, "cannot be done", NULL);
        }
    }
    return 0;
}

int mounts_mask(int root, const struct oci_config *config, struct husk_error *err)
{
    int ret = for_each(root, config->readonly_paths, make_readonly, "linux.readonlyPaths", err);

    if (!ret)
        ret = for_each(root, config->masked_paths, mask, "linux.maskedPaths", err);
    return ret;
}
