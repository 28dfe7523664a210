// SPDX-License-Identifier: Apache-2.0
/* Objects of a fixed shape: see json.h. Pure functions. */
#include "vmm/api/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"

static void *member_of(void *base, const struct json_field *field)
{
    return (char *)base + field->offset;
}

static const void *const_member_of(const void *base, const struct json_field *field)
{
    return (const char *)base + field->offset;
}

const char *json_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "floating point number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

json_t *json_parse(const char *text, size_t len, struct api_fault *fault)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (!value)
        api_fault_set(fault, "%s at line %d column %d", error.text, error.line, error.column);
    return value;
}

/* "`a`, `b`, `c`" of names, cut where it does not fit. */
static void list_names(char *out, size_t size, const char *name, bool first)
{
    size_t used = strlen(out);

    snprintf(out + used, size - used, "%s`%s`", first ? "" : ", ", name);
}

static int fault_unknown_field(const struct json_shape *shape, const char *key,
                               struct api_fault *fault)
{
    char names[320] = "";

    for (unsigned i = 0; i < shape->count; i++)
        list_names(names, sizeof(names), shape->fields[i].name, i == 0);
    return api_fault_set(fault, "unknown field `%.64s`, expected one of %s", key, names);
}

static int fault_choice(const struct json_field *field, const char *value, struct api_fault *fault)
{
    char names[320] = "";

    for (unsigned i = 0; field->choices[i]; i++)
        list_names(names, sizeof(names), field->choices[i], i == 0);
    return api_fault_set(fault, "unknown variant `%.64s` of field `%s`, expected one of %s", value,
                         field->name, names);
}

static int fault_type(const struct json_field *field, const json_t *value, const char *expected,
                      struct api_fault *fault)
{
    return api_fault_set(fault, "invalid type of field `%s`: %s, expected %s", field->name,
                         json_type_name(value), expected);
}

static int read_text(const struct json_field *field, const json_t *value, char **out,
                     struct api_fault *fault)
{
    size_t len;

    if (!json_is_string(value))
        return fault_type(field, value, "a string", fault);
    len = json_string_length(value);
    if (len < field->min || len > field->max)
        return api_fault_set(
            fault, "invalid length of field `%s`: %zu bytes, expected %" PRIu64 " to %" PRIu64,
            field->name, len, field->min, field->max);
    *out = strdup(json_string_value(value));
    return *out ? 0 : -ENOMEM;
}

static int read_number(const struct json_field *field, const json_t *value, struct json_number *out,
                       struct api_fault *fault)
{
    json_int_t number;

    if (!json_is_integer(value))
        return fault_type(field, value, "an integer", fault);
    number = json_integer_value(value);
    if (number < 0 || (uint64_t)number < field->min || (uint64_t)number > field->max)
        return api_fault_set(fault,
                             "invalid value of field `%s`: %lld, expected %" PRIu64 " to %" PRIu64,
                             field->name, (long long)number, field->min, field->max);
    *out = (struct json_number){true, (uint64_t)number};
    return 0;
}

static int read_choice(const struct json_field *field, const json_t *value, struct json_choice *out,
                       struct api_fault *fault)
{
    const char *text;

    if (!json_is_string(value))
        return fault_type(field, value, "a string", fault);
    text = json_string_value(value);
    for (unsigned i = 0; field->choices[i]; i++) {
        if (field->any_case ? !strcasecmp(text, field->choices[i])
                            : !strcmp(text, field->choices[i])) {
            *out = (struct json_choice){true, i};
            return 0;
        }
    }
    return fault_choice(field, text, fault);
}

static int read_part(const struct json_field *field, const json_t *value, void *out,
                     struct api_fault *fault)
{
    if (!json_is_object(value))
        return fault_type(field, value, "an object", fault);
    if (json_read(field->shape, value, out, fault))
        return api_fault_prefix(fault, field->name);
    return 0;
}

static int read_field(const struct json_field *field, json_t *value, void *base,
                      struct api_fault *fault)
{
    void *out = member_of(base, field);

    switch (field->kind) {
    case JSON_TEXT:
        return read_text(field, value, out, fault);
    case JSON_NUMBER:
        return read_number(field, value, out, fault);
    case JSON_FLAG:
        if (!json_is_boolean(value))
            return fault_type(field, value, "a boolean", fault);
        *(struct json_flag *)out = (struct json_flag){true, json_is_true(value)};
        return 0;
    case JSON_CHOICE:
        return read_choice(field, value, out, fault);
    case JSON_PART:
        return read_part(field, value, out, fault);
    case JSON_VALUE:
        *(json_t **)out = json_incref(value);
        return 0;
    }
    return -EINVAL;
}

static bool names_field(const struct json_shape *shape, const char *key)
{
    for (unsigned i = 0; i < shape->count; i++) {
        if (!strcmp(shape->fields[i].name, key))
            return true;
    }
    return false;
}

static int read_object(const struct json_shape *shape, const json_t *value, void *out,
                       struct api_fault *fault)
{
    const char *key;
    json_t *member;

    if (!json_is_object(value))
        return api_fault_set(fault, "invalid type: %s, expected an object", json_type_name(value));
    json_object_foreach((json_t *)value, key, member)
    {
        if (!names_field(shape, key))
            return fault_unknown_field(shape, key, fault);
    }
    for (unsigned i = 0; i < shape->count; i++) {
        const struct json_field *field = &shape->fields[i];
        int ret;

        member = json_object_get(value, field->name);
        if (!member || (json_is_null(member) && !field->required)) {
            if (field->required)
                return api_fault_set(fault, "missing field `%s`", field->name);
            continue;
        }
        ret = read_field(field, member, out, fault);
        if (ret == -ENOMEM)
            return api_fault_set(fault, "out of memory");
        if (ret)
            return ret;
    }
    return 0;
}

int json_read(const struct json_shape *shape, const json_t *value, void *out,
              struct api_fault *fault)
{
    int ret = read_object(shape, value, out, fault);

    if (ret)
        json_release(shape, out);
    else
        *(bool *)out = true;
    return ret;
}

int json_read_text(const struct json_shape *shape, const char *text, size_t len, void *out,
                   struct api_fault *fault)
{
    json_t *value = json_parse(text, len, fault);
    int ret = value ? json_read(shape, value, out, fault) : -EINVAL;

    json_decref(value);
    return ret;
}

static bool is_given(const struct json_field *field, const void *base)
{
    const void *at = const_member_of(base, field);

    switch (field->kind) {
    case JSON_TEXT:
    case JSON_VALUE:
        return *(void *const *)at != NULL;
    default:
        return *(const bool *)at;
    }
}

static json_t *write_field(const struct json_field *field, const void *base)
{
    const void *at = const_member_of(base, field);

    if (!is_given(field, base))
        return json_null();
    switch (field->kind) {
    case JSON_TEXT:
        return json_string(*(char *const *)at);
    case JSON_NUMBER:
        return json_integer((json_int_t)((const struct json_number *)at)->value);
    case JSON_FLAG:
        return json_boolean(((const struct json_flag *)at)->value);
    case JSON_CHOICE:
        return json_string(field->choices[((const struct json_choice *)at)->value]);
    case JSON_PART:
        return json_write(field->shape, at);
    case JSON_VALUE:
        return json_incref(*(json_t *const *)at);
    }
    return NULL;
}

int json_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) ? -ENOMEM : 0;
}

json_t *json_write(const struct json_shape *shape, const void *in)
{
    json_t *object = json_object();

    for (unsigned i = 0; object && i < shape->count; i++) {
        const struct json_field *field = &shape->fields[i];

        if (field->quiet && !is_given(field, in))
            continue;
        if (json_put(object, field->name, write_field(field, in))) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* What a field takes in its struct. */
static size_t field_size(const struct json_field *field)
{
    switch (field->kind) {
    case JSON_NUMBER:
        return sizeof(struct json_number);
    case JSON_FLAG:
        return sizeof(struct json_flag);
    case JSON_CHOICE:
        return sizeof(struct json_choice);
    default:
        return sizeof(void *);
    }
}

void json_release(const struct json_shape *shape, void *out)
{
    for (unsigned i = 0; i < shape->count; i++) {
        const struct json_field *field = &shape->fields[i];
        void *at = member_of(out, field);

        if (field->kind == JSON_PART) {
            json_release(field->shape, at);
            continue;
        }
        if (field->kind == JSON_TEXT)
            free(*(char **)at);
        if (field->kind == JSON_VALUE)
            json_decref(*(json_t **)at);
        memset(at, 0, field_size(field));
    }
    *(bool *)out = false;
}

unsigned json_given(const struct json_shape *shape, const void *in)
{
    unsigned count = 0;

    for (unsigned i = 0; i < shape->count; i++)
        count += is_given(&shape->fields[i], in);
    return count;
}
