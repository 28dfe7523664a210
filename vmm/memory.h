// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory: the ONE place where a guest-physical address becomes a host pointer.
 *
 * A guest-physical address is a `gpa_t`, which cannot be dereferenced or mixed up with a number by
 * accident. guest_memory_at() turns an address AND a length into a pointer only when every byte
 * lies inside one region; nothing else in the tree computes host addresses of guest memory.
 *
 * What is behind a returned pointer can change at any time (the guest is running): read each field
 * once into a local, check the local, use the local.
 *
 * Threads: the map is built before any vCPU runs and is constant afterwards; lookups need no lock.
 */
#ifndef HUSK_VMM_MEMORY_H
#define HUSK_VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

typedef struct {
    uint64_t value;
} gpa_t;

static inline gpa_t gpa(uint64_t value)
{
    return (gpa_t){value};
}

#define GUEST_PAGE_SIZE          4096u
#define GUEST_HUGE_PAGE_SIZE     (2ull << 20)
#define GUEST_MEMORY_MAX_REGIONS 8u

/* Where one region of RAM goes. base and size are multiples of the page size. */
struct guest_region_spec {
    gpa_t base;
    uint64_t size;
};

enum guest_memory_backing {
    GUEST_MEMORY_PRIVATE, /* anonymous, private, transparent huge pages advised */
    GUEST_MEMORY_SHARED,  /* one memfd for all regions, MAP_SHARED: for peers that map it too */
    /* The same from the host's reserved 2 MiB pages (hugetlb). All that the guest may use is set
     * aside at once: it never finds that there are no more. Regions are multiples of 2 MiB. */
    GUEST_MEMORY_PRIVATE_2M,
    GUEST_MEMORY_SHARED_2M,
};

struct guest_memory;

/* One region as it is mapped. */
struct guest_region {
    gpa_t base;
    uint64_t size;
    void *hva;           /* host address of the first byte */
    uint64_t page_bytes; /* that it is mapped in, at least */
    int fd;              /* memfd of a shared backing, else -1 */
    uint64_t fd_offset;  /* where the region begins in fd */
};

/*
 * Reserve and map `count` regions (ascending, not overlapping). Memory is zero and is not
 * populated. Returns 0 or -errno with err filled (ENOMEM names the size asked for, or how many huge
 * pages are missing). The caller owns *out.
 */
int guest_memory_create(const struct guest_region_spec *specs, unsigned count,
                        enum guest_memory_backing backing, struct guest_memory **out,
                        struct husk_error *err);

/*
 * Whether the host has this much left in 2 MiB pages, as far as it says: for a process that can
 * read /sys, before one that cannot makes the memory. Returns 0, or -ENOMEM with err saying how
 * many are needed, how many are free, and how to reserve them.
 */
int guest_memory_check_2m(uint64_t bytes, struct husk_error *err);

/* Unmaps everything. NULL is fine. No pointer from guest_memory_at() may be used afterwards. */
void guest_memory_destroy(struct guest_memory *memory);

/*
 * The host address of [address, address + len), or NULL when the range wraps, is empty, or does not
 * lie wholly inside one region. The pointer is valid until guest_memory_destroy().
 */
void *guest_memory_at(const struct guest_memory *memory, gpa_t address, uint64_t len);

/* Copy in or out: 0, or -EFAULT (and nothing is copied) when guest_memory_at() would be NULL. An
 * empty range is fine. */
int guest_memory_read(const struct guest_memory *memory, gpa_t address, void *buf, size_t len);
int guest_memory_write(const struct guest_memory *memory, gpa_t address, const void *buf,
                       size_t len);

/*
 * Replace [address, address + len) by a private copy-on-write mapping of fd at offset: the pages
 * come from the page cache and are shared until written. address, offset and len must be page
 * aligned and the range inside one private region of ordinary pages. The file must reach into the
 * last page, and must not shrink afterwards; what that page holds past the end of the file reads as
 * zero. Returns 0, -EINVAL (not possible, or memory is pinned: copy instead) or -errno.
 */
int guest_memory_map_file(struct guest_memory *memory, gpa_t address, int fd, uint64_t offset,
                          uint64_t len);

/*
 * Give whole pages of [hva, hva + len), which is part of guest memory, back to the host: they read
 * as zero then, or as what is in the file that is mapped there. Pages that are shared with others,
 * huge ones, and all while memory is pinned, stay as they are. Returns how many bytes were dropped.
 * Any thread.
 */
uint64_t guest_memory_drop(struct guest_memory *memory, void *hva, uint64_t len);

/*
 * While memory is pinned (mapped for DMA of a device of the host's), the pages behind it must stay
 * the ones that they are: a device would go on using those from before. Whoever would replace or
 * drop pages asks first. Any thread; when it is set, nobody is dropping any more.
 */
void guest_memory_set_pinned(struct guest_memory *memory, bool pinned);
bool guest_memory_is_pinned(const struct guest_memory *memory);

unsigned guest_memory_region_count(const struct guest_memory *memory);
const struct guest_region *guest_memory_region(const struct guest_memory *memory, unsigned index);

/* Sum of all regions in bytes. */
uint64_t guest_memory_size(const struct guest_memory *memory);

/*
 * Bytes of guest memory that the host holds in RAM now: touched by guest or monitor and not swapped
 * out. A mapped file's pages count when they are in the page cache, whoever brought them there;
 * where the host does not tell (a file of somebody else's), they count as if they were. Blocks for
 * as long as looking at every page takes: some milliseconds for each GiB in use.
 */
uint64_t guest_memory_resident(const struct guest_memory *memory);

#endif
