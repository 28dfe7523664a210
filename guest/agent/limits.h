// SPDX-License-Identifier: Apache-2.0
/* What the agent sets on a container's process from outside, where it has the right to: resource
 * limits, the OOM score, scheduling. */
#ifndef HUSK_GUEST_AGENT_LIMITS_H
#define HUSK_GUEST_AGENT_LIMITS_H

#include "guest/agent/oci.h"

/* `field` is the process's: "process" or "config". */
int limits_apply(pid_t pid, const struct oci_process *process, const char *field,
                 struct husk_error *err);

#endif
