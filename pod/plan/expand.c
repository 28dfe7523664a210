// SPDX-License-Identifier: Apache-2.0
/* References to variables: see expand.h. The rules are those of the Pod API, "command" and "args"
 * (Kubernetes API reference, Container v1 core). No state. */
#include "pod/plan/expand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    char *bytes;
    size_t len, size;
};

static int append(struct buffer *out, const char *bytes, size_t len)
{
    if (len > EXPAND_MAX - out->len)
        return -E2BIG;
    if (out->len + len + 1 > out->size) {
        size_t size = 2 * (out->len + len + 1);
        char *grown = realloc(out->bytes, size);

        if (!grown)
            return -ENOMEM;
        out->bytes = grown;
        out->size = size;
    }
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
    out->bytes[out->len] = '\0';
    return 0;
}

/* What stands at a '$'; *used is how much of the text it is. `close` is the text's last ')': one
 * that opens behind it is none, and is not looked through for its end. */
static int reference(const char *text, const char *close, const json_t *variables,
                     struct buffer *out, size_t *used, const char **missing_at, size_t *missing)
{
    const char *end = text[1] == '(' && text < close ? strchr(text, ')') : NULL;
    const json_t *value;
    size_t len;

    if (text[1] == '$') {
        *used = 2;
        return append(out, "$", 1);
    }
    if (!end) {
        *used = 1;
        return append(out, "$", 1);
    }
    len = (size_t)(end - text - 2);
    *used = len + 3;
    value = json_object_getn(variables, text + 2, len);
    if (value)
        return append(out, json_string_value(value), json_string_length(value));
    if (missing && !*missing_at) {
        *missing_at = text + 2;
        *missing = len;
    }
    return append(out, text, *used);
}

int expand(const char *text, const json_t *variables, char **out, const char **missing_at,
           size_t *missing)
{
    struct buffer buffer = {.bytes = NULL};
    const char *last = strrchr(text, ')'), *close = last ? last : text;
    int ret = append(&buffer, "", 0);

    if (missing)
        *missing_at = NULL;
    while (*text && !ret) {
        size_t used = strcspn(text, "$");

        if (used)
            ret = append(&buffer, text, used);
        else
            ret = reference(text, close, variables, &buffer, &used, missing_at, missing);
        text += used;
    }
    if (ret) {
        free(buffer.bytes);
        return ret;
    }
    *out = buffer.bytes;
    return 0;
}
