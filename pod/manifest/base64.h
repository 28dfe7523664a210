// SPDX-License-Identifier: Apache-2.0
/* Base64 (RFC 4648, 4) as JSON objects of Kubernetes have it: padded. */
#ifndef HUSK_POD_MANIFEST_BASE64_H
#define HUSK_POD_MANIFEST_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* The caller's text, with a NUL behind it that does not count; NULL without memory. */
char *manifest_base64_encode(const void *bytes, size_t len);

/*
 * The caller's bytes, with a NUL behind them that does not count. Line ends are skipped wherever
 * they are, as Kubernetes does. -EINVAL for what is no padded base64, or has bits behind its end;
 * -ENOMEM.
 */
int manifest_base64_decode(const char *text, size_t text_len, uint8_t **bytes, size_t *len);

#endif
