// SPDX-License-Identifier: Apache-2.0
/*
 * Files that take a while to make and can be made again: ~/.cache/husk/KIND/DIGEST, or below
 * $XDG_CACHE_HOME. A file is made when it is not there, complete or not at all; several processes
 * may make the same one at a time. What has not been used for a month is removed when another one
 * is made. Where there is no cache that can be written, the file is made in memory each time.
 *
 * Only files of the user's own are taken: who owns one decides what runs in a guest.
 */
#ifndef HUSK_POD_MACHINE_CACHE_H
#define HUSK_POD_MACHINE_CACHE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "husk/error.h"
#include "pod/image/digest.h"

/* Writes the file's content to fd: 0, or -errno with err filled. */
typedef int (*cache_make_fn)(void *arg, int fd, struct husk_error *err);

/* A descriptor for reading at least, the caller's; or -errno with err filled by `make` or here. */
int cache_file(const char *kind, const struct digest *digest, cache_make_fn make, void *arg,
               struct husk_error *err);

/* What tells a version of a file from another, as a line of text to be digested. */
void cache_describe(FILE *text, const char *what, const struct stat *info);

/* ~/.cache/husk/NAME. 0 or -ENAMETOOLONG. */
int cache_path(char *path, size_t size, const char *name);

#endif
