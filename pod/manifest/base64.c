// SPDX-License-Identifier: Apache-2.0
/* See base64.h: what Kubernetes has beside base/base64.h. */
#include "pod/manifest/base64.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base64.h"

char *manifest_base64_encode(const void *bytes, size_t len)
{
    char *text = malloc(BASE64_LEN(len) + 1);

    if (text)
        base64_encode(bytes, len, text);
    return text;
}

int manifest_base64_decode(const char *text, size_t text_len, uint8_t **bytes, size_t *len)
{
    char *plain = malloc(text_len + 1);
    size_t plain_len = 0;
    int ret;

    if (!plain)
        return -ENOMEM;
    for (size_t i = 0; i < text_len; i++) {
        if (text[i] != '\n' && text[i] != '\r')
            plain[plain_len++] = text[i];
    }
    ret = base64_decode(plain, plain_len, plain, len); /* in place: what comes out is shorter */
    if (ret) {
        free(plain);
        return ret;
    }
    plain[*len] = '\0';
    *bytes = (uint8_t *)plain;
    return 0;
}
