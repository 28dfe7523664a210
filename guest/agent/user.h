// SPDX-License-Identifier: Apache-2.0
/* Who a process is: user, groups, umask (config.md, "User"). */
#ifndef HUSK_GUEST_AGENT_USER_H
#define HUSK_GUEST_AGENT_USER_H

#include "guest/agent/oci.h"

/* Become it, for good; capabilities are another's job. `field` as in limits.h. */
int user_become(const struct oci_process *process, const char *field, struct husk_error *err);

#endif
