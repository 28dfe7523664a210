// SPDX-License-Identifier: Apache-2.0
/*
 * References to variables in texts, as Kubernetes has them: $(NAME) is the variable's value, or
 * stays as it is when there is none; $$ is $; anything else stands for itself.
 */
#ifndef HUSK_POD_PLAN_EXPAND_H
#define HUSK_POD_PLAN_EXPAND_H

#include <jansson.h>
#include <stddef.h>

#define EXPAND_MAX (128u << 10) /* bytes of the result */

/*
 * `variables` is an object of texts by name. *out is the caller's. *missing (may be NULL) becomes
 * the length of the first name that there is no variable for, found at *missing_at in the text.
 * Each byte of the text is looked at a few times at most, whatever is in it.
 * -E2BIG when the result is longer than EXPAND_MAX; -ENOMEM.
 */
int expand(const char *text, const json_t *variables, char **out, const char **missing_at,
           size_t *missing);

#endif
