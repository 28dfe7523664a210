// SPDX-License-Identifier: Apache-2.0
/* Files by descriptors, without following links: see path.h. No state. openat2(2), Linux 5.6. */
#include "jail/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

#define TREE_DEPTH_MAX   16u
#define TREE_ENTRIES_MAX 4096u

static int open_resolving(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) ? mode : 0,
        .resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    /* EAGAIN: a rename somewhere made it impossible to say whether ".." stays inside. */
    for (unsigned attempt = 0; attempt < 64; attempt++) {
        fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

int path_open_directory(const char *path)
{
    if (path[0] != '/')
        return -EINVAL;
    return open_resolving(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, 0);
}

int path_open_below(int dir_fd, const char *path, int flags, mode_t mode)
{
    return open_resolving(dir_fd, path, flags, mode, RESOLVE_BENEATH);
}

/* The last component, or NULL when that names no entry of a directory. */
static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    if (!name[0] || !strcmp(name, ".") || !strcmp(name, ".."))
        return NULL;
    return name;
}

/* What is before the last component, as a path of its own. */
static int directory_part(const char *path, const char *name, char *out, size_t size)
{
    size_t len = (size_t)(name - path);

    if (len >= size)
        return -ENAMETOOLONG;
    memcpy(out, path, len);
    out[len] = '\0';
    if (!len)
        memcpy(out, ".", 2);
    return 0;
}

int path_open_parent(const char *path, const char **name)
{
    char directory[PATH_BYTES_MAX];
    int ret;

    *name = last_component(path);
    if (!*name)
        return -EINVAL;
    ret = directory_part(path, *name, directory, sizeof(directory));
    return ret ? ret : path_open_directory(directory);
}

int path_resolve_parent(const char *path, char *out, size_t size)
{
    const char *name = last_component(path);
    char text[PATH_BYTES_MAX], link[64];
    ssize_t len;
    int fd, ret;

    if (!name)
        return -EINVAL;
    ret = directory_part(path, name, text, sizeof(text));
    if (ret)
        return ret;
    fd = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, text, sizeof(text) - 1);
    close_fd(&fd);
    if (len < 0)
        return -errno;
    text[len] = '\0';
    /* "(unreachable)/..." is a directory outside of this process's root. */
    if (text[0] != '/')
        return -ENOENT;
    if ((size_t)snprintf(out, size, "%s/%s", len == 1 ? "" : text, name) >= size)
        return -ENAMETOOLONG;
    return 0;
}

int path_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int empty_directory(int dir_fd, dev_t device, unsigned depth, unsigned *entries);

/* One entry, which may be replaced by another at any moment: whatever it is by then, either it is
 * unlinked as it is or opened as a directory that belongs to this tree. */
static int remove_entry(int dir_fd, const char *name, dev_t device, unsigned depth,
                        unsigned *entries)
{
    struct stat st;
    int fd, ret;

    if (++*entries > TREE_ENTRIES_MAX)
        return -E2BIG;
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    fd = path_open_below(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    ret = fstat(fd, &st) < 0 ? -errno : 0;
    if (!ret)
        ret = st.st_dev == device ? empty_directory(fd, device, depth + 1, entries) : -EXDEV;
    close_fd(&fd);
    if (!ret && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
        ret = -errno;
    return ret;
}

static int empty_directory(int dir_fd, dev_t device, unsigned depth, unsigned *entries)
{
    struct dirent *entry;
    int fd, ret = 0;
    DIR *dir;

    if (depth > TREE_DEPTH_MAX)
        return -E2BIG;
    fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir) {
        ret = -errno;
        close_fd(&fd);
        return ret;
    }
    while (!ret && (errno = 0, entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            ret = remove_entry(dir_fd, entry->d_name, device, depth, entries);
    }
    if (!ret)
        ret = -errno;
    closedir(dir);
    return ret;
}

int path_remove_tree(int parent_fd, const char *name, const struct stat *expected)
{
    unsigned entries = 0;
    struct stat st;
    int fd, ret;

    fd = path_open_below(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    ret = fstat(fd, &st) < 0 ? -errno : 0;
    if (!ret && !path_same_file(&st, expected))
        ret = -ESTALE;
    if (!ret)
        ret = empty_directory(fd, st.st_dev, 0, &entries);
    close_fd(&fd);
    if (!ret && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
        ret = -errno;
    return ret;
}
