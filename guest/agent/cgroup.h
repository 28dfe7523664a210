// SPDX-License-Identifier: Apache-2.0
/*
 * Control groups, version 2: one for each container, below a directory that is the agent's.
 *
 * A container that has a writable view of its cgroup may make others in it; all functions mean the
 * whole tree. Nothing here waits longer than CGROUP_PATIENCE_MS.
 */
#ifndef HUSK_GUEST_AGENT_CGROUP_H
#define HUSK_GUEST_AGENT_CGROUP_H

#include <sys/stat.h>

#include "guest/agent/oci.h"

#define CGROUP_PATIENCE_MS 2000
#define CGROUP_PATH_MAX    1400

struct cgroup {
    int parent; /* of the last directory of the path; -1: there is none */
    int dir;
    char name[256]; /* in the parent */
};

/* Make the cgroup at `path` below the directory `top`, and what is missing on the way, where each
 * controller that there is gets passed on. The last one must be new. */
int cgroup_create(int top, const char *path, struct cgroup *out, struct husk_error *err);

/* cgroup_limits.c. Fields are named as below `field`. */
int cgroup_set_limits(const struct cgroup *cgroup, const struct oci_resources *resources,
                      const char *field, struct husk_error *err);

/* cgroup_devices.c: let in what the config allows, and the devices that every container has. */
int cgroup_set_devices(const struct cgroup *cgroup, const struct oci_config *config,
                       struct husk_error *err);

/* Calls for each process; one that comes or goes meanwhile may be left out. */
typedef void (*cgroup_member_fn)(pid_t pid, void *arg);
void cgroup_members(const struct cgroup *cgroup, cgroup_member_fn fn, void *arg);

/* SIGKILL goes to all at once, other signals to one after the other. Returns 0 or -errno. */
int cgroup_signal(const struct cgroup *cgroup, int signal);

/* Returns when all processes stand, or run again; -ETIMEDOUT when some do not. */
int cgroup_freeze(const struct cgroup *cgroup, bool frozen);

/* Kill what is left and remove the tree. -EBUSY when something does not die. Releases the object
 * when it succeeds; NULL and one that is not there are fine. */
int cgroup_remove(struct cgroup *cgroup);

/* One try of that, which does not wait: -EBUSY when something is still dying. */
int cgroup_try_remove(struct cgroup *cgroup);

/*
 * Remove the directories above the one at `path`, which is gone, from the lowest on, up to the
 * first that has something in it or that `is_used` says yes of.
 */
typedef bool (*cgroup_used_fn)(const struct stat *dir, void *arg);
void cgroup_remove_parents(int top, const char *path, cgroup_used_fn is_used, void *arg);

/* How many processes the kernel killed for want of memory; 0 when nobody counts. */
uint64_t cgroup_oom_kills(const struct cgroup *cgroup);

/* cgroup_stats.c: a new object with the members of "stats" (husk/agent.h); NULL without memory. */
json_t *cgroup_stats(const struct cgroup *cgroup);

/* Read a file as text, cut to size - 1 bytes. Returns 0 or -errno. */
int cgroup_read(const struct cgroup *cgroup, const char *file, char *buf, size_t size);

#endif
