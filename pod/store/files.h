// SPDX-License-Identifier: Apache-2.0
/* Small files of a directory, whole; and whole directories, gone. */
#ifndef HUSK_POD_SUPERVISOR_FILES_H
#define HUSK_POD_SUPERVISOR_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* A new private file with these bytes on the disk; an older one of the name is removed before.
 * Nothing is left of it on failure. */
int files_write(int dir, const char *name, const void *bytes, size_t len);

/* The directory `name` and everything below it, 16 levels at most; links and mount points are not
 * followed. Goes on past what cannot be removed and returns the first error; what is not there
 * (any more) is none. */
int files_remove_tree(int dir, const char *name);

/* Whether `name` in `dir` is the file that is open as fd. */
bool files_is_named(int dir, const char *name, int fd);

#endif
