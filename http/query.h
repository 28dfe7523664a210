// SPDX-License-Identifier: Apache-2.0
/* Percent-encoding (RFC 3986, 2.1). */
#ifndef HUSK_HTTP_QUERY_H
#define HUSK_HTTP_QUERY_H

#include <stdbool.h>

/* `out` has room for strlen(text) + 1 bytes, and may be `text`. False for an escape that is none,
 * and for a NUL. */
bool percent_decode(const char *text, char *out);

#endif
