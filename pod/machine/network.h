// SPDX-License-Identifier: Apache-2.0
/* The machine's network interface: as a device of the VM, and as what the agent is asked. */
#ifndef HUSK_POD_MACHINE_NETWORK_H
#define HUSK_POD_MACHINE_NETWORK_H

#include <jansson.h>

#include "husk/husk.h"
#include "pod/machine/options.h"

bool machine_has_network(const struct pod_machine_network *network);

/* Gives the VM the interface, if there is one. -errno with err filled. */
int machine_network_add(struct husk_vm *vm, const struct pod_machine_network *network,
                        struct husk_error *err);

/* The params of "network.set", the caller's; NULL when there is no memory. */
json_t *machine_network_params(const struct pod_machine_network *network);

#endif
