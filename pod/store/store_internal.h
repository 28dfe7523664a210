// SPDX-License-Identifier: Apache-2.0
/* What the files of the store share; see store.h. */
#ifndef HUSK_POD_STORE_STORE_INTERNAL_H
#define HUSK_POD_STORE_STORE_INTERNAL_H

#include "pod/store/store.h"

/* Of the store's directory. Names of entries never begin with a dot. */
#define STORE_VERSION    "version"
#define STORE_LOCK       "lock"
#define STORE_NEW_PREFIX ".new-" /* being made */
#define STORE_OLD_PREFIX ".old-" /* being removed */
#define STORE_TEMP_BYTES 32u     /* a name with such a prefix */

/* Of an entry's. */
#define ENTRY_SPEC_NEW    "spec.new"
#define ENTRY_STATE_NEW   "state.new"
#define ENTRY_STATE_SPARE "state.spare" /* blocks for the last record on a full disk */
#define ENTRY_LOCK_FILE   "lock"
#define ENTRY_SOCKET_FILE "control.sock"
#define ENTRY_SOCKET_NEW  "control.new"

struct entry_store {
    const struct entry_kind *kind;
    char path[4096];
    int dir;
    int lock; /* flock: shared by who makes or revives an entry, exclusive by who removes one */
};

/* An error whose `what` is "BEFORE NOUN AFTER". */
int store_error_about(struct husk_error *err, int code, const char *where, const char *before,
                      const char *noun, const char *after, const char *why);

/* A name for something on its way in or out. */
int store_temp_name(const char *prefix, char out[STORE_TEMP_BYTES], struct husk_error *err);

/* flock(); how without LOCK_NB waits. 0 or -errno. */
int store_flock(int fd, int how);

/* A new struct for NAME's directory, closed yet. -ENOMEM, -ENAMETOOLONG. */
int entry_new(const struct entry_store *store, const char *name, struct entry **out,
              struct husk_error *err);

/* Opens NAME's directory and its lock; the lock may be missing in one that is damaged (-1). -ENOENT
 * without an error. */
int entry_open_at(const struct entry_store *store, const char *name, struct entry **out,
                  struct husk_error *err);

/* Life: a lock that is held by the supervisor's open file, however many processes have that open.
 * Seen without being taken, so that looking never gets in the way. */
int entry_lock_life(int lock);
/* Marking a dead one: waits. */
int entry_lock_mark(int lock);
void entry_unlock_mark(int lock);

/* Binds and listens, in the place of an older socket; the descriptor or -errno. */
int entry_listen(int dir);

/* The first two files of a new entry, and the state's twin. */
int entry_write_first(int dir, const struct entry_kind *kind, const struct entry_first *first);
/* The twin of a state that is there; nothing when it is there, too. */
int entry_write_spare(const struct entry *entry);

#endif
