// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel images made in memory, good ones and broken ones: a byte buffer that grows as it is
 * written, with helpers for ELF files, ELF notes and bzImages. Failures abort the test program.
 */
#ifndef HUSK_TESTS_HARNESS_IMAGE_BUILDER_H
#define HUSK_TESTS_HARNESS_IMAGE_BUILDER_H

#include <stddef.h>
#include <stdint.h>

struct image_builder {
    uint8_t *bytes;
    size_t size;
};

/* Write at any offset; a gap before it is zero. */
void image_put(struct image_builder *image, size_t offset, const void *bytes, size_t len);
void image_put16(struct image_builder *image, size_t offset, uint16_t value);
void image_put32(struct image_builder *image, size_t offset, uint32_t value);
void image_put64(struct image_builder *image, size_t offset, uint64_t value);

/* Fill with bytes that depend on their offset in the image: image_pattern(offset). */
void image_put_pattern(struct image_builder *image, size_t offset, size_t len);
uint8_t image_pattern(size_t offset);

/* A readable CLOEXEC memfd with the bytes; the caller closes it. */
int image_memfd(const struct image_builder *image);
void image_free(struct image_builder *image);

/* Replace the bytes by their compressed form. */
void image_gzip(struct image_builder *image);
void image_zstd(struct image_builder *image);

struct image_segment {
    uint32_t type; /* PT_LOAD, … */
    uint64_t offset, virtual_address, physical_address, file_bytes, memory_bytes, align;
};

/* ELF64 header for x86-64 (ET_EXEC) and program headers behind it. Returns the first free offset.
 */
size_t image_put_elf(struct image_builder *image, uint64_t entry,
                     const struct image_segment *segments, unsigned count);

/* One note at *offset, padded to `align`; *offset moves behind it. */
void image_put_note(struct image_builder *image, size_t *offset, const char *name, uint32_t type,
                    const void *desc, uint32_t desc_bytes, size_t align);

/*
 * A kernel of the kind that most tests want: entry and code at 1 MiB (64 KiB of pattern from file
 * offset 0x1000, 128 KiB in memory), and notes, if wanted, at offset 0x200.
 */
#define IMAGE_ELF_BASE   0x100000u
#define IMAGE_ELF_OFFSET 0x1000u
#define IMAGE_ELF_BYTES  0x10000u
#define IMAGE_ELF_MEMORY 0x20000u
enum { IMAGE_NOTE_PVH = 1, IMAGE_NOTE_LINUX = 2 };
void image_put_kernel(struct image_builder *image, unsigned notes);

/* A bzImage of protocol 2.15 with `payload` bytes of pattern behind 4 setup sectors. */
#define IMAGE_BZ_PAYLOAD_OFFSET (5u * 512)
void image_put_bzimage(struct image_builder *image, uint32_t payload);

#endif
