// SPDX-License-Identifier: Apache-2.0
/* Interfaces, addresses and routes of the pod's network (rtnetlink(7)). */
#ifndef HUSK_GUEST_AGENT_NETWORK_H
#define HUSK_GUEST_AGENT_NETWORK_H

#include "guest/agent/node.h"

/* The params of "network.set". */
int network_set(const struct node *params, struct husk_error *err);

/* The loopback interface; 0 or -errno. */
int network_loopback_up(void);

#endif
