// SPDX-License-Identifier: Apache-2.0
/* A file in memory that is filled from a disk image, up to a size. */
#ifndef HUSK_IMAGE_OUTPUT_H
#define HUSK_IMAGE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

struct image_output {
    int fd; /* not owned */
    uint64_t size, max;
};

/* Empties the file. 0 or -errno. */
int output_begin(struct image_output *output, int fd, uint64_t max);

/* An image_write_fn; -EFBIG beyond `max`. */
int output_write(void *output, const void *bytes, size_t len);

/* Zero bytes up to a multiple of four: an initrd may be followed by another one. */
int output_pad(struct image_output *output);

#endif
