// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), small rather than fast: for the checksums of the test init. */
#ifndef HUSK_GUEST_SHA256_H
#define HUSK_GUEST_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length_bytes;
    uint8_t block[64];
};

void sha256_begin(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *data, size_t len);
/* hex receives 64 digits and a NUL. */
void sha256_end(struct sha256 *sha, char hex[65]);

#endif
