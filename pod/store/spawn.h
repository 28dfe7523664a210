// SPDX-License-Identifier: Apache-2.0
/*
 * Starting the supervisor of an entry that has just been made or revived: in a session of its own,
 * a child of init, with no descriptor but those that it needs.
 */
#ifndef HUSK_POD_STORE_SPAWN_H
#define HUSK_POD_STORE_SPAWN_H

#include "pod/store/store.h"

/* Descriptors in which `PROGRAM VERB` finds what it was given. Standard input and output are
 * /dev/null, standard error is the file `errors` of the entry's directory. */
#define SPAWN_FD_DIR      3 /* the entry's directory */
#define SPAWN_FD_LOCK     4 /* its lock, held */
#define SPAWN_FD_LISTENER 5 /* the control socket */
#define SPAWN_FD_FIRST    6 /* the first client's connection */

/*
 * Runs `program VERB NAME` (execve with this process's environment; NULL: /proc/self/exe) and
 * gives it the entry's lock and socket: entry->lock and ->listener are closed here then,
 * also on failure, so that they live and die with the supervisor.
 *
 * Returns the descriptor of the first connection (for control_client_open(), which reports what
 * went wrong in the supervisor before it could serve), or -errno with err filled; the entry's
 * directory is then still there, and dead. Any number of threads may run.
 */
int entry_spawn(struct entry *entry, const char *program, struct husk_error *err);

/* In the supervisor: what it was given, but for the first connection. -EINVAL when it was not
 * started by entry_spawn(). */
int entry_inherit(const struct entry_kind *kind, const char *name, struct entry **out,
                  struct husk_error *err);

#endif
