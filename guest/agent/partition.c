// SPDX-License-Identifier: Apache-2.0
/* Partitions by ioctl, see partition.h: BLKPG of linux/blkpg.h, which needs no table on the disk.
 */
#include "guest/agent/partition.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define NUMBERS_MAX  255 /* block/partitions: DISK_MAX_PARTS, less the disk itself */
#define SECTOR_BYTES 512u

static int change(int fd, int operation, int number, uint64_t offset_bytes, uint64_t size_bytes)
{
    struct blkpg_partition part = {
        .start = (long long)offset_bytes, .length = (long long)size_bytes, .pno = number};
    struct blkpg_ioctl_arg arg = {.op = operation, .datalen = sizeof(part), .data = &part};

    return ioctl(fd, BLKPG, &arg) < 0 ? -errno : 0;
}

static int open_disk(const char *disk)
{
    char path[64];
    int fd;

    if ((size_t)snprintf(path, sizeof(path), "/dev/%s", disk) >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* As the kernel names it (block/genhd.c, bdev_name()): with a "p" behind a digit. */
static void name_device(const char *disk, int number, char *device, size_t size)
{
    size_t len = strlen(disk);

    snprintf(device, size, "/dev/%s%s%d", disk, isdigit((unsigned char)disk[len - 1]) ? "p" : "",
             number);
}

int partition_add(const char *disk, uint64_t offset_bytes, uint64_t size_bytes, int first,
                  struct partition *out, char *device, size_t size, struct husk_error *err)
{
    int fd, ret = -ENOSPC;

    if (!size_bytes || offset_bytes % SECTOR_BYTES || size_bytes % SECTOR_BYTES ||
        offset_bytes > INT64_MAX - size_bytes || strlen(disk) >= sizeof(out->disk) || !disk[0])
        return error_set(err, EINVAL, disk, "has no such part", "it is no range of whole sectors");
    fd = open_disk(disk);
    if (fd < 0)
        return error_set(err, -fd, disk, "cannot be opened", NULL);
    for (int number = first; number <= NUMBERS_MAX && ret == -ENOSPC; number++) {
        name_device(disk, number, device, size);
        if (access(device, F_OK) == 0)
            continue;
        ret = change(fd, BLKPG_ADD_PARTITION, number, offset_bytes, size_bytes);
        out->number = number;
    }
    close_fd(&fd);
    if (ret)
        return error_set(err, -ret, disk, "has no such part", NULL);
    snprintf(out->disk, sizeof(out->disk), "%s", disk);
    return 0;
}

void partition_remove(const struct partition *partition)
{
    int fd = partition->disk[0] ? open_disk(partition->disk) : -1;

    if (fd < 0)
        return;
    (void)change(fd, BLKPG_DEL_PARTITION, partition->number, 0, 0);
    close_fd(&fd);
}
