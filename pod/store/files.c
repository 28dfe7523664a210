// SPDX-License-Identifier: Apache-2.0
/* Small files: see files.h. */
#include "pod/store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define DEPTH_MAX 16u

int files_write(int dir, const char *name, const void *bytes, size_t len)
{
    int fd, ret;

    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ret = write_full(fd, bytes, len);
    if (ret == 0 && fsync(fd) < 0)
        ret = -errno;
    close_fd(&fd);
    if (ret)
        (void)unlinkat(dir, name, 0);
    return ret;
}

/* One entry that is no directory, or none any more. 0, -EISDIR or -errno. */
static int remove_file(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    return errno == EPERM ? -EISDIR : -errno; /* POSIX has EPERM for directories */
}

static int remove_below(int dir, const char *name, unsigned depth)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), ret = 0;
    struct dirent *entry;
    struct stat st, above;
    DIR *list;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    list = fdopendir(fd);
    if (!list) {
        ret = -errno;
        close_fd(&fd);
        return ret;
    }
    if (depth == 0)
        ret = -ELOOP;
    else if (fstat(fd, &st) < 0 || fstat(dir, &above) < 0)
        ret = -errno;
    else if (st.st_dev != above.st_dev)
        ret = -EXDEV;
    if (ret) {
        closedir(list);
        return ret;
    }
    while ((entry = readdir(list))) {
        int one;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        one = remove_file(fd, entry->d_name);
        if (one == -EISDIR)
            one = remove_below(fd, entry->d_name, depth - 1);
        ret = ret ? ret : one;
    }
    closedir(list);
    if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT && ret == 0)
        ret = -errno;
    return ret;
}

int files_remove_tree(int dir, const char *name)
{
    return remove_below(dir, name, DEPTH_MAX);
}

bool files_is_named(int dir, const char *name, int fd)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}
