// SPDX-License-Identifier: Apache-2.0
/* Ports of the host that pods have published. */
#ifndef HUSK_POD_NETWORK_PORTS_H
#define HUSK_POD_NETWORK_PORTS_H

#include "pod/network/network.h"
#include "pod/network/state.h"

/*
 * Claims all ports of the request for its pod, with the lock held. -EADDRINUSE with err naming the
 * port that another pod has, or on which a program of the host listens; what was claimed before
 * stays until ports_release().
 */
int ports_claim(const struct network_state *state, const struct pod_network_request *request,
                struct husk_error *err);
int ports_release(const struct network_state *state, const char *id, struct husk_error *err);

#endif
