// SPDX-License-Identifier: Apache-2.0
/*
 * Files as an archive: see archive.h. They may change while they are read: a file has the length
 * that its header says, and what is gone, or is of another kind suddenly, is left out. Sockets are
 * left out, and what is in file systems that are no files (proc, sysfs and the like). Hard links
 * become files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "guest/agent/archive.h"
#include "guest/agent/inroot.h"
#include "guest/agent/tar.h"

#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c; in no header */

struct get {
    int out;
    bool content;
    int depth;
    size_t len; /* of entry.path so far */
    struct tar_entry entry;
    uint8_t header[TAR_HEADER_MAX];
    char buffer[65536];
};

static int fail(const struct get *get, int code, const char *what, struct husk_error *err)
{
    return error_set(err, code, get->entry.path, what, NULL);
}

static int emit(const struct get *get, const void *bytes, size_t len, struct husk_error *err)
{
    int ret = write_full(get->out, bytes, len);

    return ret ? fail(get, -ret, "cannot be sent", err) : 0;
}

static bool set_kind(struct tar_entry *entry, mode_t mode)
{
    static const struct {
        mode_t mode;
        enum tar_type type;
    } kinds[] = {{S_IFREG, TAR_FILE}, {S_IFDIR, TAR_DIRECTORY},        {S_IFLNK, TAR_SYMLINK},
                 {S_IFIFO, TAR_FIFO}, {S_IFCHR, TAR_CHARACTER_DEVICE}, {S_IFBLK, TAR_BLOCK_DEVICE}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (kinds[i].mode == (mode & S_IFMT)) {
            entry->type = kinds[i].type;
            return true;
        }
    }
    return false;
}

static int send_header(struct get *get, int fd, const struct stat *info, struct husk_error *err)
{
    struct tar_entry *entry = &get->entry;
    ssize_t len;

    entry->mode = info->st_mode & 07777;
    entry->uid = info->st_uid;
    entry->gid = info->st_gid;
    entry->mtime = info->st_mtime;
    entry->size = entry->type == TAR_FILE && get->content ? (uint64_t)info->st_size : 0;
    entry->major = major(info->st_rdev);
    entry->minor = minor(info->st_rdev);
    entry->link[0] = '\0';
    if (entry->type == TAR_SYMLINK) {
        len = readlinkat(fd, "", entry->link, sizeof(entry->link));
        if (len < 0 || (size_t)len >= sizeof(entry->link))
            return fail(get, len < 0 ? errno : ENAMETOOLONG, "cannot be read", err);
        entry->link[len] = '\0';
    }
    return emit(get, get->header, tar_encode(entry, get->header), err);
}

static int send_file(struct get *get, int fd, struct husk_error *err)
{
    uint64_t left = get->entry.size;
    int ret = 0;

    while (!ret && left > 0) {
        size_t want = left < sizeof(get->buffer) ? (size_t)left : sizeof(get->buffer);
        ssize_t got = read(fd, get->buffer, want);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(get, errno, "cannot be read", err);
        if (got == 0) { /* it has become shorter */
            memset(get->buffer, 0, want);
            got = (ssize_t)want;
        }
        ret = emit(get, get->buffer, (size_t)got, err);
        left -= (uint64_t)got;
    }
    memset(get->buffer, 0, TAR_BLOCK);
    return ret ? ret : emit(get, get->buffer, tar_padding(get->entry.size), err);
}

static bool holds_files(int fd)
{
    static const unsigned long others[] = {
        PROC_SUPER_MAGIC, SYSFS_MAGIC,  CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC,
        MQUEUE_MAGIC,     BPF_FS_MAGIC, DEBUGFS_MAGIC,      TRACEFS_MAGIC,       SECURITYFS_MAGIC};
    struct statfs info;

    if (fstatfs(fd, &info) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if ((unsigned long)info.f_type == others[i])
            return false;
    }
    return true;
}

static int send_node(struct get *get, int fd, const struct stat *info, struct husk_error *err);

/* Files and directories for reading, others as places; -ENOENT when it is gone, or another one. */
static int open_node(int dir, const char *name, struct stat *info)
{
    int flags = O_NOFOLLOW | O_CLOEXEC, fd;
    mode_t kind;

    if (fstatat(dir, name, info, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    kind = info->st_mode & S_IFMT;
    flags |= kind == S_IFREG || kind == S_IFDIR ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH;
    fd = openat(dir, name, flags);
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? -ENOENT : -errno;
    if (fstat(fd, info) < 0 || (info->st_mode & S_IFMT) != kind)
        close_fd(&fd);
    return fd < 0 ? -ENOENT : fd;
}

static int send_child(struct get *get, int dir, const char *name, struct husk_error *err)
{
    size_t before = get->len;
    struct stat info;
    int fd, ret;

    if (before + strlen(name) + 1 > TAR_PATH_MAX) /* a directory's ends with "/" */
        return fail(get, ENAMETOOLONG, "has a path that is too long in it", err);
    get->len +=
        (size_t)snprintf(get->entry.path + before, sizeof(get->entry.path) - before, "%s", name);
    fd = open_node(dir, name, &info);
    ret = fd >= 0 ? send_node(get, fd, &info, err)
                  : (fd == -ENOENT ? 0 : fail(get, -fd, "cannot be opened", err));
    close_fd(&fd);
    if (!ret) {
        get->len = before;
        get->entry.path[before] = '\0';
    }
    return ret;
}

static int send_directory(struct get *get, int fd, struct husk_error *err)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
    DIR *list = own < 0 ? NULL : fdopendir(own);
    const struct dirent *item;

    if (!list) {
        close_fd(&own);
        return fail(get, errno, "cannot be listed", err);
    }
    while (!ret && (item = readdir(list))) {
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            ret = send_child(get, own, item->d_name, err);
    }
    closedir(list);
    return ret;
}

static int send_node(struct get *get, int fd, const struct stat *info, struct husk_error *err)
{
    int ret;

    if (!set_kind(&get->entry, info->st_mode))
        return 0;
    if (get->entry.type == TAR_DIRECTORY) {
        get->entry.path[get->len++] = '/';
        get->entry.path[get->len] = '\0';
    }
    ret = send_header(get, fd, info, err);
    if (ret || !get->content)
        return ret;
    if (get->entry.type == TAR_FILE)
        return send_file(get, fd, err);
    if (get->entry.type != TAR_DIRECTORY || !holds_files(fd))
        return 0;
    if (get->depth == ARCHIVE_DEPTH_MAX)
        return error_set(err, E2BIG, get->entry.path, "is too deep", "more than %d directories",
                         ARCHIVE_DEPTH_MAX);
    get->depth++;
    ret = send_directory(get, fd, err);
    get->depth--;
    return ret;
}

/* The place is only one: what is to be read is opened anew, and must be the same still. */
static int reopen(const struct archive *archive, int place, struct stat *info)
{
    int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | (archive->follow ? 0 : O_NOFOLLOW);
    struct stat found;
    int root, fd;

    if (fstat(place, info) < 0)
        return -errno;
    if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode))
        return fcntl(place, F_DUPFD_CLOEXEC, 3);
    root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    fd = inroot_open(root, archive->path, flags);
    close(root);
    if (fd < 0)
        return fd;
    if (fstat(fd, &found) < 0 || found.st_ino != info->st_ino || found.st_dev != info->st_dev ||
        (found.st_mode & S_IFMT) != (info->st_mode & S_IFMT)) {
        close(fd);
        return -ESTALE;
    }
    *info = found;
    return fd;
}

/* What the archive calls it: the last part of its path, "." where that has no name. */
static void set_name(struct get *get, const char *path)
{
    size_t end = strlen(path), start;

    while (end > 0 && path[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    get->len = (size_t)snprintf(get->entry.path, sizeof(get->entry.path), "%.*s",
                                (int)(end - start), path + start);
    if (!get->len || !strcmp(get->entry.path, ".."))
        get->len = (size_t)snprintf(get->entry.path, sizeof(get->entry.path), ".");
}

int archive_get(const struct archive *archive, int place, int out, struct husk_error *err)
{
    /* The process does this once, and has a small stack. */
    static struct get get;
    struct stat info;
    int fd, ret;

    get.out = out;
    get.content = archive->content;
    set_name(&get, archive->path);
    fd = reopen(archive, place, &info);
    if (fd < 0)
        return error_set(err, -fd, archive->path, "cannot be opened", NULL);
    if (S_ISSOCK(info.st_mode))
        ret = error_set(err, ENOTSUP, archive->path, "is a socket", "%s", "");
    else
        ret = send_node(&get, fd, &info, err);
    close(fd);
    memset(get.buffer, 0, 2ul * TAR_BLOCK);
    return ret ? ret : emit(&get, get.buffer, 2ul * TAR_BLOCK, err);
}
