// SPDX-License-Identifier: Apache-2.0
/*
 * Directories and files reached by descriptors, for code that acts with more rights than those who
 * may write where it acts. Nothing here follows a symbolic link. All return a descriptor or 0, or
 * -errno; every descriptor is CLOEXEC and the caller's.
 */
#ifndef HUSK_JAIL_PATH_H
#define HUSK_JAIL_PATH_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PATH_BYTES_MAX 4096u

/* An existing directory by its absolute path; -ELOOP when a symbolic link is in it. */
int path_open_directory(const char *path);

/*
 * As openat(), for a relative path that must stay below dir_fd: -EXDEV when ".." leads out of it,
 * -ELOOP at any symbolic link. `mode` counts with O_CREAT only.
 */
int path_open_below(int dir_fd, const char *path, int flags, mode_t mode);

/*
 * The directory that holds the last component of the absolute `path`, with *name pointing at that
 * component inside `path`. -EINVAL when there is none, or when it is "." or "..".
 */
int path_open_parent(const char *path, const char **name);

/*
 * `path` as an absolute path without symbolic links in its directory; the last component is kept as
 * it is and need not exist. It needs /proc. -ENAMETOOLONG when it does not fit.
 */
int path_resolve_parent(const char *path, char *out, size_t size);

/* Whether two stats are of one file. */
int path_same_file(const struct stat *a, const struct stat *b);

/*
 * Remove the directory `name` in parent_fd with all that is in it, if it is the one that `expected`
 * describes (-ESTALE otherwise). Stays on its file system, goes at most 16 levels deep and removes
 * at most 4096 entries: -E2BIG beyond.
 */
int path_remove_tree(int parent_fd, const char *name, const struct stat *expected);

#endif
