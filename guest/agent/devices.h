// SPDX-License-Identifier: Apache-2.0
/* Device nodes and links below a container's /dev (config-linux.md, "Devices"). */
#ifndef HUSK_GUEST_AGENT_DEVICES_H
#define HUSK_GUEST_AGENT_DEVICES_H

#include "guest/agent/oci.h"

/* Before the root is entered; the umask is 0. */
int devices_make(int root, const struct oci_config *config, struct husk_error *err);

#endif
