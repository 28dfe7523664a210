// SPDX-License-Identifier: Apache-2.0
/* The program that is to run in an empty root directory. */
#ifndef HUSK_JAIL_PROGRAM_H
#define HUSK_JAIL_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#include "husk/error.h"

struct program {
    int fd;                  /* -1, or open for reading; program_close()s */
    bool own;                /* it is the file that this process runs already */
    char name[NAME_MAX + 1]; /* the last component of its path, as it was given */
};

/*
 * Opens path, following links, and checks that it could start where there is no other file: a
 * regular, executable, statically linked ELF file of this machine. Our own program need not be
 * static: its libraries are loaded. Returns 0 or -errno with err naming the path.
 */
int program_open(const char *path, struct program *program, struct husk_error *err);

void program_close(struct program *program);

#endif
