// SPDX-License-Identifier: Apache-2.0
/*
 * An archive into a directory: see archive.h. What is there already gives way, but for directories:
 * those stay, and take on owner and mode of the archive's. Devices are refused: none of them could
 * be opened (cgroup_devices.c). Times of directories are not set: what comes after changes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/archive.h"
#include "guest/agent/inroot.h"
#include "guest/agent/tar.h"

struct put {
    int place;
    struct tar_reader reader;
    struct tar_entry entry;
    char name[TAR_PATH_MAX + 1]; /* the entry's, cleaned */
    char link[TAR_PATH_MAX + 1]; /* a hard link's, cleaned */
    char buffer[65536];
};

static int fail(const struct put *put, int code, const char *what, struct husk_error *err)
{
    return error_set(err, code, put->entry.path, what, NULL);
}

/* Without empty and "." parts; -EINVAL for "..", with which an archive can only mean harm. */
static int clean(const char *path, char *out)
{
    size_t len = 0;

    while (*path) {
        size_t start = strspn(path, "/"), part = strcspn(path + start, "/");

        path += start;
        if (part == 2 && !strncmp(path, "..", 2))
            return -EINVAL;
        if (part > 0 && !(part == 1 && *path == '.')) {
            if (len)
                out[len++] = '/';
            memcpy(out + len, path, part);
            len += part;
        }
        path += part;
    }
    out[len] = '\0';
    return 0;
}

static int set_owner(const struct put *put, int fd, struct husk_error *err)
{
    /* The mode last: a change of owner takes set-user-id away. */
    if (fchown(fd, put->entry.uid, put->entry.gid) < 0)
        return fail(put, errno, "cannot change its owner", err);
    if (fchmod(fd, put->entry.mode) < 0)
        return fail(put, errno, "cannot change its mode", err);
    return 0;
}

static int put_directory(const struct put *put, struct husk_error *err)
{
    int made = inroot_directory(put->place, put->name), fd, ret;

    if (made < 0)
        return fail(put, -made, "cannot be made", err);
    fd = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ret = fd < 0 ? fail(put, errno, "cannot be opened", err) : set_owner(put, fd, err);
    close_fd(&fd);
    close(made);
    return ret;
}

static int copy(struct put *put, int fd, struct husk_error *err)
{
    ssize_t len;

    while ((len = tar_read(&put->reader, put->buffer, sizeof(put->buffer), err)) > 0) {
        int ret = write_full(fd, put->buffer, (size_t)len);

        if (ret)
            return fail(put, -ret, "cannot be written", err);
    }
    return (int)len;
}

static int put_file(struct put *put, int parent, const char *name, struct husk_error *err)
{
    int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    int ret;

    if (fd < 0)
        return fail(put, errno, "cannot be made", err);
    ret = copy(put, fd, err);
    if (!ret)
        ret = set_owner(put, fd, err);
    close(fd);
    return ret;
}

static int put_hard_link(struct put *put, int parent, const char *name, struct husk_error *err)
{
    char *slash;
    int from, ret = clean(put->entry.link, put->link);

    if (ret || !put->link[0])
        return error_set(err, EINVAL, put->entry.path, "is not put", "a hard link to \"%.100s\"",
                         put->entry.link);
    slash = strrchr(put->link, '/');
    if (slash)
        *slash = '\0';
    from = inroot_open(put->place, slash ? put->link : ".", O_PATH | O_DIRECTORY);
    if (from < 0)
        return fail(put, -from, "cannot be linked", err);
    if (linkat(from, slash ? slash + 1 : put->link, parent, name, 0) < 0)
        ret = fail(put, errno, "cannot be linked", err);
    close(from);
    return ret;
}

/* Those that cannot be opened to do something with them. */
static int put_special(const struct put *put, int parent, const char *name, struct husk_error *err)
{
    int made = put->entry.type == TAR_SYMLINK ? symlinkat(put->entry.link, parent, name)
                                              : mkfifoat(parent, name, put->entry.mode & 0777);

    if (made < 0)
        return fail(put, errno, "cannot be made", err);
    if (fchownat(parent, name, put->entry.uid, put->entry.gid, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(put, errno, "cannot change its owner", err);
    return 0;
}

static int put_at(struct put *put, int parent, const char *name, struct husk_error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = put->entry.mtime}};
    int ret;

    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        return fail(put, errno, "cannot take the place of what is there", err);
    if (put->entry.type == TAR_HARD_LINK)
        return put_hard_link(put, parent, name, err);
    ret = put->entry.type == TAR_FILE ? put_file(put, parent, name, err)
                                      : put_special(put, parent, name, err);
    if (!ret && utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        ret = fail(put, errno, "cannot be given its time", err);
    return ret;
}

static int put_entry(struct put *put, struct husk_error *err)
{
    const char *name;
    int parent, ret = clean(put->entry.path, put->name);

    if (ret)
        return error_set(err, EINVAL, put->entry.path, "is not put", "it has \"..\" in its path");
    if (put->entry.type == TAR_CHARACTER_DEVICE || put->entry.type == TAR_BLOCK_DEVICE)
        return error_set(err, ENOTSUP, put->entry.path, "is not put", "it is a device");
    if (put->entry.type == TAR_DIRECTORY)
        return put->name[0] ? put_directory(put, err) : 0;
    parent = inroot_parent(put->place, put->name, &name);
    if (parent < 0)
        return fail(put, -parent, "cannot be put", err);
    ret = strlen(name) > NAME_MAX ? fail(put, ENAMETOOLONG, "cannot be put", err)
                                  : put_at(put, parent, name, err);
    close(parent);
    return ret;
}

static int read_source(void *arg, void *buf, size_t len)
{
    const int *fd = arg;
    char *at = buf;

    while (len > 0) {
        ssize_t got = read(*fd, at, len);

        if (got == 0)
            return -ENODATA;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
    return 0;
}

int archive_put(int place, int in, struct husk_error *err)
{
    /* The process does this once, and has a small stack. */
    static struct put put;
    int ret;

    put.place = place;
    put.reader = (struct tar_reader){.source = read_source, .arg = &in};
    do {
        ret = tar_next(&put.reader, &put.entry, err);
        if (ret > 0) {
            int done = put_entry(&put, err);

            ret = done ? done : ret;
        }
    } while (ret > 0);
    /* Archives are filled up with zeros, and the host has more to say until it has said all. */
    while (!ret && read(in, put.buffer, sizeof(put.buffer)) > 0)
        ;
    return ret;
}
