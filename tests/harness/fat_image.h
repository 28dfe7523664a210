// SPDX-License-Identifier: Apache-2.0
/* A small FAT file system in memory, made from scratch: what a test of the reader needs, with every
 * field where the test can find and spoil it. */
#ifndef HUSK_TESTS_FAT_IMAGE_H
#define HUSK_TESTS_FAT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define FAT_IMAGE_SECTOR 512u

struct fat_image {
    unsigned bits;
    uint8_t *bytes;
    size_t size;
    size_t table_at, root_at, data_at; /* offsets; root_at of FAT32 is that of its first cluster */
    uint32_t next_cluster;
};

/* Clusters are one sector. bits: 12, 16 or 32, which decides how many clusters there are. */
void fat_image_make(struct fat_image *image, unsigned bits);
void fat_image_release(struct fat_image *image);

/* A file in the directory whose entries begin at offset `dir` of the image (root_at), with a long
 * name. Returns the offset of its short entry. */
size_t fat_image_add(struct fat_image *image, size_t *dir, const char *name, const void *content,
                     size_t len);

/* A directory of one cluster in the root; returns where its entries begin. */
size_t fat_image_add_directory(struct fat_image *image, size_t *dir, const char *name);

/* An open memfd with these bytes. */
int memory_file(const void *bytes, size_t len);

#endif
