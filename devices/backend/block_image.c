// SPDX-License-Identifier: Apache-2.0
/*
 * Opening a disk image: every reason why a file cannot serve as a disk is found here, before the
 * guest runs, and said in one line.
 *
 * Two virtual machines that write one disk destroy it, so the image is locked: an open-file-
 * description lock (fcntl(2), F_OFD_SETLK) on the whole file, exclusive for a writable disk, shared
 * for a read-only one. It belongs to the open file, lasts until the last duplicate of the
 * descriptor is closed, and is honoured by every program that asks for it. A writable block device
 * is also opened with O_EXCL, which the kernel refuses while it is mounted or part of another
 * device.
 *
 * Runs on the configuring thread; holds no state.
 */
#include "devices/backend/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define SECTOR_BYTES 512u

static const char cannot_open[] = "cannot open the disk image";
static const char cannot_use[] = "cannot use the file as a disk";

static int check_type(const char *path, const struct stat *st, struct husk_error *err)
{
    if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
        return 0;
    if (S_ISDIR(st->st_mode))
        return error_set(err, EISDIR, path, cannot_use, "it is a directory");
    return error_set(err, ENOTBLK, path, cannot_use,
                     "it is a %s; a regular file or a block device is needed",
                     S_ISCHR(st->st_mode)    ? "character device"
                     : S_ISFIFO(st->st_mode) ? "pipe"
                     : S_ISSOCK(st->st_mode) ? "socket"
                                             : "special file");
}

static int open_failed(const char *path, bool read_only, int code, struct husk_error *err)
{
    if (code == EBUSY)
        return error_set(err, code, path, cannot_open,
                         "the device is mounted, or in use by another virtual machine");
    if (!read_only && (code == EACCES || code == EPERM || code == EROFS))
        return error_set(
            err, code, path, cannot_open,
            "%s for writing; a disk that need not be written can be attached read-only",
            code == EROFS ? "the file system is read-only: not possible" : "permission denied");
    return error_set(err, code, path, cannot_open, NULL);
}

/* The type is checked before opening as well, because opening a pipe blocks, and opening a
 * character device can have effects. */
static int open_path(const char *path, bool read_only, struct husk_error *err)
{
    int flags = O_CLOEXEC | O_NOCTTY | (read_only ? O_RDONLY : O_RDWR);
    struct stat st;
    int rc, fd;

    if (stat(path, &st))
        return open_failed(path, read_only, errno, err);
    rc = check_type(path, &st, err);
    if (rc)
        return rc;
    if (S_ISBLK(st.st_mode) && !read_only)
        flags |= O_EXCL;
    fd = open(path, flags);
    if (fd < 0)
        return open_failed(path, read_only, errno, err);
    return fd;
}

/* How a descriptor that the caller opened must have been opened. */
static int check_flags(int fd, const char *path, bool read_only, struct husk_error *err)
{
    int flags = fcntl(fd, F_GETFL);
    int mode = flags & O_ACCMODE;

    if (flags < 0)
        return error_set(err, errno, path, cannot_use, NULL);
    if (flags & O_PATH)
        return error_set(err, EBADF, path, cannot_use, "the descriptor was opened with O_PATH");
    if (mode == O_WRONLY)
        return error_set(err, EBADF, path, cannot_use, "the descriptor is not open for reading");
    if (!read_only && mode != O_RDWR)
        return error_set(err, EBADF, path, cannot_use,
                         "the descriptor is not open for writing, and the disk is not read-only");
    /* pwrite(2): with O_APPEND data goes to the end of the file, whatever the offset. */
    if (flags & O_APPEND)
        return error_set(err, EINVAL, path, cannot_use, "the descriptor was opened with O_APPEND");
    /* Guests need not align their buffers as direct I/O demands. */
    if (flags & O_DIRECT)
        return error_set(err, EINVAL, path, cannot_use, "the descriptor was opened with O_DIRECT");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC))
        return error_set(err, errno, path, cannot_use, NULL);
    return 0;
}

int block_image_measure(int fd, const char *path, uint64_t *size_bytes, struct husk_error *err)
{
    struct stat st;
    uint64_t size;
    int rc;

    if (fstat(fd, &st))
        return error_set(err, errno, path, cannot_use, NULL);
    rc = check_type(path, &st, err);
    if (rc)
        return rc;
    if (S_ISREG(st.st_mode))
        size = (uint64_t)st.st_size;
    else if (ioctl(fd, BLKGETSIZE64, &size))
        return error_set(err, errno, path, "cannot find out the size of the device", NULL);

    if (size == 0)
        return error_set(err, EINVAL, path, cannot_use, "it is empty");
    if (size < SECTOR_BYTES)
        return error_set(err, EINVAL, path, cannot_use,
                         "it has %u bytes, less than one sector of %u", (unsigned)size,
                         SECTOR_BYTES);
    *size_bytes = size;
    return 0;
}

static int lock_image(int fd, const char *path, bool read_only, struct husk_error *err)
{
    struct flock lock = {.l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, EBUSY, path, cannot_open, "in use by another virtual machine");
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
        return error_set(
            err, errno, path, "cannot lock the disk image",
            "its file system has no working locks (%s), so nothing would keep a second "
            "virtual machine from using it",
            error_text(errno));
    return error_set(err, errno, path, "cannot lock the disk image", NULL);
}

int block_image_open(const struct block_open_options *options, uint64_t *size_bytes,
                     struct husk_error *err)
{
    const char *path = options->path;
    bool opened = options->fd < 0;
    uint64_t size = 0;
    int fd, rc;

    if (opened && !path)
        return error_set(err, EINVAL, NULL, cannot_open,
                         "neither a path nor a descriptor is given");
    fd = opened ? open_path(path, options->read_only, err) : options->fd;
    if (fd < 0)
        return fd;

    rc = block_image_measure(fd, path, &size, err);
    if (rc == 0)
        rc = check_flags(fd, path, options->read_only, err);
    if (rc == 0)
        rc = lock_image(fd, path, options->read_only, err);
    if (rc) {
        if (opened)
            close_fd(&fd);
        return rc;
    }
    *size_bytes = size;
    return fd;
}
