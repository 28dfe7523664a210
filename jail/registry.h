// SPDX-License-Identifier: Apache-2.0
/*
 * What a VM's owner made on the host, noted down so that it can be removed when the owner is killed
 * before it could do so: cgroups, sockets, directories.
 *
 *     sweep   remove what dead owners left
 *     open    an entry: a file of our own, locked for as long as this process lives
 *     record  before a thing is made
 *     made    when it is, with its identity
 *     forget  when it is gone
 *     close   removes the entry, unless something is still recorded: that is left to the sweep
 *
 * An entry whose lock is free has a dead owner. The lock is the kernel's (flock), so that no end of
 * a process leaves it behind. docs/formats/registry.md describes the file, and why the sweep may
 * trust it.
 *
 * Calls on one registry come from one thread at a time; a sweep may run beside anything. No call
 * waits for a lock. A process forked while an entry is open keeps it locked until it execs or ends.
 */
#ifndef HUSK_JAIL_REGISTRY_H
#define HUSK_JAIL_REGISTRY_H

#include <stddef.h>

#include "husk/error.h"

struct registry;

enum registry_kind {
    REGISTRY_CGROUP,    /* ended and removed; without identity: removed when it is empty */
    REGISTRY_SOCKET,    /* unlinked when it is a socket on which nobody listens */
    REGISTRY_DIRECTORY, /* removed when it is empty */
    REGISTRY_TREE,      /* removed with what is in it; without identity: when it is empty */
};

#define REGISTRY_SLOTS 32u /* things recorded at the same time */

/*
 * Where entries are when a `directory` below is NULL: /run/husk for root, else
 * $XDG_RUNTIME_DIR/husk; -ENOENT when that is not set. The last component is created when missing
 * (mode 0700); -EPERM when it is not this user's alone.
 */
int registry_default_directory(char *out, size_t size, struct husk_error *err);

/* id: of the VM, for people who look into the file. */
int registry_open(const char *directory, const char *id, struct registry **out,
                  struct husk_error *err);

/*
 * Note that `path` is about to be made: a relative path, or links in its directory, are resolved
 * now. A cgroup's is taken as cgroup_path() gives it: its parents may be missing. Returns its slot,
 * or -EINVAL for a path with control characters, -ENOSPC when the entry is full, or another -errno;
 * then it must not be made.
 */
int registry_record(struct registry *registry, enum registry_kind kind, const char *path,
                    struct husk_error *err);

/* Note its identity, from an open descriptor of it, or, with -1, from what is at the path. */
int registry_made(struct registry *registry, int slot, int fd, struct husk_error *err);

/* Note that it is gone, or that it shall stay. A negative slot is none. */
void registry_forget(struct registry *registry, int slot);

/* Leave everything that is recorded where it is, for good: the entry is removed now, and what is
 * recorded from here on counts for nothing. Returns 0, or -errno with everything as before. */
int registry_keep(struct registry *registry);

/* Also in a forked child, which closes its copies so. NULL is fine. */
void registry_close(struct registry *registry);

struct registry_swept {
    unsigned removed; /* things */
    unsigned left;    /* things that could not be removed now; the next sweep tries again */
};

/*
 * Remove what is recorded in entries of dead owners: of at most 64 entries and among at most 4096
 * files, so that a start takes bounded time. Returns 0 also when there was nothing to do or no such
 * directory; things that cannot be removed are only counted.
 */
int registry_sweep(const char *directory, struct registry_swept *out, struct husk_error *err);

#endif
