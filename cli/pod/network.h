// SPDX-License-Identifier: Apache-2.0
/* --network of `husk run IMAGE`: none, or tap=NAME with a static address. */
#ifndef HUSK_CLI_POD_NETWORK_H
#define HUSK_CLI_POD_NETWORK_H

#include "cli/pod/options.h"
#include "pod/machine/options.h"

/* "none" | tap=NAME[,address=A.B.C.D/N]...[,gateway=A.B.C.D]...[,mac=MAC][,mtu=N]; what an address
 * says is the agent's to check. Returns 0, or an exit status with the reason printed. */
int pod_network_parse(const struct pod_syntax *syntax, const char *text,
                      struct pod_machine_network *out);

#endif
