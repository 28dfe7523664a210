// SPDX-License-Identifier: Apache-2.0
/* The cache of files: see cache.h. */
#include "pod/machine/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define UNUSED_S   (30 * 24 * 3600)
#define NAME_BYTES (DIGEST_HEX_LENGTH + 8)

static const char cannot_make[] = "cannot be made in the cache";

int cache_path(char *path, size_t size, const char *name)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n;

    /* XDG base directory specification 0.8: a relative path is to be ignored. */
    if (cache && cache[0] == '/')
        n = snprintf(path, size, "%s/husk/%s", cache, name);
    else
        n = snprintf(path, size, "%s/.cache/husk/%s", home ? home : "", name);
    return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

void cache_describe(FILE *text, const char *what, const struct stat *info)
{
    fprintf(text, "%s %" PRIu64 ":%" PRIu64 " %" PRIu64 " %" PRIu64 ".%09lu\n", what,
            (uint64_t)info->st_dev, (uint64_t)info->st_ino, (uint64_t)info->st_size,
            (uint64_t)info->st_mtim.tv_sec, (unsigned long)info->st_mtim.tv_nsec);
}

/* A directory and those above it; the first that is there ends the search upwards. */
static int make_directories(char *path)
{
    char *slash;

    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return 0;
    slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path)
        return -errno;
    *slash = '\0';
    if (make_directories(path))
        return -errno;
    *slash = '/';
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

/* -1 when there is none that can be used. */
static int open_directory(const char *kind)
{
    char path[PATH_MAX];

    if (cache_path(path, sizeof(path), kind) || make_directories(path))
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int find(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;

    if (fd >= 0 && (fstat(fd, &info) || !S_ISREG(info.st_mode) || info.st_uid != geteuid()))
        close_fd(&fd);
    if (fd >= 0)
        (void)futimens(fd, NULL); /* used today */
    return fd;
}

/* Machines that run have theirs open. Also what a killed process has left half made. */
static void remove_unused(int cache)
{
    int dir = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = dir < 0 ? NULL : fdopendir(dir);
    const struct dirent *entry;
    struct stat info;

    if (!list) {
        close_fd(&dir);
        return;
    }
    while ((entry = readdir(list))) {
        if (!fstatat(cache, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) && S_ISREG(info.st_mode) &&
            info.st_mtim.tv_sec < time(NULL) - UNUSED_S)
            (void)unlinkat(cache, entry->d_name, 0);
    }
    closedir(list);
}

static int make_in_memory(const char *kind, cache_make_fn make, void *arg, struct husk_error *err)
{
    int fd = memfd_create(kind, MFD_CLOEXEC);
    int ret;

    if (fd < 0)
        return error_set(err, errno, kind, cannot_make, NULL);
    ret = make(arg, fd, err);
    if (ret)
        close_fd(&fd);
    return ret ? ret : fd;
}

static int make_in_cache(int dir, const char *name, cache_make_fn make, void *arg,
                         struct husk_error *err)
{
    char partial[NAME_BYTES];
    int fd, ret;

    snprintf(partial, sizeof(partial), "new-%d", (int)getpid());
    fd = openat(dir, partial, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(err, errno, partial, cannot_make, NULL);
    ret = make(arg, fd, err);
    /* Whoever was faster has made the same. */
    if (!ret && renameat(dir, partial, dir, name) < 0)
        ret = error_set(err, errno, name, cannot_make, NULL);
    if (ret) {
        (void)unlinkat(dir, partial, 0);
        close_fd(&fd);
        return ret;
    }
    remove_unused(dir);
    return fd;
}

int cache_file(const char *kind, const struct digest *digest, cache_make_fn make, void *arg,
               struct husk_error *err)
{
    const char *name = digest_hex(digest);
    int dir = open_directory(kind);
    int fd = dir < 0 ? -1 : find(dir, name);

    if (fd < 0 && dir >= 0)
        fd = make_in_cache(dir, name, make, arg, err);
    close_fd(&dir);
    /* A cache on a full or read-only disk must not keep anybody from starting. */
    return fd < 0 ? make_in_memory(kind, make, arg, err) : fd;
}
