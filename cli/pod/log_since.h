// SPDX-License-Identifier: Apache-2.0
/* The time that --since means. */
#ifndef HUSK_CLI_POD_LOG_SINCE_H
#define HUSK_CLI_POD_LOG_SINCE_H

#include <stdint.h>

/* Nanoseconds since 1970 of "2026-11-29[T02:00[:00[.5]]][Z]", seconds since 1970, or how long
 * before now_s ("10m"). 0 or -EINVAL. */
int log_since_parse(const char *text, int64_t now_s, int64_t *ns);

#endif
