// SPDX-License-Identifier: Apache-2.0
/* Recognising qcow2 images, and refusing those that would have other files opened. */
#ifndef HUSK_CLI_QCOW2_H
#define HUSK_CLI_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

/* What is looked at of an image: enough for the fixed header of both versions. */
#define QCOW2_HEADER_BYTES 104u

bool qcow2_is_one(const uint8_t *header, size_t len);

/* The size of the disk in the image `path`, from its first bytes. 0, or -errno with err filled: for
 * an image with a backing or a data file, or encrypted, or of a size that no disk has. */
int qcow2_check(const char *path, const uint8_t *header, size_t len, uint64_t *size_bytes,
                struct husk_error *err);

#endif
