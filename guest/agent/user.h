// SPDX-License-Identifier: Apache-2.0
/* Who a process is: user, groups, umask (config.md, "User"). */
#ifndef HUSK_GUEST_AGENT_USER_H
#define HUSK_GUEST_AGENT_USER_H

#include "guest/agent/oci.h"

/*
 * Put the user that `wanted` names (husk/agent.h, "create") into the process, by the files of the
 * root that the caller is in; and HOME into its environment when that has none. The process's lists
 * are replaced by new ones, which are never freed: the caller is about to execute.
 */
int user_resolve(const char *wanted, struct oci_process *process, struct husk_error *err);

/* Become it, for good; capabilities are another's job. `field` as in limits.h. */
int user_become(const struct oci_process *process, const char *field, struct husk_error *err);

#endif
