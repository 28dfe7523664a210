// SPDX-License-Identifier: Apache-2.0
/* Times of Kubernetes' objects, and how long ago they were as kubectl says it. Pure functions. */
#ifndef HUSK_CLI_PODS_AGE_H
#define HUSK_CLI_PODS_AGE_H

#include <stdint.h>

#define AGE_BYTES 48u

/* Seconds since 1970 of "2026-11-29T02:00:00Z", also with a fraction of a second, which is left
 * out. -EINVAL for what is none: NULL as well. */
int64_t rfc3339_seconds(const char *text);

/* "45s", "5m10s", "12m", "3h20m", "30h", "4d2h", "20d", "2y30d": the longer, the coarser. Returns
 * out. */
const char *age_words(int64_t seconds, char out[AGE_BYTES]);

/* The same for the time since `text`; "<unknown>" when it is no time. */
const char *age_since(const char *text, int64_t now_s, char out[AGE_BYTES]);

#endif
