// SPDX-License-Identifier: Apache-2.0
/*
 * The directory that becomes a process's root: BASE/PROGRAM/ID/root, with a few device nodes, the
 * program, and nothing else, as Firecracker's jailer lays it out.
 *
 * It is built by root and handed to an unprivileged user in the end. Nothing on the way to it may
 * be a symbolic link or writable by others (a sticky directory such as /tmp is fine), and all of it
 * is made anew, below descriptors: what exists already is an error. So nobody can slip something
 * under the builder's hands. What is made is registered first (registry.h).
 *
 * One thread. All but chroot_path() return 0 or -errno, with err naming the file.
 */
#ifndef HUSK_JAIL_CHROOT_H
#define HUSK_JAIL_CHROOT_H

#include <sys/types.h>

#include "husk/error.h"
#include "jail/registry.h"

struct chroot;

/* base: absolute, without "..", created when missing. program, id: one component each. uid, gid:
 * the user to be. -EEXIST when there is one for this program and id. The registry must live as long
 * as the chroot. After a failure nothing is left. */
int chroot_create(const char *base, const char *program, const char *id, uid_t uid, gid_t gid,
                  struct registry *registry, struct chroot **out, struct husk_error *err);

/* Of its root directory, on the host. */
const char *chroot_path(const struct chroot *chroot);

/* A character device node of the user's own; path: "dev/NAME" or "dev/net/NAME". */
int chroot_add_device(struct chroot *chroot, const char *path, dev_t device,
                      struct husk_error *err);

/* A copy of an open file, for the user to execute. */
int chroot_add_program(struct chroot *chroot, const char *name, int source_fd,
                       struct husk_error *err);

/* A file of root's, with a number in it. */
int chroot_add_number(struct chroot *chroot, const char *name, long number, struct husk_error *err);

/* Give the directories inside to the user: after that only the user puts things in. */
int chroot_hand_over(struct chroot *chroot, struct husk_error *err);

/* Take this process to a mount namespace of its own, of which this is the root, and every other
 * mount is gone. The calls above, and chroot_remove(), still work. */
int chroot_enter(struct chroot *chroot, struct husk_error *err);

/* Remove all that was made. What cannot be removed stays registered. */
int chroot_remove(struct chroot *chroot, struct husk_error *err);

/* Leaves the files as they are. NULL is fine. */
void chroot_free(struct chroot *chroot);

#endif
