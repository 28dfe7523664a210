// SPDX-License-Identifier: Apache-2.0
/*
 * JSON objects of a fixed shape, read into C structs and written from them.
 *
 * A shape is a constant table of fields: the name, what it may hold, and where in the struct it
 * goes. One table serves both directions, so that what a GET answers is what a PUT takes.
 *
 * Reading is strict: members that the table does not name are refused, required ones must be there,
 * every value has its type and its range, and the fault names the field. An optional member that is
 * null counts as absent. (Duplicate members and bad UTF-8 are refused by the parser.)
 *
 * A struct of a shape begins with `bool given`, which reading sets. All zero is "nothing given".
 */
#ifndef HUSK_VMM_API_JSON_H
#define HUSK_VMM_API_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/api/fault.h"

enum json_kind {
    JSON_TEXT,   /* char *, owned; NULL when absent; min..max bytes */
    JSON_NUMBER, /* struct json_number; an integer min..max */
    JSON_FLAG,   /* struct json_flag */
    JSON_CHOICE, /* struct json_choice; one of `choices` */
    JSON_PART,   /* a struct of `shape` */
    JSON_VALUE,  /* json_t *, owned; any value, for its user to check; NULL when absent */
};

struct json_number {
    bool given;
    uint64_t value;
};

struct json_flag {
    bool given;
    bool value;
};

struct json_choice {
    bool given;
    unsigned value; /* index into the choices */
};

struct json_shape;

struct json_field {
    const char *name;
    enum json_kind kind;
    size_t offset;
    bool required;
    bool any_case; /* a CHOICE is compared without regard to case */
    bool quiet;    /* written only when given, instead of as null */
    uint64_t min, max;
    const char *const *choices; /* NULL-terminated */
    const struct json_shape *shape;
};

struct json_shape {
    const struct json_field *fields;
    unsigned count;
};

#define JSON_SHAPE(table)                             \
    {                                                 \
        .fields = (table), .count = ARRAY_SIZE(table) \
    }

/* Parse a whole text: one value, nothing after it. Returns NULL with the fault filled. */
json_t *json_parse(const char *text, size_t len, struct api_fault *fault);

/* Read an object into *out, which is all zero. Nothing stays allocated after a failure. */
int json_read(const struct json_shape *shape, const json_t *value, void *out,
              struct api_fault *fault);

/* The same, from a text. */
int json_read_text(const struct json_shape *shape, const char *text, size_t len, void *out,
                   struct api_fault *fault);

/* A new object, or NULL without memory. */
json_t *json_write(const struct json_shape *shape, const void *in);

/* Free what reading allocated and make it all zero again. */
void json_release(const struct json_shape *shape, void *out);

/* How many of the fields are given. */
unsigned json_given(const struct json_shape *shape, const void *in);

/* What a value is, for messages: "string", "integer", … */
const char *json_type_name(const json_t *value);

/* Steal the value under a key of an object; -ENOMEM when it is NULL or does not fit. */
int json_put(json_t *object, const char *key, json_t *value);

#endif
