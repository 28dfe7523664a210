// SPDX-License-Identifier: Apache-2.0
/* --sysctl. */
#ifndef HUSK_POD_SPEC_SYSCTL_H
#define HUSK_POD_SPEC_SYSCTL_H

#include "pod/spec/spec.h"

/* Parameters of the container's ipc namespace as "linux.sysctl" (*container, NULL when there are
 * none), and those of the network, which is the machine's, as parameters of the agent's "pod.set".
 */
int sysctl_json(const struct spec_words *sysctls, json_t **container, json_t **pod,
                struct husk_error *err);

#endif
