// SPDX-License-Identifier: Apache-2.0
/*
 * The way of a process into a container.
 *
 * launch_prepare() clones it into its namespaces and its cgroup. The child (launch_child.c) makes
 * the container around itself, says over a socket that it is ready, and waits: this is the state
 * "created". launch_start() sets its limits and lets it go; it gives up its rights and executes the
 * program. Until then, whatever fails on either side is an error with its field, and nothing stays.
 *
 * The child sees of the agent's descriptors only its three streams and the socket; everything is
 * closed before anything hostile could look. Each wait of the agent ends after LAUNCH_PATIENCE_MS
 * (LAUNCH_FILL_PATIENCE_MS).
 */
#ifndef HUSK_GUEST_AGENT_LAUNCH_H
#define HUSK_GUEST_AGENT_LAUNCH_H

#include "guest/agent/oci.h"

#define LAUNCH_PATIENCE_MS      10000
#define LAUNCH_FILL_PATIENCE_MS 120000 /* where volumes are filled before */

/* What to start. Everything stays the caller's. */
struct launch {
    const struct oci_config *config;   /* of the container */
    const struct oci_process *process; /* the config's own, or one to be executed in it */
    const char *field;                 /* what the process is called in errors */
    const struct archive *archive;     /* done in place of executing, or NULL */
    const char *user;        /* to be looked up in the root (user.h); NULL: the config's */
    const char *root_path;   /* of the root file system; NULL to enter a container */
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

int launch_prepare(const struct launch *launch, struct launched *out, struct husk_error *err);

/* Closes the channel. When it fails, the process is dead, or about to be, and still to be reaped.
 */
int launch_start(const struct launch *launch, struct launched *launched, struct husk_error *err);

/* What the child says: 0 is "ready" and comes with the terminal if there is one. */
struct launch_message {
    struct husk_error error;
};

/* The child's way: see launch_child.c. */
void launch_child(const struct launch *asked, int channel) __attribute__((noreturn));

#endif
