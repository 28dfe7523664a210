// SPDX-License-Identifier: Apache-2.0
/* Plain scalars of YAML: see yaml.h. Pure. */
#ifndef HUSK_POD_MANIFEST_SCALAR_H
#define HUSK_POD_MANIFEST_SCALAR_H

#include <jansson.h>
#include <stddef.h>

/* What a plain scalar is: null, a boolean, a number, else a text; a new reference. NULL with *why
 * for one that is refused (a constant text), or NULL in *why when memory is short. */
json_t *scalar_resolve(const char *text, size_t len, const char **why);

#endif
