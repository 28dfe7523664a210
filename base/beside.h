// SPDX-License-Identifier: Apache-2.0
/* Files that go with a program and, before it is installed, lie in its directory. */
#ifndef HUSK_BASE_BESIDE_H
#define HUSK_BASE_BESIDE_H

#include <stddef.h>

/* The file `name` in the directory of the running program, if it can be accessed in `mode` (R_OK,
 * X_OK): fills and returns `path`, or NULL. */
const char *find_beside(const char *name, int mode, char *path, size_t size);

#endif
