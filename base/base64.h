// SPDX-License-Identifier: Apache-2.0
/* Bytes as base64 text and back (RFC 4648, section 4: the plain alphabet, padded). No state. */
#ifndef HUSK_BASE_BASE64_H
#define HUSK_BASE_BASE64_H

#include <stddef.h>

/* The text's length, without its end. */
#define BASE64_LEN(bytes)          (((size_t)(bytes) + 2) / 3 * 4)
/* How many bytes a text of this length is, at most. */
#define BASE64_BYTES_MAX(text_len) ((size_t)(text_len) / 4 * 3)

/* `text` has space for BASE64_LEN(len) + 1 bytes; it is terminated. */
void base64_encode(const void *bytes, size_t len, char *text);

/*
 * `bytes` has space for BASE64_BYTES_MAX(text_len), and may be where `text` is. 0 with *len set, or
 * -EINVAL: another character (also a line's end), a wrong length, or a text that is not the one
 * that encoding its bytes makes (section 3.5).
 */
int base64_decode(const char *text, size_t text_len, void *bytes, size_t *len);

#endif
