// SPDX-License-Identifier: Apache-2.0
/*
 * Namespaces of a container (namespaces(7)).
 *
 * New ones are made by the clone(2) of the container's first process. Those that it joins are
 * entered by the agent itself around that clone, and left again: only the agent has the right to
 * enter the pod's once the container is in a user namespace of its own. The agent has one thread.
 */
#ifndef HUSK_GUEST_AGENT_NAMESPACES_H
#define HUSK_GUEST_AGENT_NAMESPACES_H

#include "guest/agent/oci.h"

/* The way back: a descriptor for each namespace that was left, else -1. */
struct namespaces_way {
    int home[OCI_NAMESPACES];
};

/* Enter those that the config names by path. Leaves all when it fails. */
int namespaces_enter(const struct oci_config *config, struct namespaces_way *way,
                     struct husk_error *err);

/* Have the next child be in the pid namespace of a process. */
int namespaces_enter_pid_of(int pidfd, struct namespaces_way *way, struct husk_error *err);

/* No way to go, none to come back. */
void namespaces_stay(struct namespaces_way *way);

void namespaces_leave(struct namespaces_way *way);

/* CLONE_NEW… of the new ones, but for cgroup, whose root would be the agent's cgroup. */
uint64_t namespaces_new(const struct oci_config *config);

/* CLONE_NEW… of all that a container has apart from the agent's, but for pid. */
int namespaces_all(const struct oci_config *config);

/* Write the maps of a process in a new user namespace. */
int namespaces_map_ids(pid_t pid, const struct oci_config *config, struct husk_error *err);

/* Host and domain name, in the container's namespace. */
int namespaces_set_names(const struct oci_config *config, struct husk_error *err);

#endif
