// SPDX-License-Identifier: Apache-2.0
/* Making a raw disk of an image, by qemu-img: wholly, or not at all. */
#ifndef HUSK_CLI_DISK_COPY_H
#define HUSK_CLI_DISK_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"

struct disk_copy {
    const char *from; /* in messages */
    int from_fd;
    const char *format; /* "qcow2", "raw" */
    uint64_t size_bytes;
    const char *to; /* does not change when it is there already */
    unsigned mode;  /* of the new file, less the umask */
    bool (*should_stop)(void);
};

/* Blocks until `to` is there, also while another process makes it; shows progress. 0, -ECANCELED
 * when should_stop() said so, or -errno with err filled. */
int disk_copy_make(const struct disk_copy *copy, struct husk_error *err);

#endif
