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
#include <linux/memfd.h>
#include <linux/mman.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"

#define CANNOT_MAP           "cannot map guest memory"
#define RESIDENT_CHUNK_PAGES 16384u

struct guest_memory {
    struct guest_region regions[GUEST_MEMORY_MAX_REGIONS];
    unsigned count;
    uint64_t size;
    int memfd; /* of a shared backing, else -1 */
    atomic_bool pinned;
    pthread_mutex_t drop_lock; /* pages are dropped, or `pinned` changes */
};

static bool is_shared(enum guest_memory_backing backing)
{
    return backing == GUEST_MEMORY_SHARED || backing == GUEST_MEMORY_SHARED_2M;
}

static uint64_t page_bytes_of(enum guest_memory_backing backing)
{
    bool huge = backing == GUEST_MEMORY_PRIVATE_2M || backing == GUEST_MEMORY_SHARED_2M;

    return huge ? GUEST_HUGE_PAGE_SIZE : GUEST_PAGE_SIZE;
}

/* Ascending, disjoint, page-aligned, not wrapping. Also sums the sizes. */
static int check_specs(const struct guest_region_spec *specs, unsigned count, uint64_t page_bytes,
                       uint64_t *total)
{
    uint64_t end = 0;

    *total = 0;
    if (count == 0 || count > GUEST_MEMORY_MAX_REGIONS)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        uint64_t base = specs[i].base.value, size = specs[i].size;

        if (size == 0 || !is_aligned(base | size, page_bytes) || base < end ||
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

/* ---- the host's huge pages ---- */

#define HUGE_PAGES_DIRECTORY "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* False where it cannot be read. */
static bool read_count(const char *path, uint64_t *out)
{
    char text[24];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close_fd(&fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return parse_u64(text, 0, UINT64_MAX, out) == 0;
}

/* What a new mapping could reserve: pages that are neither in use nor promised, and those that the
 * host would make on demand. */
static bool count_free_huge_pages(uint64_t *out)
{
    uint64_t free_pages, promised, on_demand, made;

    if (!read_count(HUGE_PAGES_DIRECTORY "free_hugepages", &free_pages) ||
        !read_count(HUGE_PAGES_DIRECTORY "resv_hugepages", &promised) ||
        !read_count(HUGE_PAGES_DIRECTORY "nr_overcommit_hugepages", &on_demand) ||
        !read_count(HUGE_PAGES_DIRECTORY "surplus_hugepages", &made))
        return false;
    *out = free_pages - min_u64(free_pages, promised) + on_demand - min_u64(on_demand, made);
    return true;
}

#define RESERVE_ADVICE "reserve more with sysctl vm.nr_hugepages"

static int no_huge_pages(uint64_t bytes, struct husk_error *err)
{
    unsigned long long needed = bytes / GUEST_HUGE_PAGE_SIZE;
    uint64_t free_pages;

    if (!count_free_huge_pages(&free_pages))
        return error_set(err, ENOMEM, "memory", CANNOT_MAP,
                         "%llu pages of 2 MiB are needed, and that many are not free: %s", needed,
                         RESERVE_ADVICE);
    return error_set(err, ENOMEM, "memory", CANNOT_MAP,
                     "%llu pages of 2 MiB are needed, %llu are free: %s", needed,
                     (unsigned long long)free_pages, RESERVE_ADVICE);
}

int guest_memory_check_2m(uint64_t bytes, struct husk_error *err)
{
    uint64_t free_pages;

    if (!count_free_huge_pages(&free_pages) || free_pages >= bytes / GUEST_HUGE_PAGE_SIZE)
        return 0;
    return no_huge_pages(bytes, err);
}

/* ---- mapping ---- */

/* Ordinary pages are taken when they are touched, without a promise: memory may be overcommitted.
 * Huge pages are promised here (no MAP_NORESERVE), or a guest could touch one that is not there and
 * take the whole process down. */
static int map_flags(const struct guest_memory *memory, uint64_t page_bytes)
{
    int flags = memory->memfd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

    if (page_bytes == GUEST_PAGE_SIZE)
        return flags | MAP_NORESERVE;
    return memory->memfd >= 0 ? flags : flags | MAP_HUGETLB | (int)MAP_HUGE_2MB;
}

/*
 * Wishes: a host without huge pages is slower, nothing else. The guest's first 2 MiB are left out,
 * also where every program gets huge pages unasked: a few pages of boot data and tables lie there
 * among the holes of old devices, and every guest would begin with 2 MiB cleared for their sake.
 */
static void wish_for_huge_pages(const struct guest_region_spec *spec, uint8_t *hva)
{
    uint64_t first = 0;

    if (spec->base.value == 0) {
        first = min_u64(spec->size, GUEST_HUGE_PAGE_SIZE);
        madvise(hva, first, MADV_NOHUGEPAGE);
    }
    madvise(hva + first, spec->size - first, MADV_HUGEPAGE);
}

static int map_region(struct guest_memory *memory, const struct guest_region_spec *spec,
                      uint64_t page_bytes)
{
    struct guest_region *region = &memory->regions[memory->count];
    void *hva = reserve_aligned(spec->size);

    if (hva == MAP_FAILED)
        return -ENOMEM;
    if (mmap(hva, spec->size, PROT_READ | PROT_WRITE, map_flags(memory, page_bytes) | MAP_FIXED,
             memory->memfd, memory->memfd >= 0 ? (off_t)memory->size : 0) == MAP_FAILED) {
        int ret = -errno;

        munmap(hva, spec->size);
        return ret;
    }
    if (page_bytes == GUEST_PAGE_SIZE)
        wish_for_huge_pages(spec, hva);
    keep_private(hva, spec->size);
    region->base = spec->base;
    region->size = spec->size;
    region->hva = hva;
    region->page_bytes = page_bytes;
    region->fd = memory->memfd;
    region->fd_offset = memory->memfd >= 0 ? memory->size : 0;
    memory->count++;
    memory->size += spec->size;
    return 0;
}

static int open_memfd(uint64_t size, uint64_t page_bytes)
{
    unsigned flags = page_bytes == GUEST_PAGE_SIZE ? 0 : MFD_HUGETLB | MFD_HUGE_2MB;
    int fd = memfd_create("husk-guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
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

static int cannot_map(int error, uint64_t bytes, uint64_t page_bytes, struct husk_error *err)
{
    if (error == ENOMEM && page_bytes == GUEST_HUGE_PAGE_SIZE)
        return no_huge_pages(bytes, err);
    return error_set(err, error, "memory", CANNOT_MAP, "%s (%llu MiB asked for)", error_text(error),
                     (unsigned long long)(bytes >> 20));
}

int guest_memory_create(const struct guest_region_spec *specs, unsigned count,
                        enum guest_memory_backing backing, struct guest_memory **out,
                        struct husk_error *err)
{
    uint64_t page_bytes = page_bytes_of(backing);
    struct guest_memory *memory;
    uint64_t total;
    int ret;

    if (check_specs(specs, count, page_bytes, &total))
        return error_set(err, EINVAL, "memory", "cannot lay out guest memory", NULL);
    if (total > INT64_MAX)
        return error_set(err, ENOMEM, "memory", CANNOT_MAP, NULL);
    memory = calloc(1, sizeof(*memory));
    if (!memory)
        return error_set(err, ENOMEM, "memory", CANNOT_MAP, NULL);
    pthread_mutex_init(&memory->drop_lock, NULL);
    memory->memfd = is_shared(backing) ? open_memfd(total, page_bytes) : -1;
    if (is_shared(backing) && memory->memfd < 0) {
        ret = memory->memfd;
        guest_memory_destroy(memory);
        return error_set(err, -ret, "memory", "cannot create the shared memory file", NULL);
    }
    for (unsigned i = 0; i < count; i++) {
        ret = map_region(memory, &specs[i], page_bytes);
        if (ret) {
            guest_memory_destroy(memory);
            return cannot_map(-ret, total, page_bytes, err);
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
    pthread_mutex_destroy(&memory->drop_lock);
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

    if (guest_memory_is_pinned(memory))
        return -EINVAL;
    if (!region || region->fd >= 0 || region->page_bytes != GUEST_PAGE_SIZE || offset > INT64_MAX ||
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

/* The region that the byte at hva is in. */
static const struct guest_region *region_of(const struct guest_memory *memory, const uint8_t *hva)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->regions[i];

        if ((uintptr_t)hva - (uintptr_t)region->hva < region->size)
            return region;
    }
    return NULL;
}

uint64_t guest_memory_drop(struct guest_memory *memory, void *hva, uint64_t len)
{
    const struct guest_region *region = region_of(memory, hva);
    uint64_t offset, first, end, dropped = 0;

    if (!region || region->fd >= 0 || region->page_bytes != GUEST_PAGE_SIZE)
        return 0;
    offset = (uint64_t)((uint8_t *)hva - (uint8_t *)region->hva);
    end = (offset + min_u64(len, region->size - offset)) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    first = (offset + GUEST_PAGE_SIZE - 1) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    if (first >= end)
        return 0;
    pthread_mutex_lock(&memory->drop_lock);
    if (!guest_memory_is_pinned(memory) &&
        madvise((uint8_t *)region->hva + first, end - first, MADV_DONTNEED) == 0)
        dropped = end - first;
    pthread_mutex_unlock(&memory->drop_lock);
    return dropped;
}

void guest_memory_set_pinned(struct guest_memory *memory, bool pinned)
{
    pthread_mutex_lock(&memory->drop_lock);
    atomic_store(&memory->pinned, pinned);
    pthread_mutex_unlock(&memory->drop_lock);
}

bool guest_memory_is_pinned(const struct guest_memory *memory)
{
    return atomic_load(&memory->pinned);
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

/* mincore(2), a chunk at a time, so that the answer needs little room and page faults of the guest
 * find their turn in between. */
static uint64_t resident_of(const struct guest_region *region)
{
    uint8_t pages[RESIDENT_CHUNK_PAGES];
    uint64_t resident = 0;

    for (uint64_t offset = 0; offset < region->size; offset += sizeof(pages) * GUEST_PAGE_SIZE) {
        uint64_t bytes = min_u64(region->size - offset, sizeof(pages) * GUEST_PAGE_SIZE);

        if (mincore((uint8_t *)region->hva + offset, bytes, pages))
            continue; /* out of memory in the kernel, for a moment */
        for (uint64_t i = 0; i < bytes / GUEST_PAGE_SIZE; i++)
            resident += pages[i] & 1u;
    }
    return resident * GUEST_PAGE_SIZE;
}

uint64_t guest_memory_resident(const struct guest_memory *memory)
{
    uint64_t resident = 0;

    for (unsigned i = 0; i < memory->count; i++)
        resident += resident_of(&memory->regions[i]);
    return resident;
}
