// SPDX-License-Identifier: Apache-2.0
/* Bounded JSON: see json.h. */
#include "pod/image/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Jansson's own limit of 2048 levels is one for its stack, not for what walks the result. */
static bool too_deep(const char *text, size_t len)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > IMAGE_JSON_DEPTH_MAX)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *image_json_parse(const void *bytes, size_t len, const char *where, struct husk_error *err)
{
    return image_json_parse_long(bytes, len, IMAGE_JSON_BYTES_MAX, where, err);
}

json_t *image_json_parse_long(const void *bytes, size_t len, size_t max, const char *where,
                              struct husk_error *err)
{
    json_error_t problem;
    json_t *document;

    if (len > max) {
        error_set(err, EFBIG, where, "is too long for a JSON document", "%zu bytes; at most %zu",
                  len, max);
        return NULL;
    }
    if (too_deep(bytes, len)) {
        error_set(err, EINVAL, where, "is nested too deep", "more than %u levels",
                  IMAGE_JSON_DEPTH_MAX);
        return NULL;
    }
    document = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &problem);
    if (!document) {
        error_set(err, EINVAL, where, "is not valid JSON", "line %d: %s", problem.line,
                  problem.text);
        return NULL;
    }
    if (!json_is_object(document)) {
        error_set(err, EINVAL, where, "is not a JSON object", "wants { ... }");
        json_decref(document);
        return NULL;
    }
    return document;
}

static const char *type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    default:
        return "of another type";
    }
}

int image_json_member(const json_t *object, const char *name, json_type type, bool required,
                      const json_t **out, const char *where, struct husk_error *err)
{
    const json_t *member = json_object_get(object, name);

    *out = NULL;
    if (!member || json_is_null(member)) {
        if (required)
            return error_set(err, EINVAL, where, "lacks a member", "\"%s\"", name);
        return 0;
    }
    if (json_typeof(member) != type)
        return error_set(err, EINVAL, where, "has a member of the wrong type", "\"%s\" must be %s",
                         name, type_name(type));
    *out = member;
    return 0;
}

int image_json_text(const json_t *object, const char *name, bool required, char *out, size_t size,
                    const char *where, struct husk_error *err)
{
    const json_t *member;
    const char *text;
    int ret = image_json_member(object, name, JSON_STRING, required, &member, where, err);

    out[0] = '\0';
    if (ret || !member)
        return ret;
    text = json_string_value(member);
    if (json_string_length(member) >= size)
        return error_set(err, EINVAL, where, "has a member that is too long",
                         "\"%s\": at most %zu bytes", name, size - 1);
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return error_set(err, EINVAL, where, "has control characters in a member", "\"%s\"",
                             name);
    }
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

int image_json_u64(const json_t *object, const char *name, uint64_t max, uint64_t *out,
                   const char *where, struct husk_error *err)
{
    const json_t *member;
    int ret = image_json_member(object, name, JSON_INTEGER, true, &member, where, err);

    if (ret)
        return ret;
    if (json_integer_value(member) < 0 || (uint64_t)json_integer_value(member) > max)
        return error_set(err, ERANGE, where, "has a number that is out of range",
                         "\"%s\" is not in 0 to %llu", name, (unsigned long long)max);
    *out = (uint64_t)json_integer_value(member);
    return 0;
}
