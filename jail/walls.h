// SPDX-License-Identifier: Apache-2.0
/*
 * The walls that jail_enter() puts up, one function each; private to jail/. Each returns 0, or
 * -errno with the wall not there. They run in the order of walls.c's table, on a process with one
 * thread.
 */
#ifndef HUSK_JAIL_WALLS_H
#define HUSK_JAIL_WALLS_H

#include "jail/jail.h"

struct jail_progress {
    const struct jail_plan *plan;
    unsigned namespaces; /* CLONE_NEW*: those that are ours alone */
};

/* root.c: an empty read-only file system as the root, with the vsock directory in it. */
int wall_root_directory(struct jail_progress *progress);

/* rights.c, in this order: the later ones take away what the earlier ones need. */
int wall_bounding_set(struct jail_progress *progress);
int wall_user(struct jail_progress *progress);
int wall_securebits(struct jail_progress *progress);
int wall_capabilities(struct jail_progress *progress);
int wall_limits(struct jail_progress *progress);
int wall_no_new_privs(struct jail_progress *progress);
int wall_dumpable(struct jail_progress *progress);

#endif
