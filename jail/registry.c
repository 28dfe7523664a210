// SPDX-License-Identifier: Apache-2.0
/*
 * An entry of this process's own: see registry.h. Owns the entry's locked file and its directory's
 * descriptor. Runs on its caller's thread.
 *
 * Invariant: a thing that exists and is to be removed is in the file. So its line is written before
 * the thing is made, by one write that is there whole or not at all for whoever reads after our
 * death, and taken back after the thing is gone.
 */
#include "jail/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/path.h"
#include "jail/registry_file.h"

struct registry {
    int dir_fd;
    int fd;    /* locked */
    bool kept; /* it has no name any more, or is empty */
    size_t used_bytes;
    char *paths[REGISTRY_SLOTS]; /* NULL: the slot is free */
    char name[REGISTRY_NAME_BYTES];
};

int registry_default_directory(char *out, size_t size, struct husk_error *err)
{
    const char *runtime = geteuid() == 0 ? "/run" : secure_getenv("XDG_RUNTIME_DIR");

    if (!runtime || runtime[0] != '/')
        return error_set(err, ENOENT, "XDG_RUNTIME_DIR", "no place to note what a VM leaves",
                         "it must name a directory of this user's own");
    if ((size_t)snprintf(out, size, "%s/husk", runtime) >= size)
        return error_set(err, ENAMETOOLONG, "XDG_RUNTIME_DIR", "no place to note what a VM leaves",
                         NULL);
    return 0;
}

/* Only this user may write what the sweep is going to believe. */
static int check_directory(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    return st.st_uid == geteuid() && !(st.st_mode & 077) ? 0 : -EPERM;
}

int registry_open_directory(const char *directory, bool create, struct husk_error *err)
{
    static const char what[] = "cannot open the registry of VMs";
    char given[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    const char *name;
    int parent_fd, fd, ret;

    if (!directory) {
        ret = registry_default_directory(given, sizeof(given), err);
        if (ret)
            return ret;
        directory = given;
    }
    ret = path_resolve_parent(directory, path, sizeof(path));
    if (ret)
        return error_set(err, -ret, directory, what, NULL);
    parent_fd = path_open_parent(path, &name);
    if (parent_fd < 0)
        return error_set(err, -parent_fd, directory, what, NULL);
    if (create && mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST) {
        ret = -errno;
        close_fd(&parent_fd);
        return error_set(err, -ret, directory, "cannot make the registry of VMs", NULL);
    }
    fd = path_open_below(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
    close_fd(&parent_fd);
    if (fd < 0)
        return error_set(err, -fd, directory, what, NULL);
    ret = check_directory(fd);
    if (ret) {
        close_fd(&fd);
        return error_set(err, -ret, directory, what,
                         ret == -EPERM ? "it must be this user's, and nobody else's to read or "
                                         "write (mode 0700)"
                                       : NULL);
    }
    return fd;
}

static int random_name(char name[REGISTRY_NAME_BYTES])
{
    uint64_t number;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return -EIO;
    snprintf(name, REGISTRY_NAME_BYTES, "vm-%016" PRIx64, number);
    return 0;
}

/* Between its creation and its lock, a sweep may take a file for that of somebody dead. Then it has
 * no name any more once it is ours. */
static int create_locked(struct registry *registry)
{
    for (unsigned attempt = 0; attempt < 64; attempt++) {
        struct stat st;
        int ret = random_name(registry->name);

        if (ret)
            return ret;
        registry->fd = openat(registry->dir_fd, registry->name,
                              O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (registry->fd < 0 && errno == EEXIST)
            continue;
        if (registry->fd < 0)
            return -errno;
        if (flock(registry->fd, LOCK_EX | LOCK_NB) == 0 && fstat(registry->fd, &st) == 0 &&
            st.st_nlink == 1)
            return 0;
        unlinkat(registry->dir_fd, registry->name, 0);
        close_fd(&registry->fd);
    }
    return -EAGAIN;
}

static int append(struct registry *registry, const char *line, size_t len)
{
    ssize_t n;

    if (registry->kept)
        return 0;
    if (len > REGISTRY_FILE_BYTES_MAX - registry->used_bytes)
        return -ENOSPC;
    n = pwrite(registry->fd, line, len, (off_t)registry->used_bytes);
    if (n < 0)
        return -errno;
    if ((size_t)n < len) /* the rest was no line yet: the next one is written over it */
        return ftruncate(registry->fd, (off_t)registry->used_bytes) < 0 ? -errno : -ENOSPC;
    registry->used_bytes += len;
    return 0;
}

static int write_header(struct registry *registry, const char *id)
{
    char text[256];
    int len = snprintf(text, sizeof(text), REGISTRY_HEADER "id %.64s\n", id);
    char *end = text + sizeof(REGISTRY_HEADER) - 1;

    for (; end < text + len - 1; end++) {
        if (*end < 0x20 || *end > 0x7e)
            *end = '?';
    }
    return append(registry, text, (size_t)len);
}

int registry_open(const char *directory, const char *id, struct registry **out,
                  struct husk_error *err)
{
    struct registry *registry = calloc(1, sizeof(*registry));
    int ret;

    if (!registry)
        return error_set(err, ENOMEM, id, "cannot register the VM", NULL);
    registry->fd = -1;
    registry->dir_fd = registry_open_directory(directory, true, err);
    if (registry->dir_fd < 0) {
        ret = registry->dir_fd;
        free(registry);
        return ret;
    }
    ret = create_locked(registry);
    if (!ret)
        ret = write_header(registry, id);
    if (ret) {
        registry_close(registry);
        return error_set(err, -ret, directory, "cannot register the VM", NULL);
    }
    *out = registry;
    return 0;
}

static int find_free_slot(const struct registry *registry)
{
    for (unsigned i = 0; i < REGISTRY_SLOTS; i++) {
        if (!registry->paths[i])
            return (int)i;
    }
    return -ENOSPC;
}

static bool is_printable_line(const char *path)
{
    for (; *path; path++) {
        if ((unsigned char)*path < 0x20 || *path == 0x7f)
            return false;
    }
    return true;
}

/* The path as it is going to be in the file. */
static int resolve(enum registry_kind kind, const char *path, char resolved[PATH_BYTES_MAX])
{
    int ret = 0;

    if (kind != REGISTRY_CGROUP)
        ret = path_resolve_parent(path, resolved, PATH_BYTES_MAX);
    else if (!registry_is_resolved(path))
        ret = -EINVAL;
    else
        snprintf(resolved, PATH_BYTES_MAX, "%s", path);
    if (!ret && !is_printable_line(resolved))
        ret = -EINVAL;
    return ret;
}

int registry_record(struct registry *registry, enum registry_kind kind, const char *path,
                    struct husk_error *err)
{
    char resolved[PATH_BYTES_MAX], line[PATH_BYTES_MAX + 64];
    int slot = find_free_slot(registry), len, ret;

    if (slot < 0)
        return error_set(err, -slot, path, "cannot register", "too many things of one VM");
    ret = resolve(kind, path, resolved);
    if (ret)
        return error_set(err, -ret, path, "cannot register",
                         ret == -EINVAL ? "not a path of a file, or with control characters"
                                        : NULL);
    len = snprintf(line, sizeof(line), "+%d %s %s\n", slot, registry_kind_name(kind), resolved);
    registry->paths[slot] = strdup(resolved);
    ret = registry->paths[slot] ? append(registry, line, (size_t)len) : -ENOMEM;
    if (ret) {
        free(registry->paths[slot]);
        registry->paths[slot] = NULL;
        return error_set(err, -ret, path, "cannot register", NULL);
    }
    return slot;
}

static int stat_path(const char *path, struct stat *st)
{
    const char *name;
    int parent_fd = path_open_parent(path, &name), ret;

    if (parent_fd < 0)
        return parent_fd;
    ret = fstatat(parent_fd, name, st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    close_fd(&parent_fd);
    return ret;
}

int registry_made(struct registry *registry, int slot, int fd, struct husk_error *err)
{
    struct stat st;
    char line[96];
    int len, ret;

    if (fd >= 0)
        ret = fstat(fd, &st) < 0 ? -errno : 0;
    else
        ret = stat_path(registry->paths[slot], &st);
    if (!ret) {
        len = snprintf(line, sizeof(line), "=%d %" PRIu64 " %" PRIu64 "\n", slot,
                       (uint64_t)st.st_dev, (uint64_t)st.st_ino);
        ret = append(registry, line, (size_t)len);
    }
    return ret ? error_set(err, -ret, registry->paths[slot], "cannot register", NULL) : 0;
}

void registry_forget(struct registry *registry, int slot)
{
    char line[32];
    int len;

    if (slot < 0 || !registry->paths[slot])
        return;
    len = snprintf(line, sizeof(line), "-%d\n", slot);
    /* When this cannot be written, a later sweep finds nothing, or not what was recorded. */
    if (append(registry, line, (size_t)len))
        return;
    free(registry->paths[slot]);
    registry->paths[slot] = NULL;
}

int registry_keep(struct registry *registry)
{
    /* An empty entry is as good as none; one of the two must succeed, or a sweep would remove what
     * is in use. */
    bool emptied = ftruncate(registry->fd, 0) == 0;

    if (unlinkat(registry->dir_fd, registry->name, 0) < 0 && !emptied)
        return -errno;
    registry->kept = true;
    return 0;
}

void registry_close(struct registry *registry)
{
    bool empty = true;

    if (!registry)
        return;
    for (unsigned i = 0; i < REGISTRY_SLOTS; i++) {
        empty = empty && !registry->paths[i];
        free(registry->paths[i]);
    }
    if (empty && !registry->kept && registry->fd >= 0)
        unlinkat(registry->dir_fd, registry->name, 0);
    close_fd(&registry->fd);
    close_fd(&registry->dir_fd);
    free(registry);
}
