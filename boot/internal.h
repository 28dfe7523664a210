// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of boot/ share. Loading is a pipeline, one file for each step:
 *
 *     load.c        recognise → dispatch → command line → initrd → entry protocol
 *     image.c       a file or a decompressed buffer as a bounded source of bytes
 *     placement.c   which guest-physical addresses are taken, and where there is room
 *     decompress.c  gzip and zstd into a bounded buffer
 *     elf.c         ELF64 kernels: PVH or 64-bit Linux entry
 *     bzimage.c     Linux bzImage
 *     linux64.c     zero page, page tables, GDT
 *     pvh.c         start info
 */
#ifndef HUSK_BOOT_INTERNAL_H
#define HUSK_BOOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"

#define BOOT_CANNOT_LOAD_KERNEL "cannot load the kernel"
#define BOOT_CANNOT_LOAD_INITRD "cannot load the initrd"

#define MIB      (1024ull * 1024)
#define FOUR_GIB (1ull << 32)

/* --- image.c ------------------------------------------------------------------------------- */

/* A read-only source of `size` bytes: a regular file (fd >= 0), or a buffer (fd == -1). */
struct boot_image {
    const char *name; /* for messages */
    int fd;           /* not owned */
    uint64_t size;
    uint8_t *bytes; /* an anonymous mapping of mapped_bytes, owned; NULL for a file */
    size_t mapped_bytes;
};

/* Look at fd: it must be a regular file with at least one byte. `what` begins the message. */
int boot_image_open(struct boot_image *image, int fd, const char *name, const char *what,
                    struct husk_error *err);

/* Release a buffer; a file's descriptor stays open. */
void boot_image_close(struct boot_image *image);

/* Exactly len bytes at offset: -ENODATA when they are not all inside the image. */
int boot_image_read(const struct boot_image *image, uint64_t offset, void *buf, size_t len);

/*
 * Put len bytes at offset into guest memory, as a copy-on-write mapping of the file where
 * alignment and the kind of memory permit, else by copying. -EFAULT when the range is not guest
 * memory, else as boot_image_read().
 */
int boot_image_place(const struct boot_image *image, uint64_t offset, struct guest_memory *memory,
                     gpa_t address, uint64_t len);

/* --- placement.c --------------------------------------------------------------------------- */

#define BOOT_CLAIMS_MAX 72u /* 4 tables, 64 segments, the initrd */

struct boot_claim {
    uint64_t base;
    uint64_t end; /* first address behind */
};

/* Addresses already given away. All of them lie in RAM, none overlap. */
struct boot_placement {
    const struct guest_memory *memory;
    const struct boot_range *ranges;
    unsigned range_count;
    struct boot_claim claims[BOOT_CLAIMS_MAX];
    unsigned claim_count;
};

void boot_placement_init(struct boot_placement *placement, const struct guest_memory *memory,
                         const struct boot_layout *layout);

/* Take [base, base + size): 0, -EFAULT (not wholly RAM), -EBUSY (taken), -ENOSPC (too many). */
int boot_placement_claim(struct boot_placement *placement, uint64_t base, uint64_t size);

/* Find, but do not take, `size` free bytes: at the lowest multiple of align >= min, or at the
 * highest that ends at or below limit. align is a power of two, size is not 0. */
bool boot_placement_lowest(const struct boot_placement *placement, uint64_t min, uint64_t align,
                           uint64_t size, uint64_t *base);
bool boot_placement_highest(const struct boot_placement *placement, uint64_t limit, uint64_t align,
                            uint64_t size, uint64_t *base);

/* First address behind everything taken. */
uint64_t boot_placement_end(const struct boot_placement *placement);

/* First address behind the guest's RAM. */
uint64_t boot_placement_ram_end(const struct boot_placement *placement);

/* --- the kernel loaders -------------------------------------------------------------------- */

struct boot_loader {
    struct guest_memory *memory;
    const struct boot_options *options;
    struct boot_placement placement;
    struct husk_error *err;
};

/* The Linux setup header as the zero page carries it: from 0x1f1 up to the next field, at 0x290. */
#define SETUP_HEADER_OFFSET    0x1f1u
#define SETUP_HEADER_MAX_BYTES (0x290u - SETUP_HEADER_OFFSET)

/* What a loader found out. Filled with defaults by boot_load() beforehand. */
struct boot_kernel {
    enum boot_protocol protocol;
    bool is_bzimage;
    bool is_linux;
    uint64_t entry;
    uint64_t initrd_limit;     /* the kernel cannot use initrd bytes at or above this address */
    uint64_t command_line_max; /* bytes without the NUL */
    uint8_t setup_header[SETUP_HEADER_MAX_BYTES];
    size_t setup_header_bytes; /* 0: the image has none */
};

/* Take a kernel's address range, or say in one line why that is not possible. */
int boot_claim_kernel(struct boot_loader *loader, const struct boot_image *image, uint64_t base,
                      uint64_t size);

/* Place kernel bytes and report a failure. */
int boot_place_kernel(struct boot_loader *loader, const struct boot_image *image, uint64_t offset,
                      uint64_t address, uint64_t len);

/* Both return 0, or -errno with loader->err filled. */
int boot_load_elf(struct boot_loader *loader, const struct boot_image *image,
                  struct boot_kernel *kernel);
int boot_load_bzimage(struct boot_loader *loader, const struct boot_image *image,
                      struct boot_kernel *kernel);

/* --- decompress.c -------------------------------------------------------------------------- */

enum boot_compression { BOOT_COMPRESSION_NONE, BOOT_COMPRESSION_GZIP, BOOT_COMPRESSION_ZSTD };

/* Decompress all of `in` into a new buffer of at most limit bytes. The caller closes *out. */
int boot_decompress(const struct boot_image *in, enum boot_compression compression, uint64_t limit,
                    struct boot_image *out, struct husk_error *err);

/* --- the entry protocols ------------------------------------------------------------------- */

/* What both protocols tell the kernel; all of it is in guest memory already. */
struct boot_handover {
    gpa_t command_line;
    gpa_t initrd;
    uint64_t initrd_bytes; /* 0: none */
};

/* 0, or -EFAULT when the layout's tables are not guest memory. */
int boot_setup_linux64(struct guest_memory *memory, const struct boot_layout *layout,
                       const struct boot_kernel *kernel, const struct boot_handover *handover);
int boot_setup_pvh(struct guest_memory *memory, const struct boot_layout *layout,
                   const struct boot_handover *handover);

#endif
