// SPDX-License-Identifier: Apache-2.0
/* See disk_source.h: which file is used, and where its copies are. */
#include "cli/disk_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/cli.h"
#include "cli/disk_copy.h"
#include "cli/qcow2.h"

static const char cannot_use[] = "cannot use the disk image";

/* An image that was opened, and what it is. */
struct opened {
    int fd;
    struct stat info;
    uint8_t header[QCOW2_HEADER_BYTES];
    size_t header_len;
};

static int open_image(const char *path, struct opened *image, struct husk_error *err)
{
    ssize_t n;

    image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (image->fd < 0)
        return error_set(err, errno, path, cannot_use, NULL);
    if (fstat(image->fd, &image->info) < 0)
        return error_set(err, errno, path, cannot_use, NULL);
    if (!S_ISREG(image->info.st_mode))
        return error_set(err, EINVAL, path, cannot_use, "it is not a regular file");
    n = pread(image->fd, image->header, sizeof(image->header), 0);
    if (n < 0)
        return error_set(err, errno, path, cannot_use, NULL);
    image->header_len = (size_t)n;
    return 0;
}

/* Whether the first bytes make it a qcow2 image; what cannot be read is for the machine to refuse.
 */
static bool begins_as_qcow2(const char *path)
{
    struct opened image = {.fd = -1};
    bool is_one =
        open_image(path, &image, NULL) == 0 && qcow2_is_one(image.header, image.header_len);

    close_fd(&image.fd);
    return is_one;
}

/* ---- the cache ---- */

static int make_directory(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(path, S_IRWXU) < 0 && errno != EEXIST ? -errno : 0;
}

/* XDG base directory specification 0.8: a relative path is to be ignored. */
static int find_cache(char *path, size_t size, struct husk_error *err)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n, ret;

    if (cache && cache[0] == '/')
        n = snprintf(path, size, "%s/husk/images", cache);
    else if (home && home[0] == '/')
        n = snprintf(path, size, "%s/.cache/husk/images", home);
    else
        return error_set(err, ENOENT, "HOME", cannot_use, "there is no place for its raw copy");
    if (n < 0 || (size_t)n >= size)
        return error_set(err, ENAMETOOLONG, "HOME", cannot_use, NULL);
    ret = make_directory(path);
    return ret ? error_set(err, -ret, path, cannot_use, NULL) : 0;
}

static unsigned long long time_ns(const struct timespec *time)
{
    return (unsigned long long)time->tv_sec * 1000000000ull + (unsigned long long)time->tv_nsec;
}

/* Copies of what this file was before. Those in use stay until they are closed. */
static void remove_older(const char *directory, const char *prefix, const char *keep)
{
    DIR *entries = opendir(directory);
    struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (!strncmp(entry->d_name, prefix, strlen(prefix)) && strcmp(entry->d_name, keep) != 0 &&
            len > 4 && !strcmp(entry->d_name + len - 4, ".raw"))
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    if (entries)
        closedir(entries);
}

static int use_cache(struct disk_copy *copy, const struct stat *info, char *path, size_t size,
                     struct husk_error *err)
{
    char directory[PATH_MAX - 200], prefix[64], name[160];
    int ret = find_cache(directory, sizeof(directory), err);

    if (ret)
        return ret;
    snprintf(prefix, sizeof(prefix), "%llx-%llx-", (unsigned long long)info->st_dev,
             (unsigned long long)info->st_ino);
    snprintf(name, sizeof(name), "%s%llx-%llx-%llx.raw", prefix, (unsigned long long)info->st_size,
             time_ns(&info->st_mtim), time_ns(&info->st_ctim));
    snprintf(path, size, "%s/%s", directory, name);
    copy->to = path;
    copy->mode = S_IRUSR | S_IWUSR;
    ret = disk_copy_make(copy, err);
    if (!ret)
        remove_older(directory, prefix, name);
    return ret;
}

/* ---- the disk ---- */

static int make_copy(const struct disk_source *source, const char *path, bool is_qcow2, char *raw,
                     size_t size, bool (*should_stop)(void), struct husk_error *err)
{
    struct opened image = {.fd = -1};
    struct disk_copy copy = {.from = path,
                             .format = is_qcow2 ? "qcow2" : "raw",
                             .to = source->overlay,
                             .mode = 0666,
                             .should_stop = should_stop};
    int ret = open_image(path, &image, err);

    copy.from_fd = image.fd;
    copy.size_bytes = (uint64_t)image.info.st_size;
    if (!ret && is_qcow2)
        ret = qcow2_check(path, image.header, image.header_len, &copy.size_bytes, err);
    if (!ret && source->overlay)
        ret = disk_copy_make(&copy, err);
    else if (!ret)
        ret = use_cache(&copy, &image.info, raw, size, err);
    close_fd(&image.fd);
    return ret;
}

int disk_source_prepare(const struct disk_source *source, struct husk_drive_options *drive,
                        struct option_texts *texts, bool (*should_stop)(void))
{
    char raw[PATH_MAX] = "";
    struct husk_error err = {0};
    bool is_qcow2 = source->format == DISK_FORMAT_QCOW2 ||
                    (source->format == DISK_FORMAT_AUTO && begins_as_qcow2(drive->path));
    int ret;

    if (!is_qcow2 && !source->overlay)
        return 0;
    /* What is there is this VM's disk, and raw whatever the guest wrote into it. */
    if (source->overlay && access(source->overlay, F_OK) == 0) {
        drive->path = source->overlay;
        return 0;
    }
    if (!source->overlay && !drive->read_only)
        return cli_usage_error(&cmd_run,
                               "-d %s: it is a qcow2 image, which is not written: add overlay=FILE "
                               "for a raw copy of your own, or ro; or format=raw for its bytes as "
                               "they are",
                               drive->path);
    ret = make_copy(source, drive->path, is_qcow2, raw, sizeof(raw), should_stop, &err);
    if (ret == -ECANCELED) {
        cli_message("stopped from the host");
        return STATUS_HOST_REQUEST;
    }
    if (ret) {
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    drive->path = source->overlay ? source->overlay : option_text_keep(texts, raw);
    return drive->path ? 0 : option_out_of_memory();
}
