// SPDX-License-Identifier: Apache-2.0
/* See fat_image.h. Entries are appended where the caller's offset points, which moves on. */
#include "tests/harness/fat_image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/io.h"

#define ROOT_ENTRIES 64u

static void set_next(struct fat_image *image, uint32_t cluster, uint32_t next)
{
    uint8_t *table = image->bytes + image->table_at;
    uint16_t old;

    if (image->bits == 32) {
        put_le32(table + (size_t)cluster * 4, next);
    } else if (image->bits == 16) {
        put_le16(table + (size_t)cluster * 2, (uint16_t)next);
    } else {
        uint8_t *at = table + cluster + cluster / 2;

        old = get_le16(at);
        next &= 0xfff;
        put_le16(at, (uint16_t)(cluster & 1 ? (old & 0xf) | next << 4 : (old & 0xf000) | next));
    }
}

/* The first of a chain that holds so many bytes; 0 for none. */
static uint32_t allocate(struct fat_image *image, size_t len)
{
    uint32_t count = (uint32_t)((len + FAT_IMAGE_SECTOR - 1) / FAT_IMAGE_SECTOR);
    uint32_t first = image->next_cluster;

    for (uint32_t i = 0; i < count; i++)
        set_next(image, first + i, i + 1 < count ? first + i + 1 : 0x0fffffff);
    image->next_cluster += count;
    return count ? first : 0;
}

static size_t offset_of(const struct fat_image *image, uint32_t cluster)
{
    return image->data_at + (size_t)(cluster - 2) * FAT_IMAGE_SECTOR;
}

void fat_image_make(struct fat_image *image, unsigned bits)
{
    uint32_t clusters = bits == 12 ? 100 : bits == 16 ? 5000 : 66000;
    uint32_t table_sectors = (clusters + 2) * (bits == 12 ? 2 : bits / 8) / FAT_IMAGE_SECTOR + 1;
    uint32_t root_sectors = bits == 32 ? 0 : ROOT_ENTRIES * 32 / FAT_IMAGE_SECTOR;
    uint32_t sectors = 1 + table_sectors + root_sectors + clusters;
    uint8_t *bpb;

    memset(image, 0, sizeof(*image));
    image->bits = bits;
    image->size = (size_t)sectors * FAT_IMAGE_SECTOR;
    image->bytes = calloc(1, image->size);
    if (!image->bytes)
        abort();
    image->table_at = FAT_IMAGE_SECTOR;
    image->root_at = FAT_IMAGE_SECTOR * (1u + table_sectors);
    image->data_at = image->root_at + (size_t)root_sectors * FAT_IMAGE_SECTOR;
    image->next_cluster = 2;
    bpb = image->bytes;
    memcpy(bpb, "\xeb\x3c\x90mkfs.fat", 11);
    put_le16(bpb + 11, FAT_IMAGE_SECTOR);
    bpb[13] = 1; /* sectors in a cluster */
    put_le16(bpb + 14, 1);
    bpb[16] = 1; /* tables */
    put_le16(bpb + 17, bits == 32 ? 0 : ROOT_ENTRIES);
    if (bits == 32 || sectors > 0xffff)
        put_le32(bpb + 32, sectors);
    else
        put_le16(bpb + 19, (uint16_t)sectors);
    bpb[21] = 0xf8;
    if (bits == 32) {
        put_le32(bpb + 36, table_sectors);
        put_le32(bpb + 44, allocate(image, FAT_IMAGE_SECTOR * 4));
        memcpy(bpb + 82, "FAT32   ", 8);
        bpb[66] = 0x29;
    } else {
        put_le16(bpb + 22, (uint16_t)table_sectors);
        memcpy(bpb + 54, bits == 12 ? "FAT12   " : "FAT16   ", 8);
        bpb[38] = 0x29;
    }
    put_le16(bpb + 510, 0xaa55);
}

void fat_image_release(struct fat_image *image)
{
    free(image->bytes);
    image->bytes = NULL;
}

static uint8_t checksum(const uint8_t *raw)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < 11; i++)
        sum = (uint8_t)((sum << 7 | sum >> 1) + raw[i]);
    return sum;
}

/* The long name's entries before the short one at `short_entry`; returns the latter's offset. */
static size_t add_names(struct fat_image *image, size_t dir, const char *name)
{
    static const uint8_t places[13] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    unsigned len = (unsigned)strlen(name);
    unsigned parts = (len + 12) / 13;
    uint8_t *entry = image->bytes + dir + (size_t)parts * 32;

    memcpy(entry, "NAME~1  XYZ", 11);
    for (unsigned part = 0; part < parts; part++) {
        uint8_t *raw = entry - (size_t)(part + 1) * 32;

        raw[0] = (uint8_t)((part + 1) | (part + 1 == parts ? 0x40u : 0u));
        raw[11] = 0x0f;
        raw[13] = checksum(entry);
        for (unsigned i = 0; i < 13; i++) {
            unsigned at = part * 13 + i;

            put_le16(raw + places[i], at < len ? (uint8_t)name[at] : at == len ? 0 : 0xffff);
        }
    }
    return dir + (size_t)parts * 32;
}

static size_t add(struct fat_image *image, size_t *dir, const char *name, uint8_t attributes,
                  const void *content, size_t len)
{
    size_t at = add_names(image, *dir, name);
    uint32_t cluster = allocate(image, len);
    uint8_t *entry = image->bytes + at;

    entry[11] = attributes;
    put_le16(entry + 26, (uint16_t)cluster);
    put_le16(entry + 20, (uint16_t)(cluster >> 16));
    put_le32(entry + 28, attributes & 0x10 ? 0 : (uint32_t)len);
    if (cluster)
        memcpy(image->bytes + offset_of(image, cluster), content, len);
    *dir = at + 32;
    return at;
}

size_t fat_image_add(struct fat_image *image, size_t *dir, const char *name, const void *content,
                     size_t len)
{
    return add(image, dir, name, 0x20, content, len);
}

size_t fat_image_add_directory(struct fat_image *image, size_t *dir, const char *name)
{
    static const uint8_t empty[FAT_IMAGE_SECTOR];
    size_t at = add(image, dir, name, 0x10, empty, sizeof(empty));

    return offset_of(image, get_le16(image->bytes + at + 26));
}

int memory_file(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    if (fd < 0 || write_full(fd, bytes, len))
        abort();
    return fd;
}
