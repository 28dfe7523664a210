// SPDX-License-Identifier: Apache-2.0
/* A whole disk image: partition table, FAT, unified kernel images, texts. What is found is within
 * its sizes; nothing found leaves both files empty. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/find.h"

#define DISK_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t size_of(int fd)
{
    struct stat info;

    if (fstat(fd, &info))
        abort();
    return (uint64_t)info.st_size;
}

/* data: runs of (offset in 128 bytes: 2 bytes, length: 1 byte, bytes), so that a seed of a disk
 * with much nothing in it is small. */
static void write_runs(int fd, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 3 < size;) {
        off_t offset = (off_t)((data[at] | (unsigned)data[at + 1] << 8) * 128u);
        size_t len = data[at + 2];

        at += 3;
        if (len > size - at)
            len = size - at;
        if (pwrite(fd, data + at, len, offset) != (ssize_t)len)
            abort();
        at += len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct image_answer answer;
    int disk = memfd_create("disk", MFD_CLOEXEC);
    int kernel = memfd_create("kernel", MFD_CLOEXEC);
    int initrd = memfd_create("initrd", MFD_CLOEXEC);
    struct image_source source = {.fd = disk, .size = DISK_MAX};
    int ret;

    if (disk < 0 || kernel < 0 || initrd < 0 || ftruncate(disk, DISK_MAX))
        abort();
    write_runs(disk, data, size);
    ret = image_find_kernel(&source, 512, kernel, initrd, &answer);
    if (ret != -answer.error || !memchr(answer.looked_at, 0, sizeof(answer.looked_at)) ||
        !memchr(answer.command_line, 0, sizeof(answer.command_line)))
        abort();
    if (ret && (size_of(kernel) || size_of(initrd)))
        abort();
    if (!ret && (size_of(kernel) > IMAGE_KERNEL_MAX || size_of(initrd) > IMAGE_INITRD_MAX))
        abort();
    close(disk);
    close(kernel);
    close(initrd);
    return 0;
}
