// SPDX-License-Identifier: Apache-2.0
/*
 * The pods of this host, as a kind of entries of pod/store/store.h: which records they have, how
 * they start, and how one whose supervisor is gone is marked and what it had on the host taken
 * back. docs/formats/pod-state.md is the format.
 *
 * Beside spec.json and state.json a pod's directory has network.json while there is a network of
 * its (pod/network/network.h), scratch.img while its machine runs, and logs/CONTAINER/N.log.
 *
 * What is generic is called by its own name: entry_find() (a key, or digits of a uid),
 * entry_each(), entry_alive(), entry_connect(), entry_remove(), entry_close().
 */
#ifndef HUSK_POD_PODS_PODS_H
#define HUSK_POD_PODS_PODS_H

#include "pod/pods/record.h"
#include "pod/store/store.h"

#define POD_LOGS "logs" /* of a pod's directory: CONTAINER/N.log, N from 0 */

extern const struct entry_kind pod_kind;

/* Where they are by default: $HUSK_PODS, or as in entry_store_default(). */
int pod_store_default(char *path, size_t size, struct husk_error *err);
/* entry_store_open() */
int pod_store_open(const char *path, bool create, struct entry_store **out, struct husk_error *err);

/* Records the pod, phase Pending; nothing runs. -EEXIST when the name is taken. *out, which may be
 * NULL, is the caller's to close. */
int pod_create(struct entry_store *store, const struct pod_record *record, struct entry **out,
               struct husk_error *err);

/*
 * Starts its supervisor (`program supervise-pod KEY`; NULL: /proc/self/exe) and returns the
 * descriptor of the first connection, for control_client_open(), which reports what went wrong
 * before the supervisor could serve. One that has ended starts anew; what a dead supervisor left on
 * the host is taken back before, for which it blocks. `remove`: it removes itself at its end.
 * -EALREADY while it is alive, but for one whose end is recorded (pod_is_over()); -ENOENT when it
 * was removed meanwhile.
 */
int pod_start(struct entry_store *store, struct entry *pod, bool remove, const char *program,
              struct husk_error *err);

/* Reads a record. -ENOENT: the directory has been removed meanwhile. */
int pod_load_record(const struct entry *pod, struct pod_record *out, struct husk_error *err);
/* The same of another file of its directory, which a client has put there. */
int pod_load_record_of(const struct entry *pod, const char *file, struct pod_record *out,
                       struct husk_error *err);
/* Replaces it, at once or not at all. By the supervisor of a pod that is alive; by others only
 * while it is not. */
int pod_save_record(const struct entry *pod, const struct pod_record *record,
                    struct husk_error *err);

/*
 * Reads the state. One whose supervisor is gone without having ended it has its network taken back
 * (which blocks), and is marked: phase "Failed", reason "SupervisorLost", containers that ran
 * terminated with 137 and that reason; durably where the disk allows it. What could not be taken
 * back is tried again by whoever looks next.
 */
int pod_load_state(const struct entry *pod, struct pod_state *out, struct husk_error *err);

/*
 * For the request "apply": writes `record` to a file of the pod's directory and says its name. The
 * supervisor removes it; so does who could not ask, with pod_apply_drop().
 */
#define POD_APPLY_BYTES 32u
int pod_apply_prepare(const struct entry *pod, const struct pod_record *record,
                      char name[POD_APPLY_BYTES], struct husk_error *err);
void pod_apply_drop(const struct entry *pod, const char *name);
/* Whether it is such a name. */
bool pod_apply_name_valid(const char *name);

/*
 * Whether it has no supervisor. The end of a pod is in its record a moment before its supervisor
 * has gone, so that it is in any case: who has read it there may act upon it, and that moment, of
 * ten seconds at most, is waited for here.
 */
bool pod_is_over(const struct entry *pod);

/* For who holds the lock. On a full disk, too, once the pod has ended. */
int pod_save_state(const struct entry *pod, const struct pod_state *state, struct husk_error *err);

/* What of a removed pod plugins of its network did not take back, and why. */
struct pod_left {
    bool some;
    struct husk_error why;
};

/* Removes one that is over, with what it still has on the host. -EBUSY while it is not. What
 * cannot be taken back keeps the pod without `left`; with it the pod goes, and that is told. */
int pod_remove(struct entry_store *store, struct entry *pod, struct pod_left *left,
               struct husk_error *err);

/* Marks the dead, removes those of them that were to remove themselves, what processes that were
 * killed left half-made or half-removed, and networks of pods of this directory that are gone
 * without them. What cannot be read is left alone. */
int pod_store_tidy(struct entry_store *store, struct husk_error *err);

#endif
