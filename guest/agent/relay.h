// SPDX-License-Identifier: Apache-2.0
/*
 * Connections into the pod (husk/agent.h, role "dial"): bytes between a connection of the host and
 * one that the agent makes by TCP. One small buffer waits in each direction. Both ends are hostile;
 * none of them can hold up anything but its own relay.
 */
#ifndef HUSK_GUEST_AGENT_RELAY_H
#define HUSK_GUEST_AGENT_RELAY_H

#include <netinet/in.h>

#include "guest/agent/agent.h"
#include "guest/agent/node.h"

union relay_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "address" and "port" of a hello. */
int relay_address(const struct node *hello, union relay_address *out, struct husk_error *err);

/*
 * Begin to connect. When it succeeds, the host's connection (not blocking) belongs to the relay,
 * which says hello as soon as the other one stands, or why it does not, and is in the agent's list
 * until it has ended.
 */
int relay_begin(struct agent *agent, int host, const union relay_address *address,
                struct husk_error *err);

void relay_end_all(struct agent *agent);

#endif
