// SPDX-License-Identifier: Apache-2.0
/* What the containers of a pod share (husk/agent.h, "The pod"). */
#ifndef HUSK_GUEST_AGENT_POD_H
#define HUSK_GUEST_AGENT_POD_H

#include "guest/agent/agent.h"
#include "guest/agent/node.h"

/* The params of "pod.set". What failed is undone as a whole but for kernel parameters. */
int pod_set(struct agent *agent, const struct node *params, struct husk_error *err);

/* The params of "file.write". */
int pod_write_file(const struct node *params, struct husk_error *err);

#endif
