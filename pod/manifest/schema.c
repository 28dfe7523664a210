// SPDX-License-Identifier: Apache-2.0
/* Objects against tables of their fields: see schema.h. */
#include "pod/manifest/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/similar.h"
#include "pod/manifest/quantity.h"

#define CANNOT_USE "cannot be used"

unsigned schema_enter(struct schema_check *check, const char *format, ...)
{
    size_t len = strlen(check->path);
    va_list args;

    va_start(args, format);
    vsnprintf(check->path + len, sizeof(check->path) - len, format, args);
    va_end(args);
    return (unsigned)len;
}

void schema_leave(struct schema_check *check, unsigned before)
{
    check->path[before] = '\0';
}

static void describe(const struct schema_check *check, const char *below, char *out, size_t size)
{
    char path[sizeof(check->path) + 64];
    const char *full = path;

    snprintf(path, sizeof(path), "%s%s", check->path, below);
    full += *full == '.';
    if (check->line)
        snprintf(out, size, "%s:%u%s%s", check->where, check->line(check->line_arg, full),
                 *full ? ": " : "", full);
    else
        snprintf(out, size, "%s%s%s", check->where, *full ? ": " : "", full);
}

int schema_fail(struct schema_check *check, int code, const char *below, const char *what)
{
    char where[sizeof(check->path) + 512];

    describe(check, below, where, sizeof(where));
    return error_set(check->err, code, where, CANNOT_USE, "%s", what);
}

static int no_memory(struct schema_check *check)
{
    return error_set(check->err, ENOMEM, check->where, "cannot be read", NULL);
}

static int wrong_type(struct schema_check *check, const json_t *value, const char *wanted)
{
    bool to_quote = !strcmp(wanted, "a text") && !json_is_object(value) && !json_is_array(value);
    bool quoted =
        json_is_string(value) && (!strcmp(wanted, "true or false") || !strcmp(wanted, "a number"));
    char text[96];

    snprintf(text, sizeof(text), "must be %s%s", wanted,
             to_quote ? ": put quotes around it"
             : quoted ? ", without quotes"
                      : "");
    return schema_fail(check, EINVAL, "", text);
}

/* ---- values ---- */

static int no_word(struct schema_check *check, const char *const *words)
{
    char text[160] = "must be";
    size_t len = strlen(text);

    for (unsigned i = 0; words[i] && len < sizeof(text); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
                                !i             ? " "
                                : words[i + 1] ? ", "
                                               : " or ",
                                words[i]);
    return schema_fail(check, EINVAL, "", text);
}

static int check_text(struct schema_check *check, const struct schema_field *field,
                      const char *text)
{
    const char *problem = format_problem(field->format, text);

    for (unsigned i = 0; field->words && strcmp(field->words[i], text) != 0; i++) {
        if (!field->words[i + 1])
            return no_word(check, field->words);
    }
    return problem ? schema_fail(check, EINVAL, "", problem) : 0;
}

static int read_text(struct schema_check *check, const struct schema_field *field,
                     const json_t *value, json_t **out)
{
    int ret;

    if (!json_is_string(value))
        return wrong_type(check, value, "a text");
    if (!json_string_length(value))
        return 0;
    ret = check_text(check, field, json_string_value(value));
    if (!ret)
        *out = json_incref((json_t *)value);
    return ret;
}

static int read_bool(struct schema_check *check, const struct schema_field *field,
                     const json_t *value, json_t **out)
{
    if (!json_is_boolean(value))
        return wrong_type(check, value, "true or false");
    if (json_is_true(value) || (field->flags & FIELD_KEEP_FALSE))
        *out = json_incref((json_t *)value);
    return 0;
}

static int read_int(struct schema_check *check, const struct schema_field *field,
                    const json_t *value, json_t **out)
{
    char text[96];

    if (!json_is_integer(value))
        return wrong_type(check, value, "a number");
    if ((field->least || field->most) &&
        (json_integer_value(value) < field->least || json_integer_value(value) > field->most)) {
        snprintf(text, sizeof(text), "must be %lld to %lld", (long long)field->least,
                 (long long)field->most);
        return schema_fail(check, EINVAL, "", text);
    }
    *out = json_incref((json_t *)value);
    return 0;
}

static int read_quantity(struct schema_check *check, const json_t *value, json_t **out)
{
    char text[64], canonical[QUANTITY_BYTES] = "";
    int ret = -EINVAL;

    if (json_is_integer(value))
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof(text), "%.15g", json_real_value(value));
    else if (json_is_string(value) && json_string_length(value) < sizeof(text))
        snprintf(text, sizeof(text), "%s", json_string_value(value));
    else
        text[0] = '\0';
    if (text[0])
        ret = quantity_canonical(text, canonical);
    if (ret || canonical[0] == '-')
        return schema_fail(check, EINVAL, "",
                           ret == -ERANGE ? "is too large"
                                          : "must be a quantity, such as 500m, 1.5, 128Mi or 1G");
    *out = json_string(canonical);
    return *out ? 0 : no_memory(check);
}

static int read_port(struct schema_check *check, const json_t *value, json_t **out)
{
    const char *text = json_string_value(value);
    const char *problem = text ? format_problem(FORMAT_PORT_NAME, text) : NULL;

    if (!text && !json_is_integer(value))
        return wrong_type(check, value, "a number, or the name of a port");
    if (problem)
        return schema_fail(check, EINVAL, "", problem);
    if (!text && (json_integer_value(value) < 1 || json_integer_value(value) > UINT16_MAX))
        return schema_fail(check, EINVAL, "", "must be 1 to 65535");
    *out = json_incref((json_t *)value);
    return 0;
}

static bool is_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && !json_string_length(value)) ||
           (json_is_array(value) && !json_array_size(value)) ||
           (json_is_object(value) && !json_object_size(value));
}

/* ---- lists and maps ---- */

static int read_value(struct schema_check *check, const struct schema_field *field,
                      const json_t *value, json_t **out);

/* A list whose members are of another type of the same field. */
static int read_list(struct schema_check *check, const struct schema_field *field,
                     const json_t *value, enum schema_type type, json_t **out)
{
    struct schema_field one = *field;
    json_t *list, *member;
    size_t i;
    int ret = 0;

    if (!json_is_array(value))
        return wrong_type(check, value, "a list");
    one.type = type;
    one.flags |= FIELD_KEEP_EMPTY;
    list = json_array();
    json_array_foreach((json_t *)value, i, member)
    {
        unsigned before = schema_enter(check, "[%zu]", i);
        json_t *result = NULL;

        if (!ret && type == SCHEMA_TEXT && json_is_string(member) && !json_string_length(member))
            result = json_incref(member); /* an argument may be empty */
        else if (!ret)
            ret = json_is_null(member) ? schema_fail(check, EINVAL, "", "must not be nothing")
                                       : read_value(check, &one, member, &result);
        if (!ret && json_array_append_new(list, result))
            ret = no_memory(check);
        schema_leave(check, before);
    }
    if (!ret && json_array_size(list))
        *out = list;
    else
        json_decref(list);
    return ret;
}

static void enter_key(struct schema_check *check, const char *key, unsigned *before)
{
    *before =
        strpbrk(key, ".[]/") ? schema_enter(check, "[%s]", key) : schema_enter(check, ".%s", key);
}

static int check_key(struct schema_check *check, const struct schema_field *field, const char *key)
{
    const char *problem = format_problem(field->keys, key);

    for (unsigned i = 0; field->words && strcmp(field->words[i], key) != 0; i++) {
        if (!field->words[i + 1])
            return schema_fail(check, EINVAL, "", "is not supported");
    }
    return problem ? schema_fail(check, EINVAL, "", problem) : 0;
}

static int read_map(struct schema_check *check, const struct schema_field *field,
                    const json_t *value, bool quantities, json_t **out)
{
    json_t *map, *member;
    const char *key;
    int ret = 0;

    if (!json_is_object(value))
        return wrong_type(check, value, "a map");
    map = json_object();
    json_object_foreach((json_t *)value, key, member)
    {
        json_t *result = NULL;
        unsigned before;

        if (ret)
            break;
        enter_key(check, key, &before);
        ret = check_key(check, field, key);
        if (!ret && quantities)
            ret = read_quantity(check, member, &result);
        else if (!ret && !json_is_string(member))
            ret = wrong_type(check, member, "a text");
        else if (!ret && format_problem(field->format, json_string_value(member)) &&
                 (json_string_length(member) || field->format != FORMAT_LABEL_VALUE))
            ret = schema_fail(check, EINVAL, "",
                              format_problem(field->format, json_string_value(member)));
        else if (!ret)
            result = json_incref(member);
        if (!ret && json_object_set_new(map, key, result))
            ret = no_memory(check);
        schema_leave(check, before);
    }
    if (!ret && json_object_size(map))
        *out = map;
    else
        json_decref(map);
    return ret;
}

static int read_object(struct schema_check *check, const struct schema_field *field,
                       const json_t *value, json_t **out)
{
    json_t *object = NULL;
    int ret = schema_read(check, field->object, value, &object);

    if (ret)
        return ret;
    if (json_object_size(object) || (field->flags & (FIELD_KEEP_EMPTY | FIELD_ONE_OF)))
        *out = object;
    else
        json_decref(object);
    return 0;
}

/* *out stays NULL for what is as if it were not there. */
static int read_value(struct schema_check *check, const struct schema_field *field,
                      const json_t *value, json_t **out)
{
    if (json_is_null(value))
        return 0;
    switch (field->type) {
    case SCHEMA_TEXT:
        return read_text(check, field, value, out);
    case SCHEMA_TEXTS:
        return read_list(check, field, value, SCHEMA_TEXT, out);
    case SCHEMA_BOOL:
        return read_bool(check, field, value, out);
    case SCHEMA_INT:
        return read_int(check, field, value, out);
    case SCHEMA_INTS:
        return read_list(check, field, value, SCHEMA_INT, out);
    case SCHEMA_QUANTITY:
        return read_quantity(check, value, out);
    case SCHEMA_QUANTITIES:
        return read_map(check, field, value, true, out);
    case SCHEMA_MAP:
        return read_map(check, field, value, false, out);
    case SCHEMA_OBJECT:
        return read_object(check, field, value, out);
    case SCHEMA_OBJECTS:
        return read_list(check, field, value, SCHEMA_OBJECT, out);
    case SCHEMA_PORT:
        return read_port(check, value, out);
    case SCHEMA_UNSUPPORTED:
        return 0; /* schema_read() has looked at it */
    default:
        if (!is_nothing(value))
            *out = json_incref((json_t *)value);
        return 0;
    }
}

/* ---- objects ---- */

static const struct schema_field *find_field(const struct schema_object *object, const char *name)
{
    for (const struct schema_field *at = object->fields; at->name; at++) {
        if (!strcmp(at->name, name))
            return at;
    }
    return NULL;
}

/* What husk does not do: an error, with a reason where there is one, or a line. */
static int refuse(struct schema_check *check, const char *what, const char *why)
{
    char where[sizeof(check->path) + 256], line[sizeof(where) + 32], text[160];

    if (!check->lenient) {
        snprintf(text, sizeof(text), "%s%s%s", what, why ? ": " : "", why ? why : "");
        return schema_fail(check, EINVAL, "", text);
    }
    describe(check, "", where, sizeof(where));
    snprintf(line, sizeof(line), "%s: %s, and left out", where, what);
    if (check->warn)
        check->warn(check->warn_arg, line);
    return 0;
}

/* "did you mean image?", or NULL. For the one line of an error: it is too slow for thousands. */
static const char *meant(const struct schema_object *object, const char *key, char *text,
                         size_t size)
{
    struct similar similar;

    similar_begin(&similar, key);
    for (const struct schema_field *at = object->fields; at->name; at++) {
        if (at->type != SCHEMA_UNSUPPORTED)
            similar_offer(&similar, at->name);
    }
    if (!similar.best)
        return NULL;
    snprintf(text, size, "did you mean %s?", similar.best);
    return text;
}

static int read_member(struct schema_check *check, const struct schema_object *object,
                       const char *key, const json_t *value, json_t *out)
{
    const struct schema_field *field = find_field(object, key);
    json_t *result = NULL;
    char hint[96];
    unsigned before;
    int ret;

    enter_key(check, key, &before);
    if (!field)
        ret = refuse(check, "is no field that husk knows",
                     check->lenient ? NULL : meant(object, key, hint, sizeof(hint)));
    else if (field->type == SCHEMA_UNSUPPORTED)
        ret = is_nothing(value) ? 0 : refuse(check, "is not supported", field->why);
    else
        ret = read_value(check, field, value, &result);
    if (!ret && result && json_object_set_new(out, key, result))
        ret = no_memory(check);
    schema_leave(check, before);
    return ret;
}

static json_t *fallback_of(const struct schema_field *field)
{
    return field->type == SCHEMA_INT ? json_integer(strtoll(field->fallback, NULL, 10))
                                     : json_string(field->fallback);
}

/* Whether an object says no more than what was read of it: nothing has been left out. */
static bool is_all_read(const json_t *value, const json_t *out)
{
    const char *key;
    json_t *member;

    json_object_foreach((json_t *)value, key, member)
    {
        if (!json_is_null(member) && !json_object_get(out, key))
            return false;
    }
    return true;
}

/* The one that is meant when none is said. */
static int choose(struct schema_check *check, const struct schema_object *object,
                  const json_t *value, json_t *out)
{
    for (const struct schema_field *at = object->fields; at->name; at++) {
        if (!(at->flags & FIELD_IF_NONE) || !is_all_read(value, out))
            continue;
        return json_object_set_new(out, at->name, json_object()) ? no_memory(check) : 0;
    }
    return schema_fail(check, EINVAL, "", "does not say what it is, or says what is not supported");
}

/* What is not there: defaults, errors; and exactly one of those of which one must be. */
static int complete(struct schema_check *check, const struct schema_object *object,
                    const json_t *value, json_t *out)
{
    unsigned choices = 0, chosen = 0;

    for (const struct schema_field *at = object->fields; at->name; at++) {
        bool there = json_object_get(out, at->name) != NULL;
        char below[64];

        choices += (at->flags & FIELD_ONE_OF) != 0;
        chosen += there && (at->flags & FIELD_ONE_OF);
        if (there)
            continue;
        snprintf(below, sizeof(below), ".%s", at->name);
        if (at->flags & FIELD_REQUIRED)
            return schema_fail(check, EINVAL, below, "is required");
        if (at->fallback && json_object_set_new(out, at->name, fallback_of(at)))
            return no_memory(check);
    }
    if (chosen > 1)
        return schema_fail(check, EINVAL, "", "must be one thing, and is several at once");
    return choices && !chosen ? choose(check, object, value, out) : 0;
}

int schema_read(struct schema_check *check, const struct schema_object *object, const json_t *value,
                json_t **out)
{
    json_t *result, *member;
    const char *key;
    int ret = 0;

    if (!json_is_object(value))
        return wrong_type(check, value, "a map");
    result = json_object();
    if (!result)
        return no_memory(check);
    json_object_foreach((json_t *)value, key, member)
    {
        ret = read_member(check, object, key, member, result);
        if (ret)
            break;
    }
    if (!ret)
        ret = complete(check, object, value, result);
    if (ret) {
        json_decref(result);
        return ret;
    }
    *out = result;
    return 0;
}
