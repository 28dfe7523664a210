// SPDX-License-Identifier: Apache-2.0
#ifndef HUSK_CLI_NODE_NODE_H
#define HUSK_CLI_NODE_NODE_H

#include "cli/node/options.h"

/* Runs until a signal says that it is enough. 0, or -errno with err. */
int node_run(const struct node_options *options, struct husk_error *err);

#endif
