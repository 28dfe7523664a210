// SPDX-License-Identifier: Apache-2.0
/* Reading JSON: see node.h. No state. */
#include "guest/agent/node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "husk/agent.h"

#define DEPTH_MAX    HUSK_AGENT_JSON_DEPTH
/* Doubles are exact up to here. */
#define EXACT_MAX    (1ull << 53)
/* The smallest double that no unsigned 64-bit integer but the last 1024 becomes. */
#define UNSIGNED_END 18446744073709549568.0

struct node node_root(const json_t *json, const char *name)
{
    return (struct node){.json = json, .key = name};
}

struct node node_member(const struct node *up, const char *key)
{
    const json_t *json = json_object_get(up->json, key);

    return (struct node){.json = json_is_null(json) ? NULL : json, .up = up, .key = key};
}

struct node node_element(const struct node *up, size_t index)
{
    return (struct node){.json = json_array_get(up->json, index), .up = up, .index = index};
}

/* From the root down. */
static void node_path(const struct node *node, char *buf, size_t size)
{
    const struct node *way[DEPTH_MAX + 4] = {NULL};
    size_t depth = 0, len = 0;

    for (; node && depth < ARRAY_SIZE(way); node = node->up)
        way[depth++] = node;
    buf[0] = '\0';
    while (depth-- > 0 && len < size) {
        const struct node *at = way[depth];
        int wrote;

        if (at->key)
            wrote = snprintf(buf + len, size - len, "%s%s", len ? "." : "", at->key);
        else
            wrote = snprintf(buf + len, size - len, "[%zu]", at->index);
        len += wrote > 0 ? (size_t)wrote : 0;
    }
}

int node_error(const struct node *node, int code, struct husk_error *err, const char *why, ...)
{
    char path[512], reason[192];
    va_list args;

    node_path(node, path, sizeof(path));
    va_start(args, why);
    vsnprintf(reason, sizeof(reason), why, args);
    va_end(args);
    make_printable(reason);
    return error_set(err, code, path, code == ENOTSUP ? "is not supported" : "is not valid", "%s",
                     reason);
}

int node_object(const struct node *up, const char *key, struct node *out, struct husk_error *err)
{
    *out = node_member(up, key);
    if (out->json && !json_is_object(out->json))
        return node_error(out, EINVAL, err, "wants an object");
    return 0;
}

int node_object_at(const struct node *up, size_t index, struct node *out, struct husk_error *err)
{
    *out = node_element(up, index);
    if (!json_is_object(out->json))
        return node_error(out, EINVAL, err, "wants an object");
    return 0;
}

int node_array(const struct node *up, const char *key, size_t max, struct node *out,
               struct husk_error *err)
{
    *out = node_member(up, key);
    if (out->json && !json_is_array(out->json))
        return node_error(out, EINVAL, err, "wants an array");
    if (json_array_size(out->json) > max)
        return node_error(out, E2BIG, err, "has more than %zu elements", max);
    return 0;
}

size_t node_count(const struct node *node)
{
    return json_is_object(node->json) ? json_object_size(node->json) : json_array_size(node->json);
}

int node_need(const struct node *node, struct husk_error *err)
{
    return node->json ? 0 : node_error(node, EINVAL, err, "is missing");
}

int node_text_value(const struct node *node, size_t min, size_t max, const char **out,
                    struct husk_error *err)
{
    size_t len = json_string_length(node->json);

    if (!json_is_string(node->json))
        return node_error(node, EINVAL, err, "wants a text");
    if (len < min || len > max)
        return node_error(node, EINVAL, err, "has %zu bytes, not %zu to %zu", len, min, max);
    *out = json_string_value(node->json);
    return 0;
}

int node_text(const struct node *up, const char *key, size_t min, size_t max, const char **out,
              struct husk_error *err)
{
    struct node node = node_member(up, key);

    return node.json ? node_text_value(&node, min, max, out, err) : 0;
}

int node_need_text(const struct node *up, const char *key, size_t min, size_t max, const char **out,
                   struct husk_error *err)
{
    struct node node = node_member(up, key);
    int ret = node_need(&node, err);

    return ret ? ret : node_text_value(&node, min, max, out, err);
}

int node_texts(const struct node *up, const char *key, size_t count_max, size_t len_max,
               const char ***out, struct husk_error *err)
{
    struct node array;
    const char **texts;
    int ret = node_array(up, key, count_max, &array, err);

    if (ret || !array.json)
        return ret;
    texts = calloc(node_count(&array) + 1, sizeof(*texts));
    if (!texts)
        return node_error(&array, ENOMEM, err, "no memory");
    for (size_t i = 0; i < node_count(&array) && !ret; i++) {
        struct node element = node_element(&array, i);

        ret = node_text_value(&element, 0, len_max, &texts[i], err);
    }
    if (ret)
        free(texts);
    else
        *out = texts;
    return ret;
}

int node_integer(const struct node *up, const char *key, int64_t min, int64_t max, int64_t *out,
                 bool *given, struct husk_error *err)
{
    struct node node = node_member(up, key);
    double real = json_real_value(node.json);
    int64_t value;

    if (given)
        *given = node.json != NULL;
    if (!node.json)
        return 0;
    if (json_is_integer(node.json))
        value = json_integer_value(node.json);
    else if (json_is_real(node.json) && real >= -(double)EXACT_MAX && real <= (double)EXACT_MAX &&
             (double)(int64_t)real == real)
        value = (int64_t)real;
    else if (json_is_real(node.json) && real >= UNSIGNED_END && max == INT64_MAX)
        value = INT64_MAX;
    else
        return node_error(&node, EINVAL, err, "wants an integer");
    if (value < min || value > max)
        return node_error(&node, ERANGE, err, "wants %lld to %lld", (long long)min, (long long)max);
    *out = value;
    return 0;
}

int node_unsigned(const struct node *up, const char *key, uint64_t max, uint64_t *out, bool *given,
                  struct husk_error *err)
{
    struct node node = node_member(up, key);
    int64_t value = 0;
    int ret;

    if (json_is_real(node.json) && json_real_value(node.json) >= UNSIGNED_END &&
        max == UINT64_MAX) {
        *out = UINT64_MAX;
        if (given)
            *given = true;
        return 0;
    }
    ret = node_integer(up, key, 0, max > INT64_MAX ? INT64_MAX : (int64_t)max, &value, given, err);
    if (!ret && node.json)
        *out = (uint64_t)value;
    return ret;
}

int node_flag(const struct node *up, const char *key, bool *out, struct husk_error *err)
{
    struct node node = node_member(up, key);

    if (!node.json)
        return 0;
    if (!json_is_boolean(node.json))
        return node_error(&node, EINVAL, err, "wants true or false");
    *out = json_is_true(node.json);
    return 0;
}

int node_choice(const struct node *up, const char *key, const char *const *words, unsigned count,
                unsigned *out, bool *given, struct husk_error *err)
{
    struct node node = node_member(up, key);
    const char *text = "";
    int ret;

    if (given)
        *given = node.json != NULL;
    if (!node.json)
        return 0;
    ret = node_text_value(&node, 0, 64, &text, err);
    if (ret)
        return ret;
    for (unsigned i = 0; i < count; i++) {
        if (!strcmp(words[i], text)) {
            *out = i;
            return 0;
        }
    }
    return node_error(&node, EINVAL, err, "\"%s\" is none of the known words", text);
}

int node_only(const struct node *node, const char *const *names, struct husk_error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)node->json, key, value)
    {
        struct node member = {.json = value, .up = node, .key = key};
        const char *const *name = names;

        while (*name && strcmp(*name, key))
            name++;
        if (!*name)
            return node_error(&member, EINVAL, err, "is not known");
    }
    return 0;
}

int node_unsupported(const struct node *up, const char *key, struct husk_error *err)
{
    struct node node = node_member(up, key);

    if (!node.json || json_is_false(node.json) ||
        (json_is_string(node.json) && json_string_length(node.json) == 0) ||
        ((json_is_object(node.json) || json_is_array(node.json)) && node_count(&node) == 0))
        return 0;
    return node_error(&node, ENOTSUP, err, "this agent does not do it");
}

/* Deep nesting costs stack in every recursion over the document: count it in the text. */
static bool too_deep(const char *text, size_t len)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > DEPTH_MAX)
            return true;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

json_t *json_parse_object(const char *text, size_t len, struct husk_error *err)
{
    json_error_t error;
    json_t *json;

    if (too_deep(text, len)) {
        error_set(err, EINVAL, "", "cannot read the message", "more than %d levels", DEPTH_MAX);
        return NULL;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!json && json_error_code(&error) == json_error_numeric_overflow)
        json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (!json) {
        char reason[192];

        snprintf(reason, sizeof(reason), "%s (line %d)", error.text, error.line);
        make_printable(reason);
        error_set(err, EINVAL, "", "cannot read the message", "%s", reason);
        return NULL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        error_set(err, EINVAL, "", "cannot read the message", "not an object");
        return NULL;
    }
    return json;
}
