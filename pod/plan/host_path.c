// SPDX-License-Identifier: Apache-2.0
/*
 * What a hostPath is. The guest has a kernel of its own, so nothing of this host can be mounted in
 * it but a file system in a file or device; other files are copied. No state.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/plan/part.h"
#include "pod/spec/volumes.h"

/* Documentation of Kubernetes, "hostPath volume types": those that can be. */
static int check_type(const char *type, const struct stat *info, const char *where,
                      struct husk_error *err)
{
    if (S_ISDIR(info->st_mode))
        return plan_refuse(err, ENOTSUP, where,
                           "is a directory: a machine takes a disk image, or a file to be copied");
    if (!S_ISREG(info->st_mode) && !S_ISBLK(info->st_mode))
        return plan_refuse(err, ENOTSUP, where, "is neither a file nor a block device");
    if (type && !strcmp(type, "File") && !S_ISREG(info->st_mode))
        return plan_refuse(err, EINVAL, where, "is no file, as its type says");
    if (type && !strcmp(type, "BlockDevice") && !S_ISBLK(info->st_mode))
        return plan_refuse(err, EINVAL, where, "is no block device, as its type says");
    return 0;
}

/* What was looked at is what the machine has: its descriptor is kept, and the path names it. */
static int hold(int fd, const char *path, const char *where, struct plan_host_path *out,
                struct husk_error *err)
{
    char *real = realpath(path, NULL);
    int kept = real ? open_again(fd, O_PATH) : -errno;

    if (kept >= 0)
        snprintf(out->path, sizeof(out->path), "%s", real);
    free(real);
    if (kept < 0)
        return plan_refuse(err, -kept, where, "%s: %s", path, error_text(-kept));
    out->kind = PLAN_HOST_DISK;
    out->held = true;
    out->fd = kept;
    return 0;
}

static int find_disk(int fd, const struct stat *info, const char *path, const char *where,
                     struct plan_host_path *out, struct husk_error *err)
{
    int ret = volumes_probe(fd, out->fstype, &out->readonly);

    if (ret)
        return plan_refuse(err, -ret, where, "%s: %s", path, error_text(-ret));
    if (!out->fstype[0] && S_ISBLK(info->st_mode))
        return plan_refuse(err, EINVAL, where,
                           "there is no file system on the device that a guest could mount");
    if (!out->fstype[0])
        return 0;
    if (strcmp(out->fstype, "ext4") != 0 && strcmp(out->fstype, "erofs") != 0)
        return plan_refuse(err, ENOTSUP, where,
                           "holds %s; the guest mounts ext2, ext3, ext4 and erofs", out->fstype);
    return hold(fd, path, where, out, err);
}

static int read_file(int fd, const struct stat *info, const char *path, const char *where,
                     struct plan_host_path *out, struct husk_error *err)
{
    int ret;

    if (info->st_size > (off_t)PLAN_HOST_FILE_MAX)
        return plan_refuse(err, EFBIG, where,
                           "is no disk image, and too long to be copied: more than %u bytes",
                           PLAN_HOST_FILE_MAX);
    out->kind = PLAN_HOST_FILE;
    out->len = (size_t)info->st_size;
    out->mode = info->st_mode & 07777;
    out->uid = info->st_uid;
    out->gid = info->st_gid;
    out->bytes = malloc(out->len + 1);
    ret = out->bytes ? pread_full(fd, out->bytes, out->len, 0) : -ENOMEM;
    if (!ret)
        return 0;
    free(out->bytes);
    out->bytes = NULL;
    return plan_refuse(err, -ret, where, "%s: %s", path, error_text(-ret));
}

/* What a device does when it is opened (a watchdog begins to count) must not happen to one that is
 * then refused; and a pipe must be refused, not waited for. */
static int open_checked(const char *path, const char *type, const char *where, struct stat *info,
                        int *out, struct husk_error *err)
{
    int fd = open(path, O_PATH | O_CLOEXEC), ret;

    if (fd < 0)
        return plan_refuse(err, errno, where, "%s: %s", path, error_text(errno));
    ret = fstat(fd, info) < 0 ? plan_refuse(err, errno, where, "%s: %s", path, error_text(errno))
                              : check_type(type, info, where, err);
    if (!ret) {
        *out = open_again(fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (*out < 0)
            ret = plan_refuse(err, -*out, where, "%s: %s", path, error_text(-*out));
    }
    close_fd(&fd);
    return ret;
}

int plan_host_path(void *arg, const char *path, const char *type, const char *where,
                   struct plan_host_path *out, struct husk_error *err)
{
    struct stat info = {.st_mode = 0};
    int fd = -1, ret;

    (void)arg;
    *out = (struct plan_host_path){.kind = PLAN_HOST_FILE};
    ret = open_checked(path, type, where, &info, &fd, err);
    /* Who says that it is a file wants it as one, whatever is in it. */
    if (!ret && !(type && !strcmp(type, "File")))
        ret = find_disk(fd, &info, path, where, out, err);
    if (!ret && out->kind == PLAN_HOST_FILE)
        ret = read_file(fd, &info, path, where, out, err);
    close_fd(&fd);
    return ret;
}
