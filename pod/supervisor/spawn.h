// SPDX-License-Identifier: Apache-2.0
/*
 * Starting the supervisor of a container that has just been made: in a session of its own, a child
 * of init, with no descriptor but those that it needs.
 */
#ifndef HUSK_POD_SUPERVISOR_SPAWN_H
#define HUSK_POD_SUPERVISOR_SPAWN_H

#include "pod/supervisor/store.h"

/* Descriptors in which `PROGRAM supervise` finds what it was given. Standard input and output are
 * /dev/null, standard error is the file `errors` of the container's directory. */
#define SPAWN_FD_DIR      3 /* the container's directory */
#define SPAWN_FD_LOCK     4 /* its lock, held */
#define SPAWN_FD_LISTENER 5 /* the control socket */
#define SPAWN_FD_FIRST    6 /* the first client's connection */

/*
 * Runs `program supervise NAME` (execve with this process's environment; NULL: /proc/self/exe) and
 * gives it the container's lock and socket: container->lock and ->listener are closed here then,
 * also on failure, so that they live and die with the supervisor.
 *
 * Returns the descriptor of the first connection (for control_client_open(), which reports what
 * went wrong in the supervisor before it could serve), or -errno with err filled; the container's
 * directory is then still there, and dead. Any number of threads may run.
 */
int container_spawn(struct container *container, const char *program, struct husk_error *err);

/* In the supervisor: what it was given, but for the first connection. -EINVAL when it was not
 * started by container_spawn(). */
int container_inherit(const char *name, struct container **out, struct husk_error *err);

#endif
