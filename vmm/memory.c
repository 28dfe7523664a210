// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory: see memory.h for the contract.
 *
 * Data: up to eight regions, ascending and disjoint, each one mapping. They are written by
 * guest_memory_create() and constant afterwards, so lookups need no lock.
 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"

struct guest_memory {
    struct guest_region regions[GUEST_MEMORY_MAX_REGIONS];
    unsigned count;
    uint64_t size;
    int memfd; /* of a shared backing, else -1 */
};

/* Ascending, disjoint, page-aligned, not wrapping. Also sums the sizes. */
static int check_specs(const struct guest_region_spec *specs, unsigned count, uint64_t *total)
{
    uint64_t end = 0;

    *total = 0;
    if (count == 0 || count > GUEST_MEMORY_MAX_REGIONS)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        uint64_t base = specs[i].base.value, size = specs[i].size;

        if (size == 0 || !is_aligned(base | size, GUEST_PAGE_SIZE) || base < end ||
            !checked_add(base, size, &end) || !checked_add(*total, size, total))
            return -EINVAL;
    }
    return 0;
}

/*
 * Address space at a 2 MiB boundary, so that guest and host huge pages coincide (guest regions
 * begin at multiples of 2 MiB as well). Reserved without access; the real mapping replaces it.
 */
static void *reserve_aligned(uint64_t size)
{
    uint64_t slack_size;
    uintptr_t start, aligned;
    void *reserved;

    if (!checked_add(size, GUEST_HUGE_PAGE_SIZE, &slack_size) || slack_size > SIZE_MAX)
        return MAP_FAILED;
    reserved =
        mmap(NULL, slack_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return MAP_FAILED;
    start = (uintptr_t)reserved;
    aligned = (start + GUEST_HUGE_PAGE_SIZE - 1) & ~(uintptr_t)(GUEST_HUGE_PAGE_SIZE - 1);
    if (aligned > start)
        munmap(reserved, aligned - start);
    if (aligned + size < start + slack_size)
        munmap((void *)(aligned + size), start + slack_size - (aligned + size));
    return (void *)aligned;
}

/*
 * A guest's memory is its own: not part of a core file, nor of a child that the host program forks
 * (which would also make every page copy-on-write under the running guest).
 */
static void keep_private(void *hva, uint64_t size)
{
    madvise(hva, size, MADV_DONTDUMP);
    madvise(hva, size, MADV_DONTFORK);
}

static int map_region(struct guest_memory *memory, const struct guest_region_spec *spec)
{
    struct guest_region *region = &memory->regions[memory->count];
    int flags = memory->memfd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *hva = reserve_aligned(spec->size);

    if (hva == MAP_FAILED)
        return -ENOMEM;
    if (mmap(hva, spec->size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE | MAP_FIXED,
             memory->memfd, memory->memfd >= 0 ? (off_t)memory->size : 0) == MAP_FAILED) {
        int ret = -errno;

        munmap(hva, spec->size);
        return ret;
    }
    /* A wish: a host without huge pages is slower, nothing else. */
    madvise(hva, spec->size, MADV_HUGEPAGE);
    keep_private(hva, spec->size);
    region->base = spec->base;
    region->size = spec->size;
    region->hva = hva;
    region->fd = memory->memfd;
    region->fd_offset = memory->memfd >= 0 ? memory->size : 0;
    memory->count++;
    memory->size += spec->size;
    return 0;
}

static int open_memfd(uint64_t size)
{
    int fd = memfd_create("husk-guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int ret;

    if (fd < 0)
        return -errno;
    /* Sealed, so that no peer that is handed the descriptor can take pages away under us. */
    if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
        ret = -errno;
        close_fd(&fd);
        return ret;
    }
    return fd;
}

int guest_memory_create(const struct guest_region_spec *specs, unsigned count,
                        enum guest_memory_backing backing, struct guest_memory **out,
                        struct husk_error *err)
{
    struct guest_memory *memory;
    uint64_t total;
    int ret;

    if (check_specs(specs, count, &total))
        return error_set(err, EINVAL, "memory", "cannot lay out guest memory", NULL);
    if (total > INT64_MAX)
        return error_set(err, ENOMEM, "memory", "cannot map guest memory", NULL);
    memory = calloc(1, sizeof(*memory));
    if (!memory)
        return error_set(err, ENOMEM, "memory", "cannot map guest memory", NULL);
    memory->memfd = -1;
    if (backing == GUEST_MEMORY_SHARED) {
        memory->memfd = open_memfd(total);
        if (memory->memfd < 0) {
            ret = memory->memfd;
            free(memory);
            return error_set(err, -ret, "memory", "cannot create the shared memory file", NULL);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        ret = map_region(memory, &specs[i]);
        if (ret) {
            guest_memory_destroy(memory);
            return error_set(err, -ret, "memory", "cannot map guest memory",
                             "%s (%llu MiB asked for)", strerror(-ret),
                             (unsigned long long)(total >> 20));
        }
    }
    *out = memory;
    return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
    if (!memory)
        return;
    for (unsigned i = 0; i < memory->count; i++)
        munmap(memory->regions[i].hva, memory->regions[i].size);
    close_fd(&memory->memfd);
    free(memory);
}

/* The region that holds all of [address, address + len), or NULL. */
static const struct guest_region *find_region(const struct guest_memory *memory, gpa_t address,
                                              uint64_t len)
{
    if (len == 0)
        return NULL;
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->regions[i];
        uint64_t offset = address.value - region->base.value; /* wraps below the region */

        if (offset < region->size)
            return len <= region->size - offset ? region : NULL;
    }
    return NULL;
}

void *guest_memory_at(const struct guest_memory *memory, gpa_t address, uint64_t len)
{
    const struct guest_region *region = find_region(memory, address, len);

    return region ? (uint8_t *)region->hva + (address.value - region->base.value) : NULL;
}

int guest_memory_read(const struct guest_memory *memory, gpa_t address, void *buf, size_t len)
{
    const void *at;

    if (len == 0)
        return 0;
    at = guest_memory_at(memory, address, len);
    if (!at)
        return -EFAULT;
    memcpy(buf, at, len);
    return 0;
}

int guest_memory_write(const struct guest_memory *memory, gpa_t address, const void *buf,
                       size_t len)
{
    void *at;

    if (len == 0)
        return 0;
    at = guest_memory_at(memory, address, len);
    if (!at)
        return -EFAULT;
    memcpy(at, buf, len);
    return 0;
}

/* Whether fd is a file that has bytes in each page of [offset, offset + len): a page without any
 * would be a SIGBUS for whoever touches it, guest or monitor. len is not 0. */
static int check_file(int fd, uint64_t offset, uint64_t len)
{
    struct stat st;
    uint64_t end;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || !checked_add(offset, len, &end) ||
        end - GUEST_PAGE_SIZE >= (uint64_t)st.st_size)
        return -EINVAL;
    return 0;
}

int guest_memory_map_file(struct guest_memory *memory, gpa_t address, int fd, uint64_t offset,
                          uint64_t len)
{
    const struct guest_region *region = find_region(memory, address, len);
    void *at = guest_memory_at(memory, address, len);
    int ret;

    if (!region || region->fd >= 0 || offset > INT64_MAX ||
        !is_aligned(address.value | offset | len, GUEST_PAGE_SIZE))
        return -EINVAL;
    ret = check_file(fd, offset, len);
    if (ret)
        return ret;
    if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
             (off_t)offset) == MAP_FAILED) {
        ret = -errno;
        /* MAP_FIXED may have removed the old mapping before it failed: put zero pages back, for
         * a hole in guest memory would be an error at the guest's mercy. */
        if (mmap(at, len, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            return -EIO;
        return ret;
    }
    keep_private(at, len);
    return 0;
}

unsigned guest_memory_region_count(const struct guest_memory *memory)
{
    return memory->count;
}

const struct guest_region *guest_memory_region(const struct guest_memory *memory, unsigned index)
{
    return index < memory->count ? &memory->regions[index] : NULL;
}

uint64_t guest_memory_size(const struct guest_memory *memory)
{
    return memory->size;
}
