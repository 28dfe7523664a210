// SPDX-License-Identifier: Apache-2.0
/* Texts that may be there once: lists of a hostile manifest are long, and are not gone through
 * again for each of their members. */
#ifndef HUSK_POD_MANIFEST_ONCE_H
#define HUSK_POD_MANIFEST_ONCE_H

#include <jansson.h>

/* Adds a text to `set`, an object that the caller has made (NULL: no memory). 0, -EEXIST when it is
 * there, -ENOMEM. */
int once_add(json_t *set, const char *text);

#endif
