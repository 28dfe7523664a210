// SPDX-License-Identifier: Apache-2.0
/* Paths below a hostile directory: see inroot.h. No state. */
#include "guest/agent/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

int inroot_open(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd;

    if (flags & O_CREAT)
        how.mode = 0644;
    /* EAGAIN: somebody renames things on the way at this moment. */
    for (int tries = 0; tries < 64; tries++) {
        fd = syscall(SYS_openat2, root, path[0] ? path : ".", &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

/* `at` is the directory of the way so far; makes `name` in it when it is not there. */
static int make_step(int root, int at, const char *name, const char *way,
                     const struct inroot_new *as)
{
    int fd = inroot_open(root, way, O_PATH | O_DIRECTORY), made, ret = 0;

    if (fd != -ENOENT)
        return fd;
    if (mkdirat(at, name, as ? 0700 : 0755) < 0)
        return errno == EEXIST ? inroot_open(root, way, O_PATH | O_DIRECTORY) : -errno;
    if (as) {
        made = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* The mode last: a change of owner takes bits of it away. */
        if (made < 0 || fchown(made, as->uid, as->gid) < 0 || fchmod(made, as->mode) < 0)
            ret = -errno;
        close_fd(&made);
    }
    return ret ? ret : inroot_open(root, way, O_PATH | O_DIRECTORY);
}

int inroot_directory(int root, const char *path)
{
    return inroot_directory_as(root, path, NULL);
}

int inroot_directory_as(int root, const char *path, const struct inroot_new *as)
{
    char way[PATH_MAX], name[NAME_MAX + 1];
    int at = inroot_open(root, ".", O_PATH | O_DIRECTORY);
    size_t end = 0;

    if (strlen(path) >= sizeof(way)) {
        close_fd(&at);
        return -ENAMETOOLONG;
    }
    while (at >= 0) {
        size_t start = end + strspn(path + end, "/"), len = strcspn(path + start, "/");
        int next;

        if (!len)
            break;
        end = start + len;
        if (len > NAME_MAX) {
            close_fd(&at);
            return -ENAMETOOLONG;
        }
        memcpy(name, path + start, len);
        name[len] = '\0';
        memcpy(way, path, end);
        way[end] = '\0';
        next = make_step(root, at, name, way, as);
        close_fd(&at);
        at = next;
    }
    return at;
}

/* The path of the directory of a path's last component, which *name points at. */
static int split(const char *path, char parent[PATH_MAX], const char **name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    *name = slash ? slash + 1 : path;
    if (!**name || !strcmp(*name, ".") || !strcmp(*name, ".."))
        return -EINVAL;
    if (len >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(parent, path, len);
    parent[len] = '\0';
    return 0;
}

int inroot_parent_as(int root, const char *path, const char **name, const struct inroot_new *as)
{
    char parent[PATH_MAX];
    int ret = split(path, parent, name);

    return ret ? ret : inroot_directory_as(root, parent, as);
}

int inroot_parent(int root, const char *path, const char **name)
{
    return inroot_parent_as(root, path, name, NULL);
}

int inroot_parent_there(int root, const char *path, const char **name)
{
    char parent[PATH_MAX];
    int ret = split(path, parent, name);

    return ret ? ret : inroot_open(root, parent, O_PATH | O_DIRECTORY);
}

int inroot_file(int root, const char *path)
{
    int fd = inroot_open(root, path, O_PATH), parent, made;
    const char *name;

    if (fd != -ENOENT)
        return fd;
    parent = inroot_parent(root, path, &name);
    if (parent < 0)
        return parent;
    made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    fd = made < 0 ? -errno : inroot_open(root, path, O_PATH);
    close_fd(&made);
    close(parent);
    return fd;
}
