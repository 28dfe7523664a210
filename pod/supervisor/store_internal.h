// SPDX-License-Identifier: Apache-2.0
/* What the files of the store share; see store.h. */
#ifndef HUSK_POD_SUPERVISOR_STORE_INTERNAL_H
#define HUSK_POD_SUPERVISOR_STORE_INTERNAL_H

#include "pod/supervisor/store.h"

/* Of the store's directory. Containers' names never begin with a dot. */
#define STORE_VERSION    "version"
#define STORE_LOCK       "lock"
#define STORE_NEW_PREFIX ".new-" /* being made */
#define STORE_OLD_PREFIX ".old-" /* being removed */
#define STORE_TEMP_BYTES 32u     /* a name with such a prefix */

/* Of a container's. */
#define CONTAINER_SPEC_FILE   "spec.json"
#define CONTAINER_STATE_FILE  "state.json"
#define CONTAINER_STATE_NEW   "state.new"
#define CONTAINER_STATE_SPARE "state.spare" /* blocks for the last record on a full disk */
#define CONTAINER_LOCK_FILE   "lock"
#define CONTAINER_SOCKET_FILE "control.sock"
#define CONTAINER_STATE_BYTES 4096u /* every state.json */

struct container_store {
    char path[4096];
    int dir;
    int lock; /* flock: shared by who makes a container, exclusive by who removes one */
};

/* An error about a file of a container; name NULL: the directory. */
int container_error(const struct container *container, int code, const char *name, const char *what,
                    struct husk_error *err);

/* A name for something on its way in or out. */
int store_temp_name(const char *prefix, char out[STORE_TEMP_BYTES], struct husk_error *err);

/* flock(); how without LOCK_NB waits. 0 or -errno. */
int store_flock(int fd, int how);

/* Opens NAME's directory and its lock; the lock may be missing in one that is damaged (-1). -ENOENT
 * without an error. */
int container_open_at(const struct container_store *store, const char *name, struct container **out,
                      struct husk_error *err);

/* Life: a lock that is held by the supervisor's open file, however many processes have that open.
 * Seen without being taken, so that looking never gets in the way. */
int container_lock_life(int lock);
/* Marking a dead one: waits. */
int container_lock_mark(int lock);
void container_unlock_mark(int lock);

/* Binds and listens; the descriptor or -errno. */
int container_listen(int dir);

/* The first two files of a new container. */
int container_write_first(int dir, const struct container_spec *spec);

#endif
