// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of pod/spec share: refusing an option, making JSON of its text, and the parts that
 * spec_build() puts together. Every part returns 0, or -errno with the error filled; JSON that it
 * gives out is a new reference.
 */
#ifndef HUSK_POD_SPEC_PART_H
#define HUSK_POD_SPEC_PART_H

#include "pod/spec/spec.h"

#define SPEC_TEXT_MAX ((128u << 10) - 1) /* of an argument or a variable: execve(2) */

/* -code; where is the option and its value ("" or NULL: alone). */
int spec_refuse(struct husk_error *err, int code, const char *option, const char *value,
                const char *why_format, ...) __attribute__((format(printf, 5, 6)));
int spec_no_memory(struct husk_error *err);

/* A JSON string of at most SPEC_TEXT_MAX bytes; what is no UTF-8 cannot be told the agent. */
int spec_text(const char *option, const char *text, json_t **out, struct husk_error *err);
int spec_append_text(json_t *array, const char *option, const char *text, struct husk_error *err);
/* 0 or -ENOMEM; `value` is given away in any case, and may be NULL for want of memory. */
int spec_put(json_t *object, const char *key, json_t *value, struct husk_error *err);
int spec_append(json_t *array, json_t *value, struct husk_error *err);

/* An absolute path without control characters, of at most 4095 bytes. */
bool spec_is_path(const char *path);

/* files.c */
int spec_files(const struct spec_options *options, const char *hostname, struct spec *out,
               struct husk_error *err);

#endif
