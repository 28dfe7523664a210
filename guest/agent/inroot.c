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
static int make_step(int root, int at, const char *name, const char *way)
{
    int fd = inroot_open(root, way, O_PATH | O_DIRECTORY);

    if (fd != -ENOENT)
        return fd;
    if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    return inroot_open(root, way, O_PATH | O_DIRECTORY);
}

int inroot_directory(int root, const char *path)
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
        next = make_step(root, at, name, way);
        close_fd(&at);
        at = next;
    }
    return at;
}

int inroot_parent(int root, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX];
    size_t len = slash ? (size_t)(slash - path) : 0;

    *name = slash ? slash + 1 : path;
    if (!**name || !strcmp(*name, ".") || !strcmp(*name, ".."))
        return -EINVAL;
    if (len >= sizeof(parent))
        return -ENAMETOOLONG;
    memcpy(parent, path, len);
    parent[len] = '\0';
    return inroot_directory(root, parent);
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
