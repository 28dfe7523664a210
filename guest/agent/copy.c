// SPDX-License-Identifier: Apache-2.0
/* Copying directories: see copy.h. No state. */
#include "guest/agent/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/inroot.h"
#include "husk/agent.h"

#define CHUNK (1u << 20)

static int copy_attributes(int from, int to)
{
    char names[4096], value[4096];
    ssize_t len = flistxattr(from, names, sizeof(names));

    if (len < 0)
        return errno == ENOTSUP ? 0 : -errno;
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        ssize_t size;

        if (!strncmp(name, "trusted.", 8))
            continue;
        size = fgetxattr(from, name, value, sizeof(value));
        if (size < 0)
            return -errno;
        if (fsetxattr(to, name, value, (size_t)size, 0) < 0 && errno != ENOTSUP)
            return -errno;
    }
    return 0;
}

/* In this order: a change of the owner takes set-user-id bits and capabilities away. */
static int copy_rights(int from, int to, const struct stat *info)
{
    const struct timespec times[2] = {info->st_atim, info->st_mtim};
    int ret;

    if (fchown(to, info->st_uid, info->st_gid) < 0 || fchmod(to, info->st_mode & 07777) < 0)
        return -errno;
    ret = copy_attributes(from, to);
    if (!ret && futimens(to, times) < 0)
        ret = -errno;
    return ret;
}

static int copy_data(int from, int to)
{
    ssize_t len;

    do {
        len = sendfile(to, from, NULL, CHUNK);
        if (len < 0 && errno == EINTR)
            len = 1;
    } while (len > 0);
    return len < 0 ? -errno : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *info)
{
    int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), to = -1;
    int ret = from < 0 ? -errno : 0;

    if (!ret) {
        to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        ret = to < 0 ? -errno : copy_data(from, to);
    }
    if (!ret)
        ret = copy_rights(from, to, info);
    close_fd(&from);
    close_fd(&to);
    return ret;
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *info)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(from_dir, name, target, sizeof(target));

    if (len < 0 || (size_t)len >= sizeof(target))
        return len < 0 ? -errno : -ENAMETOOLONG;
    target[len] = '\0';
    if (symlinkat(target, to_dir, name) < 0 ||
        fchownat(to_dir, name, info->st_uid, info->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *info)
{
    if (mknodat(to_dir, name, info->st_mode, info->st_rdev) < 0 ||
        fchownat(to_dir, name, info->st_uid, info->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(to_dir, name, info->st_mode & 07777, 0) < 0)
        return -errno;
    return 0;
}

static int copy_directory(int from, int to, unsigned depth);

static int copy_below(int from_dir, int to_dir, const char *name, unsigned depth)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int from = openat(from_dir, name, flags), to = -1;
    int ret = from < 0 || mkdirat(to_dir, name, 0700) < 0 ? -errno : 0;

    if (!ret) {
        to = openat(to_dir, name, flags);
        ret = to < 0 ? -errno : copy_directory(from, to, depth);
    }
    close_fd(&from);
    close_fd(&to);
    return ret;
}

static int copy_entry(int from, int to, const char *name, unsigned depth)
{
    struct stat info;

    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISDIR(info.st_mode))
        return copy_below(from, to, name, depth + 1);
    if (S_ISREG(info.st_mode))
        return copy_file(from, to, name, &info);
    if (S_ISLNK(info.st_mode))
        return copy_link(from, to, name, &info);
    return copy_node(to, name, &info);
}

static int copy_directory(int from, int to, unsigned depth)
{
    int own = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
    DIR *list = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;
    struct stat info;

    if (!list || depth > COPY_DEPTH_MAX || fstat(from, &info) < 0) {
        ret = depth > COPY_DEPTH_MAX ? -ELOOP : -errno;
        if (list)
            closedir(list);
        else
            close_fd(&own);
        return ret;
    }
    while (!ret && (errno = 0, entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ret = copy_entry(from, to, entry->d_name, depth);
    }
    if (!ret && errno)
        ret = -errno;
    closedir(list);
    return ret ? ret : copy_rights(from, to, &info);
}

int copy_tree(int from, int to)
{
    return copy_directory(from, to, 0);
}

/* 1: nothing is in it but what mkfs makes; 0: something is. */
static int is_empty(int dir)
{
    int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
    DIR *list = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;

    if (!list) {
        found = -errno;
        close_fd(&own);
        return found;
    }
    while (!found && (entry = readdir(list)))
        found = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
                strcmp(entry->d_name, "lost+found");
    closedir(list);
    return !found;
}

static int fill(int root, const char *volume, const char *destination)
{
    int from = inroot_open(root, destination, O_RDONLY | O_DIRECTORY), to = -1, ret;

    if (from == -ENOENT || from == -ENOTDIR)
        return 0;
    if (from < 0)
        return from;
    to = open(volume, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    ret = to < 0 ? -errno : is_empty(to);
    if (ret > 0)
        ret = copy_tree(from, to);
    close_fd(&from);
    close_fd(&to);
    return ret;
}

int copy_fill(int root, const struct oci_config *config, const char *const *volumes,
              struct husk_error *err)
{
    char path[sizeof(HUSK_AGENT_VOLUMES) + HUSK_AGENT_NAME_MAX + 1], where[192];

    for (; volumes && *volumes; volumes++) {
        snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_VOLUMES, *volumes);
        for (size_t i = 0; i < config->mount_count; i++) {
            const struct oci_mount *mount = &config->mounts[i];
            int ret = 0;

            if (mount->options.bind && !strcmp(mount->source, path))
                ret = fill(root, path, mount->destination);
            if (ret) {
                snprintf(where, sizeof(where), "fill: %.64s, mounts[%zu] %.80s", *volumes, i,
                         mount->destination);
                return error_set(err, -ret, where, "cannot be filled", NULL);
            }
        }
    }
    return 0;
}
