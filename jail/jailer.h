// SPDX-License-Identifier: Apache-2.0
/*
 * Starts a program in a jail of files, as Firecracker's jailer does: root builds it a root
 * directory and a cgroup, enters namespaces, becomes the program's user, and executes it there.
 *
 *     jailer_open()    builds everything; what a former jailer left behind, killed, is removed
 * first jailer_enter()   goes inside; with --daemonize or a pid namespace, as a child jailer_exec()
 * executes the program, or jailer_leave() when it is the present one jailer_free()    undoes
 * everything unless the program runs
 *
 * The walls of jail.h are those of a process that is handed its files. Here the program opens its
 * own, below its root directory, and the caller chooses which walls.
 *
 * For a process with one thread. Errors as everywhere: 0 or -errno, err filled.
 */
#ifndef HUSK_JAIL_JAILER_H
#define HUSK_JAIL_JAILER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "husk/error.h"

struct jailer_cgroup_value {
    const char *file; /* "memory.max" */
    const char *value;
};

struct jailer_plan {
    const char *id;
    const char *program_path;
    const char *base_dir;
    uid_t uid;              /* not 0 */
    gid_t gid;              /* not 0 */
    const char *netns_path; /* NULL: the caller's */
    bool new_pid_ns;
    bool daemonize;
    /* A cgroup PARENT/ID is made for the values, and the program started in it; PARENT is the
     * program's name when it is NULL. Without values: the program joins PARENT when that is given.
     */
    const char *parent_cgroup;
    const struct jailer_cgroup_value *cgroup_values;
    unsigned cgroup_value_count;
    uint64_t nofile;
    uint64_t fsize_bytes; /* UINT64_MAX: as it is */
};

struct jailer;

/* The plan's texts must live as long as the jailer. */
int jailer_open(const struct jailer_plan *plan, struct jailer **out, struct husk_error *err);

/* Whether the program is the one that runs already: then it is not in the jail, nor executed. */
bool jailer_runs_itself(const struct jailer *jailer);

/*
 * Returns 0 in the process that is inside and has given up all its rights, or 1 in its parent, when
 * the program runs or is about to. After -errno, in either, only jailer_free().
 */
int jailer_enter(struct jailer *jailer, struct husk_error *err);

/* Whether it went inside as a child. */
bool jailer_is_child(const struct jailer *jailer);

/* Inside: execute the program, with an empty environment. argv[0] is filled in. Returns when that
 * failed; then the parent, if there is one, knows why. */
int jailer_exec(struct jailer *jailer, const char **argv, struct husk_error *err);

/* Inside: go on with the present program. */
void jailer_leave(struct jailer *jailer);

/* NULL is fine. */
void jailer_free(struct jailer *jailer);

#endif
