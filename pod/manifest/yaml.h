// SPDX-License-Identifier: Apache-2.0
/*
 * YAML of strangers as JSON values, and the lines on which these were.
 *
 * What is taken: YAML 1.2 with the scalars of its core schema (10.3), which JSON is a part of. What
 * YAML 1.1 and 1.2 read differently is refused, not guessed: plain yes, no, on, off, y, n; but a
 * plain integer with a leading 0 is octal, as kubectl reads modes. Anchors and aliases are taken;
 * what they stand for counts each time against the limits of manifest.h. Refused are: keys that are
 * there twice, keys that are no scalars, merge keys (<<), tags other than the core schema's own for
 * what the value is anyway, NUL, numbers that 64 bits do not hold.
 */
#ifndef HUSK_POD_MANIFEST_YAML_H
#define HUSK_POD_MANIFEST_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "husk/error.h"

/* Where a value was: a tree of the same shape. */
struct yaml_place {
    unsigned line;
    unsigned count;
    char **keys;                 /* of a mapping; NULL for a sequence */
    struct yaml_place **members; /* ours, but those of aliases are the anchors' */
};

struct yaml_document {
    json_t *value;
    struct yaml_place *place;
};

struct yaml_text {
    struct yaml_document *documents; /* without those that are empty */
    unsigned count;
    struct yaml_place **places; /* all there are, for yaml_text_clear() */
    unsigned place_count, place_space;
};

/* `name` is what errors call the text: "NAME:LINE". On success *out is to be given to
 * yaml_text_clear(). -EINVAL, -E2BIG, -ENOMEM. */
int yaml_read(const char *name, const void *bytes, size_t len, struct yaml_text *out,
              struct husk_error *err);
/* Takes a zeroed one. */
void yaml_text_clear(struct yaml_text *text);

/* The line of what a path such as "spec.containers[0].image" means, or of the nearest thing above
 * it that is there. */
unsigned yaml_line(const struct yaml_place *place, const char *path);

#endif
