// SPDX-License-Identifier: Apache-2.0
/*
 * A file system in an image, read only: what the search for a kernel needs of it, and nothing else.
 * ext.c and fat.c implement it.
 *
 * Paths are absolute, their parts separated by one or more '/'. The bytes are hostile: each call
 * does bounded work for a bounded result, and reads through image_read() only.
 */
#ifndef HUSK_IMAGE_FILESYSTEM_H
#define HUSK_IMAGE_FILESYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "image/source.h"

#define IMAGE_NAME_MAX    255u   /* bytes of a file's name */
#define IMAGE_PATH_MAX    1024u  /* with its end */
#define IMAGE_ENTRIES_MAX 16384u /* that are looked at in one directory */

/* One entry of a directory; returns whether to go on. */
typedef bool (*image_entry_fn)(void *arg, const char *name);

struct image_filesystem;

struct image_filesystem_ops {
    int (*size)(struct image_filesystem *fs, const char *path, uint64_t *size);
    int (*list)(struct image_filesystem *fs, const char *path, image_entry_fn each, void *arg);
    int (*read)(struct image_filesystem *fs, const char *path, image_write_fn write, void *arg);
    void (*close)(struct image_filesystem *fs);
};

struct image_filesystem {
    const struct image_filesystem_ops *ops;
};

/* Whether image_filesystem_open() knows this type, as libblkid names it. */
bool image_filesystem_known(const char *type);

/* 0, -EOPNOTSUPP for another type or a feature that is not understood, or -errno. */
int image_filesystem_open(const struct image_source *source, const char *type,
                          struct image_filesystem **out);
void image_filesystem_close(struct image_filesystem *fs); /* NULL is fine */

/* Bytes of a regular file: -ENOENT when there is none, -EISDIR, or -errno. */
int image_file_size(struct image_filesystem *fs, const char *path, uint64_t *size);

/* Names in a directory, in no order, without "." and "..": -ENOENT, -ENOTDIR, or -errno. */
int image_list(struct image_filesystem *fs, const char *path, image_entry_fn each, void *arg);

/* A regular file's bytes; -EFBIG before the first when it has more than `max`. */
int image_file_read(struct image_filesystem *fs, const char *path, uint64_t max,
                    image_write_fn write, void *arg);

/* A small file as a text with its end, to be freed; zero bytes in it become spaces. -EFBIG above
 * IMAGE_TEXT_MAX. */
#define IMAGE_TEXT_MAX (1u << 20)
int image_file_text(struct image_filesystem *fs, const char *path, char **out);

int image_ext_open(const struct image_source *source, struct image_filesystem **out);
int image_fat_open(const struct image_source *source, struct image_filesystem **out);

#endif
