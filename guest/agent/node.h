// SPDX-License-Identifier: Apache-2.0
/*
 * Reading JSON that a stranger wrote: every value with its type and range, every error with the
 * path of its field ("config.linux.namespaces[1].type").
 *
 * A node is a place in a document: a value, or the lack of one, and the way to it. Nodes live on
 * the stack and point at the one above; all that they give out belongs to the document.
 *
 * Reading functions return 0, or -errno with the error filled. A member that is absent or null
 * leaves what it would set alone, unless said otherwise.
 */
#ifndef HUSK_GUEST_AGENT_NODE_H
#define HUSK_GUEST_AGENT_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct node {
    const json_t *json; /* NULL when absent */
    const struct node *up;
    const char *key; /* NULL for an element of an array */
    size_t index;
};

struct node node_root(const json_t *json, const char *name);
struct node node_member(const struct node *up, const char *key);
struct node node_element(const struct node *up, size_t index);

/* The error of this field: -code. */
int node_error(const struct node *node, int code, struct husk_error *err, const char *why, ...)
    __attribute__((format(printf, 4, 5)));

/* That the member is an object, or an array of at most max; *out has no json when it is absent. */
int node_object(const struct node *up, const char *key, struct node *out, struct husk_error *err);
int node_array(const struct node *up, const char *key, size_t max, struct node *out,
               struct husk_error *err);
/* The same for an element. */
int node_object_at(const struct node *up, size_t index, struct node *out, struct husk_error *err);

/* How many elements or members. */
size_t node_count(const struct node *node);

/* -EINVAL when absent. */
int node_need(const struct node *node, struct husk_error *err);

/* Texts of 1 to max bytes; "" is allowed where min is 0. */
int node_text(const struct node *up, const char *key, size_t min, size_t max, const char **out,
              struct husk_error *err);
int node_need_text(const struct node *up, const char *key, size_t min, size_t max, const char **out,
                   struct husk_error *err);
int node_text_value(const struct node *node, size_t min, size_t max, const char **out,
                    struct husk_error *err);

/* An array of texts as a NULL-terminated list, which is the caller's to free (the texts are not);
 * NULL when absent. */
int node_texts(const struct node *up, const char *key, size_t count_max, size_t len_max,
               const char ***out, struct husk_error *err);

/* *given (which may be NULL) becomes whether it was there. */
int node_integer(const struct node *up, const char *key, int64_t min, int64_t max, int64_t *out,
                 bool *given, struct husk_error *err);
/* Up to UINT64_MAX; see json_parse_object(). */
int node_unsigned(const struct node *up, const char *key, uint64_t max, uint64_t *out, bool *given,
                  struct husk_error *err);
int node_flag(const struct node *up, const char *key, bool *out, struct husk_error *err);

/* One of the words, whose index is *out. */
int node_choice(const struct node *up, const char *key, const char *const *words, unsigned count,
                unsigned *out, bool *given, struct husk_error *err);

/* Refuse members other than these (a NULL-terminated list). */
int node_only(const struct node *node, const char *const *names, struct husk_error *err);
/* Refuse the member as one that this agent does not support, if it is there and says anything:
 * null, false, "", [] and {} do not. */
int node_unsupported(const struct node *up, const char *key, struct husk_error *err);

/*
 * A whole text as an object: at most HUSK_AGENT_JSON_DEPTH deep, no duplicate names. Integers above
 * INT64_MAX make all numbers of the document inexact above 2^53; node_unsigned() takes them where
 * they are the end of the range and refuses them otherwise. NULL with the error filled.
 */
json_t *json_parse_object(const char *text, size_t len, struct husk_error *err);

#endif
