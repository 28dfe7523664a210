// SPDX-License-Identifier: Apache-2.0
/*
 * Label selectors, as `kubectl -l` has them and as objects of Kubernetes do. A struct selector is
 * immutable; any number of threads may match with it.
 */
#ifndef HUSK_POD_MANIFEST_SELECTOR_H
#define HUSK_POD_MANIFEST_SELECTOR_H

#include <jansson.h>
#include <stdbool.h>

#include "husk/error.h"

#define SELECTOR_BYTES_MAX        4096u /* of a text */
#define SELECTOR_REQUIREMENTS_MAX 64u
#define SELECTOR_VALUES_MAX       256u /* of a selector */

struct selector;

/*
 * "app=web,tier!=db", "env in (a, b)", "env notin (a)", "canary", "!canary"; commas mean "and", ==
 * is =. != and notin are true of what lacks the label. NULL, and a text of blanks, mean
 * everything. *out is for selector_free(). -EINVAL with err (where: "selector"), -E2BIG, -ENOMEM.
 */
int selector_parse(const char *text, struct selector **out, struct husk_error *err);

/* The same of {"matchLabels": {...}, "matchExpressions": [{"key", "operator", "values"}]}, which
 * must have been checked already (Deployments are when they are read). */
int selector_from_object(const json_t *object, struct selector **out, struct husk_error *err);

/* labels: an object of strings, or NULL, which has none. */
bool selector_match(const struct selector *selector, const json_t *labels);

/* Takes NULL. */
void selector_free(struct selector *selector);

#endif
