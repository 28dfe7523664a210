// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP of probes and hooks: one GET, and the status of its answer (RFC 9112). What answers is
 * hostile: nothing beyond the status line is looked at, and that has a limit.
 */
#ifndef HUSK_POD_LIFECYCLE_HTTP_H
#define HUSK_POD_LIFECYCLE_HTTP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 512u /* bytes of a status line, its end included */

/*
 * The request of an httpGet: `host` (with the port) is its Host, unless one of the headers is. The
 * caller's text, NULL without memory or when a header has a control character in it.
 */
char *http_request(const json_t *http_get, const char *host, uint16_t port);

/* The status of a status line that begins at `bytes`: 100 to 599; 0: its end has not come yet;
 * -EPROTO: it is none. */
int http_status(const char *bytes, size_t len);

#endif
