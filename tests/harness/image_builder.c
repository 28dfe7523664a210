// SPDX-License-Identifier: Apache-2.0
/* Kernel images made in memory: see image_builder.h. */
#include "tests/harness/image_builder.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/io.h"

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "image_builder: %s failed\n", what);
        abort();
    }
}

static void grow(struct image_builder *image, size_t size)
{
    if (size <= image->size)
        return;
    image->bytes = realloc(image->bytes, size);
    require(image->bytes != NULL, "realloc");
    memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
}

void image_put(struct image_builder *image, size_t offset, const void *bytes, size_t len)
{
    grow(image, offset + len);
    if (len > 0)
        memcpy(image->bytes + offset, bytes, len);
}

void image_put16(struct image_builder *image, size_t offset, uint16_t value)
{
    grow(image, offset + sizeof(value));
    put_le16(image->bytes + offset, value);
}

void image_put32(struct image_builder *image, size_t offset, uint32_t value)
{
    grow(image, offset + sizeof(value));
    put_le32(image->bytes + offset, value);
}

void image_put64(struct image_builder *image, size_t offset, uint64_t value)
{
    grow(image, offset + sizeof(value));
    put_le64(image->bytes + offset, value);
}

uint8_t image_pattern(size_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + 1);
}

void image_put_pattern(struct image_builder *image, size_t offset, size_t len)
{
    grow(image, offset + len);
    for (size_t i = 0; i < len; i++)
        image->bytes[offset + i] = image_pattern(offset + i);
}

int image_memfd(const struct image_builder *image)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    require(fd >= 0, "memfd_create");
    require(write_full(fd, image->bytes, image->size) == 0, "write");
    return fd;
}

void image_free(struct image_builder *image)
{
    free(image->bytes);
    *image = (struct image_builder){0};
}

static void replace(struct image_builder *image, uint8_t *bytes, size_t size)
{
    free(image->bytes);
    *image = (struct image_builder){.bytes = bytes, .size = size};
}

void image_gzip(struct image_builder *image)
{
    z_stream stream = {0};
    size_t room;
    uint8_t *out;

    require(deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK,
            "deflateInit2");
    room = deflateBound(&stream, image->size);
    out = malloc(room);
    require(out != NULL, "malloc");
    stream.next_in = image->bytes;
    stream.avail_in = (uInt)image->size;
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
    deflateEnd(&stream);
    replace(image, out, stream.total_out);
}

void image_zstd(struct image_builder *image)
{
    size_t room = ZSTD_compressBound(image->size);
    uint8_t *out = malloc(room);
    size_t size;

    require(out != NULL, "malloc");
    size = ZSTD_compress(out, room, image->bytes, image->size, 1);
    require(!ZSTD_isError(size), "ZSTD_compress");
    replace(image, out, size);
}

size_t image_put_elf(struct image_builder *image, uint64_t entry,
                     const struct image_segment *segments, unsigned count)
{
    size_t at = sizeof(Elf64_Ehdr);

    grow(image, at + count * sizeof(Elf64_Phdr));
    memcpy(image->bytes, ELFMAG, SELFMAG);
    image->bytes[EI_CLASS] = ELFCLASS64;
    image->bytes[EI_DATA] = ELFDATA2LSB;
    image->bytes[EI_VERSION] = EV_CURRENT;
    image_put16(image, offsetof(Elf64_Ehdr, e_type), ET_EXEC);
    image_put16(image, offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
    image_put32(image, offsetof(Elf64_Ehdr, e_version), EV_CURRENT);
    image_put64(image, offsetof(Elf64_Ehdr, e_entry), entry);
    image_put64(image, offsetof(Elf64_Ehdr, e_phoff), at);
    image_put16(image, offsetof(Elf64_Ehdr, e_ehsize), sizeof(Elf64_Ehdr));
    image_put16(image, offsetof(Elf64_Ehdr, e_phentsize), sizeof(Elf64_Phdr));
    image_put16(image, offsetof(Elf64_Ehdr, e_phnum), (uint16_t)count);
    for (unsigned i = 0; i < count; i++, at += sizeof(Elf64_Phdr)) {
        const struct image_segment *segment = &segments[i];

        image_put32(image, at + offsetof(Elf64_Phdr, p_type), segment->type);
        image_put64(image, at + offsetof(Elf64_Phdr, p_offset), segment->offset);
        image_put64(image, at + offsetof(Elf64_Phdr, p_vaddr), segment->virtual_address);
        image_put64(image, at + offsetof(Elf64_Phdr, p_paddr), segment->physical_address);
        image_put64(image, at + offsetof(Elf64_Phdr, p_filesz), segment->file_bytes);
        image_put64(image, at + offsetof(Elf64_Phdr, p_memsz), segment->memory_bytes);
        image_put64(image, at + offsetof(Elf64_Phdr, p_align), segment->align);
    }
    return at;
}

static size_t pad(size_t value, size_t align)
{
    return (value + align - 1) & ~(align - 1);
}

void image_put_note(struct image_builder *image, size_t *offset, const char *name, uint32_t type,
                    const void *desc, uint32_t desc_bytes, size_t align)
{
    size_t name_bytes = strlen(name) + 1;
    size_t desc_at = pad(sizeof(Elf64_Nhdr) + name_bytes, align);

    image_put32(image, *offset, (uint32_t)name_bytes);
    image_put32(image, *offset + 4, desc_bytes);
    image_put32(image, *offset + 8, type);
    image_put(image, *offset + sizeof(Elf64_Nhdr), name, name_bytes);
    image_put(image, *offset + desc_at, desc, desc_bytes);
    *offset += pad(desc_at + desc_bytes, align);
    grow(image, *offset);
}

void image_put_kernel(struct image_builder *image, unsigned notes)
{
    struct image_segment segments[] = {
        {1, IMAGE_ELF_OFFSET, IMAGE_ELF_BASE, IMAGE_ELF_BASE, IMAGE_ELF_BYTES, IMAGE_ELF_MEMORY,
         4096},
        {4, 0x200, 0, 0, 0, 0, 4}, /* PT_NOTE */
    };
    uint8_t entry[4];
    size_t end = 0x200;

    put_le32(entry, IMAGE_ELF_BASE + 0x10);
    if (notes & IMAGE_NOTE_LINUX)
        image_put_note(image, &end, "Linux", 0x100, "salt", 5, 4);
    if (notes & IMAGE_NOTE_PVH)
        image_put_note(image, &end, "Xen", 18, entry, sizeof(entry), 4);
    segments[1].file_bytes = segments[1].memory_bytes = end - 0x200;
    image_put_pattern(image, IMAGE_ELF_OFFSET, IMAGE_ELF_BYTES);
    image_put_elf(image, IMAGE_ELF_BASE, segments, notes ? 2 : 1);
}

void image_put_bzimage(struct image_builder *image, uint32_t payload)
{
    image_put(image, 0x1f1, "\x04", 1);             /* setup_sects */
    image_put32(image, 0x1f4, payload / 16);        /* syssize */
    image_put16(image, 0x1fe, 0xaa55);              /* boot_flag */
    image_put16(image, 0x200, 0x6aeb);              /* jump: the header ends at 0x26c */
    image_put(image, 0x202, "HdrS", 4);             /* header */
    image_put16(image, 0x206, 0x020f);              /* version */
    image_put(image, 0x211, "\x01", 1);             /* loadflags: LOADED_HIGH */
    image_put32(image, 0x214, 0x100000);            /* code32_start */
    image_put32(image, 0x22c, 0x7fffffff);          /* initrd_addr_max */
    image_put32(image, 0x230, 0x200000);            /* kernel_alignment */
    image_put(image, 0x234, "\x01", 1);             /* relocatable_kernel */
    image_put16(image, 0x236, 0x007f);              /* xloadflags */
    image_put32(image, 0x238, 2047);                /* cmdline_size */
    image_put64(image, 0x258, 0x1000000);           /* pref_address */
    image_put32(image, 0x260, payload + 0x100000u); /* init_size */
    image_put_pattern(image, IMAGE_BZ_PAYLOAD_OFFSET, payload);
}
