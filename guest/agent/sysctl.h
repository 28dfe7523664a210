// SPDX-License-Identifier: Apache-2.0
/* Kernel parameters of a container's own namespaces (config-linux.md, "Sysctl"). */
#ifndef HUSK_GUEST_AGENT_SYSCTL_H
#define HUSK_GUEST_AGENT_SYSCTL_H

#include "guest/agent/oci.h"

/* The member "sysctl" of node into out->sysctls. One that belongs to no new or joined namespace of
 * the container would be the whole guest's, and is refused. */
int sysctl_parse(const struct node *node, struct oci_config *out, struct husk_error *err);

/* Write one, in the namespaces of the caller, who still sees the agent's /proc. */
int sysctl_write(const struct oci_sysctl *sysctl, const char *field, struct husk_error *err);

/* Whether it can be a name: nothing that leads out of /proc/sys. */
bool sysctl_is_plain(const char *name);

/* Whether a parameter belongs to one of these namespaces. The names are dotted or slashed. */
bool sysctl_in_network(const char *name);
bool sysctl_in_ipc(const char *name);
bool sysctl_in_uts(const char *name);

#endif
