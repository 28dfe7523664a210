// SPDX-License-Identifier: Apache-2.0
/* The processes of a container, for people. */
#ifndef HUSK_CLI_POD_PROCESSES_H
#define HUSK_CLI_POD_PROCESSES_H

#include <jansson.h>

/* The answer to "processes" of husk/agent.h as a table on standard output; says on standard error
 * how many were left out of it. `name` is the container's. 0 or -ENOMEM. */
int processes_print(const char *name, const json_t *answer);

#endif
