// SPDX-License-Identifier: Apache-2.0
/*
 * The walls around the process of one VM. A guest that breaks out of its VM runs with the rights of
 * that process; this directory takes those away. It knows nothing of VMs.
 *
 *   wall            what it stops                                              where
 *   namespaces      seeing other processes, interfaces, sockets, IPC, mounts   walls.c
 *   root directory  opening anything: the root is empty and read-only          root.c
 *   descriptors     using what the starting program had open                   walls.c
 *   keyring         keys of the caller's session                               walls.c
 *   user, rights    acting as the caller; getting any right back               rights.c
 *   limits          core files with guest memory, more files than planned      rights.c
 *   seccomp         system calls that the thread at hand does not need         seccomp.h
 *   cgroup          taking all memory, CPU, disk bandwidth or threads          cgroup.h
 *
 * How a process goes to jail:
 *
 *   starting program                        the VM's process
 *     clone(jail_clone_flags(0), 1, …) ─▶     jail_map_ids(), when in a new user namespace
 *                                             execve()
 *     configuration, open descriptors ─▶      jail_enter()                     alone, no threads
 *                                             seccomp_install(SECCOMP_BUILD)
 *                                             builds the machine
 *                                             each thread: seccomp_install() of its kind, first
 *                                             seccomp_install(SECCOMP_CONTROL)
 *
 * Two ways in. Root gives its process away: it becomes an unprivileged user, outside any user
 * namespace. Anybody else makes a user namespace, in which the process is root for as long as it
 * puts up its walls, and the caller, without any capability, from then on.
 *
 * A host may forbid some of it (containers, sysctls, security modules). What cannot be put up is
 * reported and left out, or is an error when `strict`. Rights are never left out: a process that
 * cannot give up its own is an error.
 */
#ifndef HUSK_JAIL_JAIL_H
#define HUSK_JAIL_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "husk/error.h"

#define JAIL_VSOCK_DIRECTORY "/vsock" /* where vsock_dir_fd is to be found inside */
#define JAIL_GAPS_MAX        16u

struct jail_plan {
    unsigned namespaces; /* CLONE_NEW*: those that clone() made for this process */
    uint32_t uid, gid;   /* to become, when the caller is root; not 0 */
    int vsock_dir_fd;    /* -1, or the one directory that stays reachable, read-only; is closed */
    int first_free_fd;   /* this descriptor and all above are closed */
    unsigned nofile;     /* descriptors that may be open at a time */
    uint64_t memlock_bytes; /* locked memory; UINT64_MAX: unlimited, 0: what rings need */
    /* Of the last two only the soft limits are lowered: whoever made the process may raise them
     * later, by prlimit(2); it itself may not, under its filters. */
    bool may_grow;
    bool strict; /* a wall that cannot be put up is an error */
};

/* Walls that are missing. */
struct jail_report {
    unsigned count;
    struct {
        const char *wall; /* static: "network namespace" */
        int error;        /* positive errno value */
    } gaps[JAIL_GAPS_MAX];
};

/* Whether the calling thread has CAP_* `capability` in effect. */
bool jail_has_capability(unsigned capability);

/*
 * What to pass to clone(2), the best first; try the next when that fails with EPERM, ENOSPC,
 * EUSERS, EINVAL or ENOMEM. Includes CLONE_NEWUSER where the caller lacks CAP_SYS_ADMIN. 0, which
 * always works, is the last: jail_enter() then makes what it can by itself.
 */
unsigned jail_clone_flags(unsigned attempt);

/*
 * In the child, before execve(), when CLONE_NEWUSER was among the flags: become the new namespace's
 * root, which is `uid` and `gid`, the effective ids of the caller before clone(). Async-signal-safe
 * and fit for CLONE_VM. Returns 0 or -errno; then start over with the next attempt.
 */
int jail_map_ids(uid_t uid, gid_t gid);

/*
 * Put up all walls but seccomp and cgroup around this process, which has one thread. Fills *report.
 * Returns 0 or -errno with err naming the wall: then the process is in an undefined state between
 * inside and outside and must end.
 */
int jail_enter(const struct jail_plan *plan, struct jail_report *report, struct husk_error *err);

#endif
