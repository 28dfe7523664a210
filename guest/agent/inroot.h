// SPDX-License-Identifier: Apache-2.0
/*
 * Paths below a directory that somebody hostile has filled: links, also absolute ones and "..",
 * lead nowhere but below that directory (openat2(2), RESOLVE_IN_ROOT), and never through the links
 * of /proc. Descriptors are CLOEXEC; functions return one, or -errno.
 */
#ifndef HUSK_GUEST_AGENT_INROOT_H
#define HUSK_GUEST_AGENT_INROOT_H

#include <sys/types.h>

/* What a new directory becomes, whatever the umask. */
struct inroot_new {
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

int inroot_open(int root, const char *path, int flags);

/* The directory (O_PATH), made with what is missing on the way, mode 0755. */
int inroot_directory(int root, const char *path);

/* A file that is there, or an empty one that is made (O_PATH). */
int inroot_file(int root, const char *path);

/* The directory of a path's last component (made as above), which *name points at; -EINVAL when
 * that is none. */
int inroot_parent(int root, const char *path, const char **name);

/* The same, with what is made being as said (NULL: 0755, of whoever asks). */
int inroot_directory_as(int root, const char *path, const struct inroot_new *as);
int inroot_parent_as(int root, const char *path, const char **name, const struct inroot_new *as);

/* The same, with nothing being made. */
int inroot_parent_there(int root, const char *path, const char **name);

#endif
