// SPDX-License-Identifier: Apache-2.0
/*
 * A kernel or initrd as a bounded source of bytes.
 *
 * A file is read with pread() against the size it had when it was opened: every request is checked
 * against that size first, and a file that shrinks meanwhile gives -ENODATA, not stale or zero
 * bytes. Runs on the thread that builds the machine.
 */
#include "boot/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"

/* Below this, setting up a mapping and taking its page faults costs more than copying. */
#define MAP_FILE_MIN_BYTES (64u * 1024)

int boot_image_open(struct boot_image *image, int fd, const char *name, const char *what,
                    struct husk_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set(err, errno, name, what, NULL);
    if (S_ISDIR(st.st_mode))
        return error_set(err, EISDIR, name, what, "it is a directory");
    if (!S_ISREG(st.st_mode))
        return error_set(err, EINVAL, name, what, "it is not a regular file");
    if (st.st_size <= 0)
        return error_set(err, ENOEXEC, name, what, "the file is empty");

    *image = (struct boot_image){.name = name, .fd = fd, .size = (uint64_t)st.st_size};
    return 0;
}

void boot_image_close(struct boot_image *image)
{
    if (image->bytes)
        munmap(image->bytes, image->mapped_bytes);
    *image = (struct boot_image){.fd = -1};
}

int boot_image_read(const struct boot_image *image, uint64_t offset, void *buf, size_t len)
{
    if (offset > image->size || len > image->size - offset)
        return -ENODATA;
    if (image->fd >= 0)
        return pread_full(image->fd, buf, len, offset);
    memcpy(buf, image->bytes + offset, len);
    return 0;
}

/* Copying reads straight into guest memory: no vCPU runs yet, and nothing is read back. */
static int copy_into_guest(const struct boot_image *image, uint64_t offset,
                           struct guest_memory *memory, uint64_t address, uint64_t len)
{
    void *to;

    if (len == 0)
        return 0;
    to = guest_memory_at(memory, gpa(address), len);
    if (!to)
        return -EFAULT;
    return boot_image_read(image, offset, to, len);
}

int boot_image_place(const struct boot_image *image, uint64_t offset, struct guest_memory *memory,
                     gpa_t address, uint64_t len)
{
    uint64_t head, middle;
    int r;

    if (offset > image->size || len > image->size - offset)
        return -ENODATA;
    if (image->fd < 0 || len < MAP_FILE_MIN_BYTES ||
        !is_aligned(offset - address.value, GUEST_PAGE_SIZE))
        return copy_into_guest(image, offset, memory, address.value, len);
    if (!guest_memory_at(memory, address, len))
        return -EFAULT;

    /* Whole pages are mapped; the partial ones at both ends may share a page with something else.
     */
    head = -address.value & (GUEST_PAGE_SIZE - 1);
    middle = align_down(len - head, GUEST_PAGE_SIZE);
    r = guest_memory_map_file(memory, gpa(address.value + head), image->fd, offset + head, middle);
    if (r == -EINVAL)
        return copy_into_guest(image, offset, memory, address.value, len);
    if (r < 0)
        return r;
    r = copy_into_guest(image, offset, memory, address.value, head);
    if (r < 0)
        return r;
    return copy_into_guest(image, offset + head + middle, memory, address.value + head + middle,
                           len - head - middle);
}
