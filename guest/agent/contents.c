// SPDX-License-Identifier: Apache-2.0
/* What is in a volume: see contents.h. No state. */
#include "guest/agent/contents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/tree.h"
#include "husk/agent.h"

#define TRIES_MAX 64

int contents_check_path(const char *path, struct husk_error *err)
{
    size_t len = strlen(path);
    const char *part = path;

    if (path[0] == '/' || !len || len > HUSK_AGENT_PATH_MAX)
        return error_set(err, EINVAL, path, "is not valid", "it is no relative path");
    for (size_t part_len; *part; part += part_len + strspn(part + part_len, "/")) {
        part_len = strcspn(part, "/");
        if (part_len == 2 && !strncmp(part, "..", 2))
            return error_set(err, EINVAL, path, "is not valid", "it has \"..\" as a part");
    }
    return 0;
}

static int fail(const char *path, int code, const char *what, struct husk_error *err)
{
    return error_set(err, code, path, what, NULL);
}

int contents_directory(int volume, const char *path, const struct inroot_new *as,
                       struct husk_error *err)
{
    int fd = inroot_open(volume, path, O_PATH);

    if (fd == -ENOENT)
        fd = inroot_directory_as(volume, path, as);
    if (fd < 0)
        return fail(path, -fd, "cannot be made", err);
    close(fd);
    return 0;
}

/* ---- writing ---- */

/* The mode last: a change of owner takes bits of it away. */
static int set_attributes(int fd, const struct inroot_new *as)
{
    return fchown(fd, as->uid, as->gid) < 0 || fchmod(fd, as->mode) < 0 ? -errno : 0;
}

static int fill(int fd, const struct contents_write *write)
{
    int ret = write_full(fd, write->data, write->len);

    return ret ? ret : set_attributes(fd, &write->file);
}

/* A new file or link with a name that nobody has; 0 or -errno. */
static int make_beside(int parent, const struct contents_write *write, char *name, size_t size)
{
    int fd = -1, ret = -EEXIST;

    for (int i = 0; i < TRIES_MAX && ret == -EEXIST; i++) {
        snprintf(name, size, ".husk-new-%d-%d", (int)getpid(), i);
        if (write->link) {
            ret = symlinkat(write->link, parent, name) < 0 ? -errno : 0;
        } else {
            fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
            ret = fd < 0 ? -errno : 0;
        }
    }
    if (ret)
        return ret;
    if (write->link)
        ret = fchownat(parent, name, write->file.uid, write->file.gid, AT_SYMLINK_NOFOLLOW) < 0
                  ? -errno
                  : 0;
    else
        ret = fill(fd, write);
    close_fd(&fd);
    if (ret)
        unlinkat(parent, name, 0);
    return ret;
}

static int replace(int parent, const char *name, const struct contents_write *write)
{
    char beside[48];
    int ret = make_beside(parent, write, beside, sizeof(beside));

    if (!ret && renameat(parent, beside, parent, name) < 0) {
        ret = errno == EISDIR ? -EEXIST : -errno;
        unlinkat(parent, beside, 0);
    }
    return ret;
}

/* To the end of a regular file; a container may have put anything else there. */
static int append(int volume, int parent, const char *name, const struct contents_write *write)
{
    int fd = inroot_open(volume, write->path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    int ret;

    if (fd == -ENOENT) {
        fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
        ret = fd < 0 ? -errno : fill(fd, write);
        close_fd(&fd);
        return ret;
    }
    if (fd < 0)
        return fd;
    ret = fstat(fd, &info) < 0 ? -errno : 0;
    if (!ret && !S_ISREG(info.st_mode))
        ret = -EINVAL;
    if (!ret)
        ret = write_full(fd, write->data, write->len);
    close(fd);
    return ret;
}

int contents_write(int volume, const struct contents_write *write, struct husk_error *err)
{
    const char *name;
    int parent = inroot_parent_as(volume, write->path, &name, &write->directories), ret;

    if (parent < 0)
        return fail(write->path, -parent, "cannot be written", err);
    ret = write->append ? append(volume, parent, name, write) : replace(parent, name, write);
    close(parent);
    return ret ? fail(write->path, -ret, "cannot be written", err) : 0;
}

/* ---- reading ---- */

int contents_read(int volume, const char *path, bool tail, void *buf, size_t max, size_t *len,
                  uint64_t *size, struct husk_error *err)
{
    int fd = inroot_open(volume, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    off_t at = 0;
    ssize_t got = 1;

    if (fd < 0)
        return fail(path, -fd, "cannot be read", err);
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return error_set(err, EINVAL, path, "cannot be read", "it is no regular file");
    }
    *size = (uint64_t)info.st_size;
    if (tail && (uint64_t)info.st_size > max)
        at = info.st_size - (off_t)max;
    *len = 0;
    while (*len < max && got > 0) {
        got = pread(fd, (char *)buf + *len, max - *len, at + (off_t)*len);
        *len += got > 0 ? (size_t)got : 0;
    }
    got = got < 0 ? -errno : 0;
    close(fd);
    return got ? fail(path, (int)-got, "cannot be read", err) : 0;
}

/* ---- what takes its time ---- */

int contents_delete(int volume, const char *path, struct husk_error *err)
{
    const char *name;
    int parent = inroot_parent_there(volume, path, &name), ret = 0;

    if (parent == -ENOENT)
        return 0;
    if (parent < 0)
        return fail(path, -parent, "cannot be removed", err);
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT) {
        ret = -errno;
        if (ret == -EISDIR || ret == -EPERM)
            ret = tree_remove_at(parent, name);
    }
    close(parent);
    return ret && ret != -ENOENT ? fail(path, -ret, "cannot be removed", err) : 0;
}

struct count {
    uint64_t bytes, inodes;
};

static int count_directory(int dir, unsigned depth, struct count *count);

static int count_entry(int dir, const char *name, unsigned depth, struct count *count)
{
    struct stat info;
    int child, ret;

    if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    count->inodes++;
    count->bytes += (uint64_t)info.st_blocks * 512;
    if (!S_ISDIR(info.st_mode))
        return 0;
    child = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
    ret = count_directory(child, depth + 1, count);
    close(child);
    return ret;
}

static int count_directory(int dir, unsigned depth, struct count *count)
{
    int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
    DIR *list = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;

    if (!list || depth > CONTENTS_DEPTH_MAX) {
        ret = list ? -E2BIG : -errno;
        if (list)
            closedir(list);
        else
            close_fd(&own);
        return ret;
    }
    while (!ret && (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ret = count_entry(dir, entry->d_name, depth, count);
    }
    closedir(list);
    return ret;
}

int contents_count(int volume, uint64_t *bytes, uint64_t *inodes, struct husk_error *err)
{
    struct count count = {.bytes = 0};
    int ret = count_directory(volume, 0, &count);

    *bytes = count.bytes;
    *inodes = count.inodes;
    if (ret == -E2BIG)
        return error_set(err, E2BIG, "the volume", "cannot be measured",
                         "directories are more than %d deep", CONTENTS_DEPTH_MAX);
    return ret ? error_set(err, -ret, "the volume", "cannot be measured", NULL) : 0;
}
