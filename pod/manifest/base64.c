// SPDX-License-Identifier: Apache-2.0
/* Base64: see base64.h. No state. */
#include "pod/manifest/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *manifest_base64_encode(const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    char *out = malloc(len / 3 * 4 + 5), *to = out;

    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)from[i] << 16;

        group |= have > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        group |= have > 2 ? from[i + 2] : 0;
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = have > 1 ? alphabet[group >> 6 & 63] : '=';
        *to++ = have > 2 ? alphabet[group & 63] : '=';
    }
    *to = '\0';
    return out;
}

static int digit(char c)
{
    const char *at = c ? memchr(alphabet, c, sizeof(alphabet) - 1) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

int manifest_base64_decode(const char *text, size_t text_len, uint8_t **bytes, size_t *len)
{
    uint8_t *out = malloc(text_len / 4 * 3 + 4), *to = out;
    unsigned digits = 0, padding = 0;
    uint32_t group = 0;

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < text_len; i++) {
        int value = digit(text[i]);

        if (text[i] == '\n' || text[i] == '\r')
            continue;
        if (text[i] == '=' && digits >= 2 && digits + padding < 4) {
            padding++;
            continue;
        }
        if (value < 0 || padding)
            goto bad;
        group = group << 6 | (uint32_t)value;
        if (++digits == 4) {
            *to++ = (uint8_t)(group >> 16);
            *to++ = (uint8_t)(group >> 8);
            *to++ = (uint8_t)group;
            digits = 0;
            group = 0;
        }
    }
    if (digits) {
        group <<= 6 * padding;
        if (digits + padding != 4 || group & ((1u << 8 * padding) - 1))
            goto bad;
        *to++ = (uint8_t)(group >> 16);
        if (padding == 1)
            *to++ = (uint8_t)(group >> 8);
    }
    *to = '\0';
    *bytes = out;
    *len = (size_t)(to - out);
    return 0;

bad:
    free(out);
    return -EINVAL;
}
