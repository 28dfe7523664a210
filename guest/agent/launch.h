// SPDX-License-Identifier: Apache-2.0
/*
 * The way of a process into a container.
 *
 * launch_begin() clones it into its namespaces and its cgroup. The child (launch_child.c) makes the
 * container around itself, says over a socket that it is ready, and waits: this is the state
 * "created". launch_go() sets its limits and lets it go; it gives up its rights and executes the
 * program. Until then, whatever fails on either side is an error with its field, and nothing stays.
 *
 * Nothing here waits: after each of both steps the socket becomes readable, and launch_take() says
 * what came of it (starting.h). The child sees of the agent's descriptors only its three streams
 * and the socket; everything is closed before anything hostile could look.
 */
#ifndef HUSK_GUEST_AGENT_LAUNCH_H
#define HUSK_GUEST_AGENT_LAUNCH_H

#include "guest/agent/oci.h"

/* What to start. Everything stays the caller's. */
struct launch {
    const struct oci_config *config;   /* of the container */
    const struct oci_process *process; /* the config's own, or one to be executed in it */
    const char *field;                 /* what the process is called in errors */
    const struct archive *archive;     /* done in place of executing, or NULL */
    const char *user;        /* to be looked up in the root (user.h); NULL: the config's */
    const char *root_path;   /* of the root file system; NULL to enter a container */
    bool init;               /* a reaper in front of the program (reaper.h) */
    bool seal;               /* what is read-only becomes so at the start (mounts.h) */
    const char *const *fill; /* names of volumes (copy.h), NULL-terminated, or NULL */
    int container;           /* pidfd of its first process; -1 to make one */
    int cgroup;              /* directory */
    int streams[3];          /* standard input, output, error; unused with a terminal */
};

struct launched {
    pid_t pid;
    int pidfd, channel;
    int terminal; /* the master, or -1 */
};

/* When it fails, the process is dead, or about to be, and still to be reaped. */
int launch_begin(const struct launch *launch, struct launched *out, struct husk_error *err);
int launch_go(const struct launch *launch, struct launched *launched, struct husk_error *err);

/* What the child says: 1: it is ready, with its terminal if it has one; 0: it has closed the
 * socket: it executes, or is dead; else -errno with its error. */
int launch_take(const struct launch *launch, struct launched *launched, struct husk_error *err);

/* Kill it and close everything. It is still to be reaped. */
void launch_abort(struct launched *launched);

/* What the child says: 0 is "ready" and comes with the terminal if there is one. */
struct launch_message {
    struct husk_error error;
};

/* The child's way: see launch_child.c. */
void launch_child(const struct launch *asked, int channel) __attribute__((noreturn));

#endif
