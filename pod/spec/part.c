// SPDX-License-Identifier: Apache-2.0
/* Shared by the files of pod/spec: see part.h. No state. */
#include "pod/spec/part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int spec_refuse(struct husk_error *err, int code, const char *option, const char *value,
                const char *why_format, ...)
{
    char where[192], why[192];
    va_list args;

    va_start(args, why_format);
    vsnprintf(why, sizeof(why), why_format, args);
    va_end(args);
    make_printable(why);
    /* A long value is cut at its end: the option's name must stay. */
    if (value && *value)
        snprintf(where, sizeof(where), "%s %.120s%s", option, value,
                 strlen(value) > 120 ? "..." : "");
    else
        snprintf(where, sizeof(where), "%s", option);
    return error_set(err, code, where, "is not possible", "%s", why);
}

int spec_no_memory(struct husk_error *err)
{
    return error_set(err, ENOMEM, "config.json", "cannot be made", NULL);
}

int spec_text(const char *option, const char *text, json_t **out, struct husk_error *err)
{
    if (strlen(text) > SPEC_TEXT_MAX)
        return spec_refuse(err, E2BIG, option, text, "is longer than %u bytes", SPEC_TEXT_MAX);
    *out = json_string(text);
    if (*out)
        return 0;
    /* json_string() fails for both reasons. */
    *out = json_string_nocheck(text);
    if (!*out)
        return spec_no_memory(err);
    json_decref(*out);
    *out = NULL;
    return spec_refuse(err, EILSEQ, option, text, "is not valid UTF-8");
}

int spec_append_text(json_t *array, const char *option, const char *text, struct husk_error *err)
{
    json_t *value = NULL;
    int ret = spec_text(option, text, &value, err);

    return ret ? ret : spec_append(array, value, err);
}

int spec_put(json_t *object, const char *key, json_t *value, struct husk_error *err)
{
    return json_object_set_new(object, key, value) ? spec_no_memory(err) : 0;
}

int spec_append(json_t *array, json_t *value, struct husk_error *err)
{
    return json_array_append_new(array, value) ? spec_no_memory(err) : 0;
}

bool spec_is_path(const char *path)
{
    if (path[0] != '/' || strlen(path) > 4095)
        return false;
    for (; *path; path++) {
        if ((unsigned char)*path < 0x20 || *path == 0x7f)
            return false;
    }
    return true;
}
