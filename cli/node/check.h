// SPDX-License-Identifier: Apache-2.0
#ifndef HUSK_CLI_NODE_CHECK_H
#define HUSK_CLI_NODE_CHECK_H

#include "cli/node/options.h"

/* Whether a pod could be made with these options: else every one of them would fail, one by one,
 * for ever. -EINVAL for a network that is none (that it is not there yet is no error); -errno for a
 * kernel that is not there. */
int node_check(const struct node_options *options, struct husk_error *err);

#endif
