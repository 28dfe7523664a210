// SPDX-License-Identifier: Apache-2.0
/*
 * The containers of this host, as a kind of entries of pod/store/store.h: which records they have,
 * and how one whose supervisor is gone is marked. docs/formats/container-state.md is the format.
 */
#ifndef HUSK_POD_SUPERVISOR_CONTAINERS_H
#define HUSK_POD_SUPERVISOR_CONTAINERS_H

#include "pod/store/store.h"
#include "pod/supervisor/record.h"

extern const struct entry_kind container_kind;

/* Where they are by default: $HUSK_STATE, or as in entry_store_default(). */
int container_store_default(char *path, size_t size, struct husk_error *err);
/* entry_store_open() */
int container_store_open(const char *path, bool create, struct entry_store **out,
                         struct husk_error *err);

/*
 * Makes the container: its directory with spec.json and a state.json that says "created" appears
 * under the name at once or not at all; when `alive` with its control socket, and the lock held by
 * the result's `lock`, for entry_spawn(). One that is not is for container_start(). -EEXIST when
 * the name is taken. The result is the caller's.
 */
int container_create(struct entry_store *store, const struct container_spec *spec, bool alive,
                     struct entry **out, struct husk_error *err);

/*
 * Starts the supervisor of one that was created, or has ended: as entry_spawn(), with what that
 * returns. What the container wrote is there again where its machine was shut down in order, and
 * gone where it was cut off; *fresh says that there is nothing. -EALREADY when it is alive, -ENOENT
 * when it has been removed.
 */
int container_start(struct entry_store *store, struct entry *container, const char *program,
                    bool *fresh, struct husk_error *err);

/* Reads a record. -ENOENT: the directory has been removed meanwhile. */
int container_load_spec(const struct entry *container, struct container_spec *out,
                        struct husk_error *err);

/*
 * Reads the state; one whose supervisor is gone without having said how it ended is marked "exited"
 * with status 255 first, durably where the disk allows it.
 */
int container_load_state(const struct entry *container, struct container_state *out,
                         struct husk_error *err);

/* Writes the state so that it is there whole or not at all; on a full disk, too, once the container
 * has ended. For who holds the lock. -errno, the former state being intact. */
int container_save_state(const struct entry *container, const struct container_state *state,
                         uint64_t created_ns, struct husk_error *err);

/* Marks the dead as exited, removes those of them that were to remove themselves, and what
 * processes that were killed left half-made or half-removed. What cannot be read is left alone. */
int container_store_tidy(struct entry_store *store, struct husk_error *err);

#endif
