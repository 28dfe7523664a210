// SPDX-License-Identifier: Apache-2.0
/* Base64: see base64.h. No state. */
#include "base/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *bytes, size_t len, char *text)
{
    const uint8_t *from = bytes;

    while (len > 0) {
        size_t taken = len < 3 ? len : 3;
        uint32_t group = (uint32_t)from[0] << 16;

        if (taken > 1)
            group |= (uint32_t)from[1] << 8;
        if (taken > 2)
            group |= from[2];
        text[0] = alphabet[group >> 18];
        text[1] = alphabet[group >> 12 & 63];
        text[2] = taken > 1 ? alphabet[group >> 6 & 63] : '=';
        text[3] = taken > 2 ? alphabet[group & 63] : '=';
        text += 4;
        from += taken;
        len -= taken;
    }
    *text = '\0';
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Four characters, of which `padding` are no more than that; false when one is none. */
static bool decode_group(const char *text, unsigned padding, uint32_t *group)
{
    *group = 0;
    for (unsigned i = 0; i < 4; i++) {
        int value = i < 4 - padding ? value_of(text[i]) : 0;

        if (value < 0)
            return false;
        *group = *group << 6 | (uint32_t)value;
    }
    return true;
}

int base64_decode(const char *text, size_t text_len, void *bytes, size_t *len)
{
    uint8_t *to = bytes;

    if (text_len % 4)
        return -EINVAL;
    for (size_t at = 0; at < text_len; at += 4) {
        unsigned padding = 0;
        uint32_t group;

        if (at + 4 == text_len && text[at + 3] == '=')
            padding = text[at + 2] == '=' ? 2 : 1;
        /* Bits that are no byte's are 0: one text for each sequence of bytes. */
        if (!decode_group(text + at, padding, &group) || group & ((1u << 8 * padding) - 1))
            return -EINVAL;
        for (unsigned i = 0; i < 3 - padding; i++)
            *to++ = (uint8_t)(group >> (16 - 8 * i));
    }
    *len = (size_t)(to - (uint8_t *)bytes);
    return 0;
}
