// SPDX-License-Identifier: Apache-2.0
/*
 * A control group (cgroup v2) of a VM's own: made, limited, joined, emptied, removed.
 *
 *     cgroup_new()      names it and finds the hierarchy; makes nothing
 *     cgroup_make()     makes it, with the parents that are missing
 *     cgroup_limit()    its limits; controllers are enabled on the way down as they are needed
 *     cgroup_attach()   puts a process in; or clone3() with CLONE_INTO_CGROUP and cgroup_fd()
 *     cgroup_remove()   ends what is left in it and removes it
 *     cgroup_free()     forgets it, wherever it stands
 *
 * Who made a cgroup and died before removing it is cgroup_remove()d for by registry_sweep().
 *
 * Calls on one cgroup come from one thread at a time. Only cgroup_remove() may wait. All but
 * cgroup_fd() and cgroup_path() return 0 or -errno, and fill err with the file at fault.
 */
#ifndef HUSK_JAIL_CGROUP_H
#define HUSK_JAIL_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "husk/error.h"

struct cgroup;

/* Members that are 0 limit nothing. */
struct cgroup_limits {
    uint64_t memory_max_bytes;
    uint32_t cpu_max_percent; /* 100 is one CPU */
    uint32_t cpu_weight;      /* 1..10000 */
    uint32_t pids_max;
};

/*
 * root:   where the hierarchy is mounted; NULL: the host's, at /sys/fs/cgroup, or
 *         /sys/fs/cgroup/unified where version 1 is mounted beside it. -ENOTSUP when there is none.
 * parent: a path below root without leading slash, ".", ".." or symbolic links. Empty: root.
 * name:   of the cgroup in it, one component.
 */
int cgroup_new(const char *root, const char *parent, const char *name, struct cgroup **out,
               struct husk_error *err);

/* Absolute path; lives as long as the cgroup. */
const char *cgroup_path(const struct cgroup *cgroup);

/* -EEXIST when there is one of this name. After a failure nothing new is left. */
int cgroup_make(struct cgroup *cgroup, struct husk_error *err);

/* Use one that exists and is somebody else's, instead of cgroup_make(): it is never removed. */
int cgroup_open(struct cgroup *cgroup, struct husk_error *err);

/* The directory, after make or open; stays the cgroup's. */
int cgroup_fd(const struct cgroup *cgroup);

/*
 * Write `value` to one of its files, e.g. "memory.max". The part before the dot is the controller:
 * where it is not enabled for this cgroup's parents' children yet, it is enabled. -EINVAL for what
 * is no such name, -ENODEV when the host has no such controller, -EBUSY when a parent has
 * processes of its own, so that none can be enabled in it, -EACCES when that is not permitted.
 */
int cgroup_set(struct cgroup *cgroup, const char *file, const char *value, struct husk_error *err);

int cgroup_limit(struct cgroup *cgroup, const struct cgroup_limits *limits, struct husk_error *err);

/*
 * Limit reading and writing, each to bytes_per_s, of the disk under the open file or block device
 * fd; all of the disk, when that is a partition. -ENODEV when there is no one disk under it (tmpfs,
 * overlayfs, btrfs, ...).
 */
int cgroup_limit_io(struct cgroup *cgroup, int fd, uint64_t bytes_per_s, struct husk_error *err);

/* 0: the caller itself. */
int cgroup_attach(struct cgroup *cgroup, pid_t pid, struct husk_error *err);

/* The caller, which attached itself, goes to the root of the hierarchy: cgroup_remove() would end
 * it. */
int cgroup_leave(struct cgroup *cgroup, struct husk_error *err);

/* SIGKILL to every process in it and below. -EOPNOTSUPP before Linux 5.14. */
int cgroup_kill(struct cgroup *cgroup, struct husk_error *err);

/*
 * cgroup_kill(), then remove it, and the parents that cgroup_make() made when nothing else is in
 * them. Waits at most a second for the processes to be gone: -EBUSY after that. Does nothing when
 * there is nothing that was made.
 */
int cgroup_remove(struct cgroup *cgroup, struct husk_error *err);

/* Leaves the cgroup itself as it is. NULL is fine. */
void cgroup_free(struct cgroup *cgroup);

#endif
