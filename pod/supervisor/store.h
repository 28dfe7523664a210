// SPDX-License-Identifier: Apache-2.0
/*
 * The directory of all containers of this host, and each container's own.
 * docs/formats/container-state.md is the format, and says why a process that dies at any moment
 * leaves nothing that is half-made or wrongly alive. Functions block for as long as small files
 * take; one object is used by one thread at a time.
 *
 * A container is alive while its supervisor holds the lock on the file `lock` of its directory:
 * nothing else, no pid, is asked. The kernel releases it with the process.
 */
#ifndef HUSK_POD_SUPERVISOR_STORE_H
#define HUSK_POD_SUPERVISOR_STORE_H

#include "pod/supervisor/record.h"

struct container_store;

/* Where it is by default: $HUSK_STATE, or /var/lib/husk/containers for root, or
 * $XDG_DATA_HOME/husk/containers (~/.local/share/husk/containers). 0, or -errno with err filled. */
int container_store_default(char *path, size_t size, struct husk_error *err);

/*
 * Opens the directory at `path`; with `create` makes what is missing of it. One that belongs to
 * somebody else or that others may write is refused (-EPERM), as is another version (-ENOTSUP) and
 * a directory with other things in it (-ENOTEMPTY). -ENOENT without `create`.
 */
int container_store_open(const char *path, bool create, struct container_store **out,
                         struct husk_error *err);
/* Takes NULL. */
void container_store_close(struct container_store *store);
const char *container_store_path(const struct container_store *store);

/* One container's directory, open. */
struct container {
    char name[CONTAINER_NAME_BYTES];
    char path[4096]; /* of the directory, for messages and for files that are opened by name */
    int dir;         /* O_DIRECTORY */
    int lock;        /* the file, open; the lock is held by who created it only */
    int listener;    /* the control socket, for who created it; else -1 */
    bool owner;      /* `lock` is held by this open file */
};

/*
 * Makes the container: its directory with spec.json, a state.json that says "created", its log's
 * place and its control socket appear under the name at once or not at all, with the lock held by
 * the result's `lock`. -EEXIST when the name is taken. The result is the caller's, for
 * container_spawn() or container_close().
 */
int container_create(struct container_store *store, const struct container_spec *spec,
                     struct container **out, struct husk_error *err);

/* The one that `text` means: a name, or at least 4 digits of the beginning of an id that only one
 * has. -ENOENT, -ENOTUNIQ. */
int container_open(struct container_store *store, const char *text, struct container **out,
                   struct husk_error *err);

/* Closes; forgets the lock of one that was created (others may hold duplicates). Takes NULL. */
void container_close(struct container *container);

/* Calls back for each, in the order of their names; it is closed after the call. Stops at and
 * returns the first non-zero result. */
int container_each(struct container_store *store,
                   int (*each)(void *arg, struct container *container), void *arg,
                   struct husk_error *err);

bool container_alive(const struct container *container);

/* Reads a record. -ENOENT: the directory has been removed meanwhile. */
int container_load_spec(const struct container *container, struct container_spec *out,
                        struct husk_error *err);

/*
 * Reads the state; one whose supervisor is gone without having said how it ended is marked "exited"
 * with status 255 first, durably where the disk allows it.
 */
int container_load_state(const struct container *container, struct container_state *out,
                         struct husk_error *err);

/* Writes the state so that it is there whole or not at all, also on a full disk (the file's twin
 * has its blocks already). For who holds the lock. -errno, the former state being intact. */
int container_save_state(const struct container *container, const struct container_state *state,
                         uint64_t created_ns, struct husk_error *err);

/* By its supervisor: the container is not alive any more from now on. */
void container_give_up(struct container *container);

/* Removes the directory with everything in it. -EBUSY while it is alive. One that is being removed
 * by somebody else is no error. */
int container_remove(struct container_store *store, struct container *container,
                     struct husk_error *err);
/* The same by its supervisor, which holds the lock; the store is the directory above. */
int container_remove_own(struct container *container, struct husk_error *err);

/* Marks the dead as exited, removes those of them that were to remove themselves, and what
 * processes that were killed left half-made or half-removed. What cannot be read is left alone. */
int container_store_tidy(struct container_store *store, struct husk_error *err);

/* A connection to the control socket, for control_client_open(): the descriptor or -errno;
 * -ECONNREFUSED when it is not alive. */
int container_connect(const struct container *container, struct husk_error *err);

#endif
