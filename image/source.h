// SPDX-License-Identifier: Apache-2.0
/*
 * A stretch of a file: a whole disk image, one partition of it, or a file that was copied out. The
 * one place where an offset that an image names becomes a read: nothing outside the stretch can be
 * reached.
 */
#ifndef HUSK_IMAGE_SOURCE_H
#define HUSK_IMAGE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct image_source {
    int fd; /* not owned */
    uint64_t offset, size;
};

/* Exactly len bytes at `offset` of the source: -EIO when that is not wholly inside, or -errno. */
int image_read(const struct image_source *source, uint64_t offset, void *buf, size_t len);

/* The part of a source; -EIO when it is not wholly inside. */
int image_part(const struct image_source *source, uint64_t offset, uint64_t size,
               struct image_source *out);

/* Receives a file's bytes in order. Returns 0, or -errno, which ends the reading. */
typedef int (*image_write_fn)(void *arg, const void *bytes, size_t len);

/* All of a source. */
int image_copy(const struct image_source *source, image_write_fn write, void *arg);

#endif
