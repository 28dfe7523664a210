// SPDX-License-Identifier: Apache-2.0
/*
 * What a volume's file holds. Only the magic number is looked at: whatever else the file says is
 * for the guest's kernel, which is the only one to read it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/image/erofs.h"
#include "pod/machine/options.h"

#define SUPER_OFFSET     1024u /* of both: Documentation/filesystems/{ext4/super,erofs}.rst */
#define EXT_MAGIC_OFFSET 56u
#define EXT_MAGIC        0xef53u
#define SUPER_BYTES_READ 64u

static const char cannot_use[] = "cannot use it as a disk";

static int read_super(const char *path, uint8_t super[SUPER_BYTES_READ], struct husk_error *err)
{
    /* A pipe must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    int ret;

    if (fd < 0)
        return error_set(err, errno, path, cannot_use, NULL);
    ret = fstat(fd, &info) ? -errno : 0;
    if (!ret && !S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
        ret = -ENOTBLK;
    if (!ret)
        ret = pread_full(fd, super, SUPER_BYTES_READ, SUPER_OFFSET);
    close_fd(&fd);
    if (ret == -ENOTBLK)
        return error_set(err, EINVAL, path, cannot_use, "it is no regular file or block device");
    if (ret == -ENODATA)
        return error_set(err, EINVAL, path, cannot_use, "it is too short for a file system");
    return ret ? error_set(err, -ret, path, cannot_use, NULL) : 0;
}

int pod_machine_disk_recognise(const char *path, char type[16], struct husk_error *err)
{
    uint8_t super[SUPER_BYTES_READ];
    int ret = read_super(path, super, err);

    if (ret)
        return ret;
    if (get_le32(super) == EROFS_SUPER_MAGIC)
        snprintf(type, 16, "erofs");
    else if (get_le16(super + EXT_MAGIC_OFFSET) == EXT_MAGIC)
        snprintf(type, 16, "ext4"); /* whose driver mounts ext2 and ext3 too */
    else
        return error_set(err, EINVAL, path, cannot_use,
                         "it holds no file system of those that are known: ext4, erofs");
    return 0;
}
