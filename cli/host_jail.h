// SPDX-License-Identifier: Apache-2.0
/* Whether VMs can be jailed on this host. */
#ifndef HUSK_CLI_HOST_JAIL_H
#define HUSK_CLI_HOST_JAIL_H

#include <stddef.h>

/* Put a child process into a jail. Returns 0 with what this host does not permit in `gaps`, "" when
 * nothing is missing, or -errno when no child could be had. */
int host_try_jail(char *gaps, size_t size);

#endif
