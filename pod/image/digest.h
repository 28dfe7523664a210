// SPDX-License-Identifier: Apache-2.0
/*
 * Content digests as images name their parts: "sha256:" and 64 lower-case hexadecimal digits (OCI
 * Image Specification 1.1, descriptor.md, "Digests"). SHA-256 is the one algorithm that every
 * implementation must have, and the only one that is accepted here.
 */
#ifndef HUSK_POD_IMAGE_DIGEST_H
#define HUSK_POD_IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_TEXT_BYTES 72u /* with the NUL */
#define DIGEST_HEX_LENGTH 64u

/* A valid digest; text[0] is NUL when there is none. */
struct digest {
    char text[DIGEST_TEXT_BYTES];
};

/* 0, -ENOTSUP for another algorithm than sha256, -EINVAL for anything else that is no digest. */
int digest_parse(const char *text, struct digest *out);

/* The 64 digits of a valid digest: what files in the store are named by. */
const char *digest_hex(const struct digest *digest);

/* The first `size` (at most 32) bytes of what the digits say. */
void digest_bytes(const struct digest *digest, uint8_t *out, size_t size);

bool digest_equal(const struct digest *a, const struct digest *b);

/* A digest being computed. digest_begin() returns NULL when memory is short. */
struct digest_stream *digest_begin(void);
void digest_update(struct digest_stream *stream, const void *bytes, size_t len);
/* Ends and frees the stream. 0 or -EIO. Takes NULL (-ENOMEM). */
int digest_end(struct digest_stream *stream, struct digest *out);
void digest_abandon(struct digest_stream *stream);

int digest_of(const void *bytes, size_t len, struct digest *out);

/* Of `len` bytes of a file from `offset` on; blocks. The file's position does not move. -ENODATA
 * when the file ends before. */
int digest_of_range(int fd, uint64_t offset, uint64_t len, struct digest *out);

#endif
