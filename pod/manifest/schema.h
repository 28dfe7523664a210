// SPDX-License-Identifier: Apache-2.0
/*
 * Objects of Kubernetes held against tables of their fields: what may be there, of what type and in
 * what range, what it is when it is not said, and whether husk does something about it. One table
 * serves reading, checking records once more, and telling what has changed (fields.h has them).
 *
 * The result is canonical: manifest.h says what that means.
 */
#ifndef HUSK_POD_MANIFEST_SCHEMA_H
#define HUSK_POD_MANIFEST_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/manifest/format.h"

enum schema_type {
    SCHEMA_TEXT,
    SCHEMA_TEXTS, /* a list */
    SCHEMA_BOOL,
    SCHEMA_INT,
    SCHEMA_INTS,
    SCHEMA_QUANTITY,   /* a text or number that quantity.h reads; becomes a text */
    SCHEMA_QUANTITIES, /* a map of these; `words` are the keys that may be there */
    SCHEMA_MAP,        /* of texts; keys of `keys`, values of `format` */
    SCHEMA_OBJECT,
    SCHEMA_OBJECTS,     /* a list */
    SCHEMA_PORT,        /* 1 to 65535, or the name of a port */
    SCHEMA_ANY,         /* whatever it is: without effect */
    SCHEMA_UNSUPPORTED, /* only nothing: null, false, and what is empty */
};

enum {
    FIELD_REQUIRED = 1,
    FIELD_KEEP_FALSE = 2, /* false is another thing than nothing */
    FIELD_KEEP_EMPTY = 4, /* so is an empty object */
    FIELD_NO_EFFECT = 8,  /* is kept as it is given; nobody reads it */
    FIELD_IN_PLACE = 16,  /* can be changed while the pod runs */
    FIELD_ONE_OF = 32,    /* exactly one of those of an object that have this */
    FIELD_IF_NONE = 64,   /* with FIELD_ONE_OF: this one, empty, when nothing is said of any */
};

struct schema_object;

struct schema_field {
    const char *name; /* NULL ends a table */
    enum schema_type type;
    unsigned flags;
    enum format format;
    enum format keys;         /* of SCHEMA_MAP */
    int64_t least, most;      /* of integers; both 0: what a 64-bit integer holds */
    const char *fallback;     /* a text, or an integer's digits; NULL: none */
    const char *const *words; /* what a text may be, ended by NULL; NULL: anything of the format */
    const struct schema_object *object;
    const char *why; /* there is no effect, or no support */
};

struct schema_object {
    const char *name; /* for the documentation: "Container" */
    const struct schema_field *fields;
};

/* A check under way. */
struct schema_check {
    const char *where;                             /* the file or record */
    unsigned (*line)(void *arg, const char *path); /* NULL: lines are not known */
    void *line_arg;
    bool lenient; /* what is unknown or unsupported is told to `warn`, and left out */
    void (*warn)(void *arg, const char *line);
    void *warn_arg;
    char path[512]; /* of what is being looked at */
    struct husk_error *err;
};

/* *out is a new reference. -EINVAL, -ENOMEM. */
int schema_read(struct schema_check *check, const struct schema_object *object, const json_t *value,
                json_t **out);

/* -code with "WHERE:LINE: PATH" as where; the path is what is being looked at and `below` ("" or
 * ".name" or "[0]"). */
int schema_fail(struct schema_check *check, int code, const char *below, const char *what)
    __attribute__((nonnull));

/* Appends to the path, printf-like; returns what schema_leave() takes it back by. */
unsigned schema_enter(struct schema_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void schema_leave(struct schema_check *check, unsigned before);

/*
 * Adds the paths of what differs between two canonical objects to `changed`, at the nearest field
 * that can be changed in place, else at the deepest. *fixed is the first that cannot be, "" at the
 * beginning. -ENOMEM.
 */
int schema_compare(const struct schema_object *object, const json_t *before, const json_t *after,
                   json_t *changed, char fixed[512]);

#endif
