// SPDX-License-Identifier: Apache-2.0
/*
 * A directory of things that live as long as their supervisors (containers, pods), and the
 * directory of each: the mechanics that all kinds have in common. docs/formats/container-state.md
 * has the format, and says why a process that dies at any moment leaves nothing that is half-made
 * or wrongly alive. Functions block for as long as small files take; one object is used by one
 * thread at a time.
 *
 * An entry is alive while its supervisor holds the lock on the file `lock` of its directory:
 * nothing else, no pid, is asked. The kernel releases it with the process.
 */
#ifndef HUSK_POD_STORE_STORE_H
#define HUSK_POD_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "husk/error.h"

#define ENTRY_NAME_BYTES 160u /* longer than the longest name of any kind */
#define ENTRY_ID_BYTES   65u  /* 64 digits of 0-9 a-f */

#define ENTRY_SPEC_FILE  "spec.json"
#define ENTRY_STATE_FILE "state.json"

struct entry;

/* What one kind of entries has of its own. */
struct entry_kind {
    const char *one, *many; /* "container", "containers" */
    const char *format;     /* the text of the directory's file `version` */
    const char *variable; /* of the environment: names the directory; else it is `leaf` in husk's */
    const char *leaf;
    const char *verb;       /* what makes the program a supervisor: `PROGRAM VERB NAME` */
    const char *starter;    /* who runs that, for an error: "`husk run`" */
    const char *list_hint;  /* after "is no container" */
    const char *taken_hint; /* after "is the name of another container" */
    const char *name_rule;  /* after "is no name for a container" */
    size_t state_bytes;     /* every state.json */
    bool (*name_valid)(const char *name); /* of at most ENTRY_NAME_BYTES - 1 */
    /* The id of its record. -errno: it has none that can be read. */
    int (*read_id)(const struct entry *entry, char id[ENTRY_ID_BYTES]);
};

/* ---- the directory of all ---- */

struct entry_store;

/* Where it is by default: the kind's variable, or /var/lib/husk/LEAF for root, or
 * $XDG_DATA_HOME/husk/LEAF (~/.local/share/husk/LEAF). 0, or -errno with err filled. */
int entry_store_default(const struct entry_kind *kind, char *path, size_t size,
                        struct husk_error *err);

/*
 * Opens the directory at `path`; with `create` makes what is missing of it. One that belongs to
 * somebody else or that others may write is refused (-EPERM), as is another version (-ENOTSUP) and
 * a directory with other things in it (-ENOTEMPTY). -ENOENT without `create`.
 */
int entry_store_open(const struct entry_kind *kind, const char *path, bool create,
                     struct entry_store **out, struct husk_error *err);
/* Takes NULL. */
void entry_store_close(struct entry_store *store);
const char *entry_store_path(const struct entry_store *store);

/* Removes what processes that were killed left half-made or half-removed, then calls back as
 * entry_each() does, for the kind to look at the dead. */
int entry_store_tidy(struct entry_store *store, int (*each)(void *arg, struct entry *entry),
                     void *arg, struct husk_error *err);

/* ---- one directory ---- */

struct entry {
    const struct entry_kind *kind;
    char name[ENTRY_NAME_BYTES];
    char path[4096]; /* of the directory, for messages and for files that are opened by name */
    int dir;         /* O_DIRECTORY */
    int lock;        /* the file, open; the lock is held by who created or revived it only */
    int listener;    /* the control socket, for who created or revived it; else -1 */
    bool owner;      /* `lock` is held by this open file */
};

/* The first records of a new one, both borrowed. */
struct entry_first {
    const char *name;
    const json_t *spec;
    size_t spec_max; /* bytes of spec.json, at most (-EFBIG) */
    const json_t *state;
    bool alive; /* with the lock held and a control socket, for entry_spawn() */
};

/*
 * Makes one: its directory with spec.json, state.json, and, for one that is alive, its control
 * socket appear under the name at once or not at all. -EEXIST when the name is taken. The result is
 * the caller's, for entry_spawn() or entry_close().
 */
int entry_create(struct entry_store *store, const struct entry_first *first, struct entry **out,
                 struct husk_error *err);

/* The one that `text` means: a name, or at least 4 digits of the beginning of an id that only one
 * has. -ENOENT, -ENOTUNIQ. */
int entry_find(struct entry_store *store, const char *text, struct entry **out,
               struct husk_error *err);

/* Closes; forgets the lock of one that was created (others may hold duplicates). Takes NULL. */
void entry_close(struct entry *entry);

/* Calls back for each, in the order of their names; it is closed after the call. Stops at and
 * returns the first non-zero result. */
int entry_each(struct entry_store *store, int (*each)(void *arg, struct entry *entry), void *arg,
               struct husk_error *err);

bool entry_alive(const struct entry *entry);
/* Whether it is or has been; it may have been for too short a time to have written a state. */
bool entry_was_alive(const struct entry *entry);

/* Whether an error of talking to its supervisor was that it has ended. It ends a moment after its
 * connections: that is waited for, for a few seconds. */
bool entry_has_ended(const struct entry *entry, int error);

/*
 * Makes a dead one alive once more: the lock is held by `entry`, and there is a new control socket.
 * -EALREADY when it is alive, -ENOENT when it has been removed meanwhile. Waits for who marks it.
 * `mark` is called before, with that lock held, and must leave a record that says that it has
 * ended; its error is returned.
 */
int entry_revive(struct entry_store *store, struct entry *entry,
                 int (*mark)(struct entry *entry, void *arg, struct husk_error *err), void *arg,
                 struct husk_error *err);

/* By its supervisor: it is not alive any more from now on. */
void entry_give_up(struct entry *entry);

/* Whether its directory has been removed by somebody, so that there is nothing to write to and
 * nobody will find it. */
bool entry_is_gone(const struct entry *entry);

/* Removes the directory with everything in it. -EBUSY while it is alive. One that is being removed
 * by somebody else is no error. */
int entry_remove(struct entry_store *store, struct entry *entry, struct husk_error *err);
/* The same by its supervisor, which holds the lock; the store is the directory above. */
int entry_remove_own(struct entry *entry, struct husk_error *err);

/* A connection to the control socket, for control_client_open(): the descriptor or -errno;
 * -ECONNREFUSED when it is not alive. */
int entry_connect(const struct entry *entry, struct husk_error *err);

/* ---- records ---- */

/* A file of the directory, whole, of at most `max` bytes; *bytes is the caller's. -ENOENT: the
 * directory has been removed meanwhile. */
int entry_read(const struct entry *entry, const char *name, size_t max, char **bytes, size_t *len,
               struct husk_error *err);

/* Replaces spec.json so that it is there whole or not at all. -errno, the former one being intact.
 */
int entry_write_spec(const struct entry *entry, const json_t *spec, size_t max,
                     struct husk_error *err);

/*
 * The same for state.json; `last` says that it is the one record that must not be lost: on a full
 * disk it takes the blocks of the file's twin. For who holds the lock. -EFBIG: it has more than the
 * kind's state_bytes.
 */
int entry_write_state(const struct entry *entry, const json_t *state, bool last,
                      struct husk_error *err);

/* How to read a state, and to mark one whose supervisor is gone without having said how it ended.
 */
struct entry_reader {
    int (*read)(const struct entry *entry, void *arg, struct husk_error *err);
    bool (*is_final)(const struct entry *entry, const void *arg);
    void (*mark)(const struct entry *entry, void *arg); /* writes it, where the disk allows it */
};

/* Reads the state into `arg`, marked where need be; only one process marks at a time. */
int entry_read_state(const struct entry *entry, const struct entry_reader *reader, void *arg,
                     struct husk_error *err);

/* An error about a file of an entry; name NULL: the directory. */
int entry_error(const struct entry *entry, int code, const char *name, const char *what,
                struct husk_error *err);

#endif
