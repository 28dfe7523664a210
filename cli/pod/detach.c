// SPDX-License-Identifier: Apache-2.0
/* The keys that detach: see detach.h. */
#include "cli/pod/detach.h"

#include <errno.h>
#include <string.h>

/* One key of `len` bytes of text, or -1. */
static int key_of(const char *text, size_t len)
{
    static const char control[] = "@abcdefghijklmnopqrstuvwxyz[\\]^_";
    const char *at;

    if (len == 1 && text[0] > ' ' && text[0] < 0x7f)
        return text[0];
    if (len != 6 || memcmp(text, "ctrl-", 5) != 0)
        return -1;
    at = memchr(control, text[5], sizeof(control) - 1);
    return at ? (int)(at - control) : -1;
}

int detach_keys_parse(const char *text, struct detach_filter *out)
{
    *out = (struct detach_filter){0};
    while (*text) {
        size_t len = strcspn(text, ",");
        int key = key_of(text, len);

        if (key < 0 || out->count == DETACH_KEYS_MAX)
            return -EINVAL;
        out->keys[out->count++] = (uint8_t)key;
        text += len;
        if (*text && !*++text)
            return -EINVAL;
    }
    return 0;
}

/* The held keys and `key` do not match: how many of their last ones begin the sequence anew. What
 * comes before these was ordinary input. */
static unsigned fall_back(const struct detach_filter *filter, uint8_t key)
{
    for (unsigned keep = filter->matched; keep > 0; keep--) {
        if (filter->keys[keep - 1] == key &&
            memcmp(filter->keys, filter->keys + filter->matched - (keep - 1), keep - 1) == 0)
            return keep;
    }
    return 0;
}

size_t detach_filter(struct detach_filter *filter, const uint8_t *in, size_t len, uint8_t *out,
                     bool *detached)
{
    size_t written = 0;

    *detached = false;
    for (size_t i = 0; i < len; i++) {
        unsigned keep;

        if (filter->count && in[i] == filter->keys[filter->matched]) {
            if (++filter->matched < filter->count)
                continue;
            filter->matched = 0;
            *detached = true;
            break;
        }
        keep = filter->count ? fall_back(filter, in[i]) : 0;
        for (unsigned k = 0; k + keep < filter->matched + (keep ? 1u : 0u); k++)
            out[written++] = filter->keys[k];
        if (!keep)
            out[written++] = in[i];
        filter->matched = keep;
    }
    return written;
}
