// SPDX-License-Identifier: Apache-2.0
/*
 * JSON documents of strangers: bounded in size and depth, each name once in an object. And members
 * by name and type, with errors that name the member.
 */
#ifndef HUSK_POD_IMAGE_JSON_H
#define HUSK_POD_IMAGE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

#define IMAGE_JSON_BYTES_MAX (4u << 20) /* a manifest, an index, a configuration */
#define IMAGE_JSON_DEPTH_MAX 32u

/* A new reference to an object, or NULL with err filled; `where` names the document. */
json_t *image_json_parse(const void *bytes, size_t len, const char *where, struct husk_error *err);
/* The same for one of at most `max` bytes. */
json_t *image_json_parse_long(const void *bytes, size_t len, size_t max, const char *where,
                              struct husk_error *err);

/*
 * A borrowed member. `required` decides whether an absent one (or null) is an error; then and when
 * its type is wrong *out is NULL and -EINVAL returned. Absent and not required: 0 and NULL.
 */
int image_json_member(const json_t *object, const char *name, json_type type, bool required,
                      const json_t **out, const char *where, struct husk_error *err);

/* A string member without control characters, "" when absent and not required; too long is an
 * error. */
int image_json_text(const json_t *object, const char *name, bool required, char *out, size_t size,
                    const char *where, struct husk_error *err);

/* A required member that is an integer from 0 to max. */
int image_json_u64(const json_t *object, const char *name, uint64_t max, uint64_t *out,
                   const char *where, struct husk_error *err);

#endif
