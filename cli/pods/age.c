// SPDX-License-Identifier: Apache-2.0
/* Times of Kubernetes' objects: see age.h. */
#include "cli/pods/age.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t rfc3339_seconds(const char *text)
{
    struct tm date = {.tm_year = 0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &date) : NULL;

    if (rest && *rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (!rest || strcmp(rest, "Z") != 0)
        return -EINVAL;
    return timegm(&date);
}

/* From `from_s` seconds on, in these units; `small` 0: without the smaller one. */
static const struct {
    int64_t from_s, large_s, small_s;
    char large, small;
} scales[] = {
    {8ll * 365 * 86400, 365ll * 86400, 0, 'y', 0},
    {2ll * 365 * 86400, 365ll * 86400, 86400, 'y', 'd'},
    {8ll * 86400, 86400, 0, 'd', 0},
    {2ll * 86400, 86400, 3600, 'd', 'h'},
    {8ll * 3600, 3600, 0, 'h', 0},
    {3ll * 3600, 3600, 60, 'h', 'm'},
    {10ll * 60, 60, 0, 'm', 0},
    {2ll * 60, 60, 1, 'm', 's'},
    {0, 1, 0, 's', 0},
};

const char *age_words(int64_t seconds, char out[AGE_BYTES])
{
    unsigned i = 0;
    int64_t rest;

    if (seconds < 0) /* the clock was set back */
        seconds = 0;
    while (seconds < scales[i].from_s)
        i++;
    rest = scales[i].small_s ? seconds % scales[i].large_s / scales[i].small_s : 0;
    if (rest)
        snprintf(out, AGE_BYTES, "%lld%c%lld%c", (long long)(seconds / scales[i].large_s),
                 scales[i].large, (long long)rest, scales[i].small);
    else
        snprintf(out, AGE_BYTES, "%lld%c", (long long)(seconds / scales[i].large_s),
                 scales[i].large);
    return out;
}

const char *age_since(const char *text, int64_t now_s, char out[AGE_BYTES])
{
    int64_t then = rfc3339_seconds(text);

    if (then < 0) {
        snprintf(out, AGE_BYTES, "<unknown>");
        return out;
    }
    return age_words(now_s - then, out);
}
