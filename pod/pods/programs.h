// SPDX-License-Identifier: Apache-2.0
/* Programs of husk's that a supervisor starts. */
#ifndef HUSK_POD_PODS_PROGRAMS_H
#define HUSK_POD_PODS_PROGRAMS_H

#include <limits.h>

/* The path of the program `name`: what the environment variable says, or beside this program, or
 * where it is installed. */
void program_find(const char *name, const char *variable, char path[PATH_MAX]);

#endif
