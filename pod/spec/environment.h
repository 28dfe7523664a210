// SPDX-License-Identifier: Apache-2.0
/* A process's environment being put together: each name once, in the order of first appearance. */
#ifndef HUSK_POD_SPEC_ENVIRONMENT_H
#define HUSK_POD_SPEC_ENVIRONMENT_H

#include <jansson.h>
#include <stddef.h>

#include "husk/error.h"
#include "pod/spec/spec.h"

#define ENVIRONMENT_FILE_MAX (1u << 20) /* bytes of an --env-file */

struct environment {
    char *entries[SPEC_LIST_MAX]; /* "NAME=VALUE", ours */
    unsigned count;
};

/* NULL when memory is short. */
struct environment *environment_new(void);
void environment_free(struct environment *environment); /* NULL is fine */

/* Sets the variable of "NAME=VALUE", or takes away that of "NAME". */
int environment_set(struct environment *environment, const char *entry, struct husk_error *err);

/* One --env: "NAME" alone has its value of `callers` (environ, or NULL), or goes when that has
 * none. */
int environment_option(struct environment *environment, const char *text, char *const *callers,
                       struct husk_error *err);

/*
 * The contents of an --env-file: lines "NAME=VALUE", with everything behind the first "=" as it is;
 * "NAME" alone has its value of `callers`, and says nothing when that has none; blank lines and
 * those that begin with "#" are none. `where` names the file.
 */
int environment_parse(struct environment *environment, const char *bytes, size_t len,
                      char *const *callers, const char *where, struct husk_error *err);

/* Reads the file and does the same; blocks. */
int environment_file(struct environment *environment, const char *path, char *const *callers,
                     struct husk_error *err);

/* Entries in JSON: an array of texts, also in the other direction. */
int environment_json(const struct environment *environment, json_t **out, struct husk_error *err);
int environment_from_json(struct environment *environment, const json_t *array,
                          struct husk_error *err);

/* The files first, then the options, as engines do. */
int environment_options(struct environment *environment, const struct spec_words *files,
                        const struct spec_words *options, char *const *callers,
                        struct husk_error *err);

#endif
