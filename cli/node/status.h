// SPDX-License-Identifier: Apache-2.0
/* What one round saw, as JSON (docs/node.md has its members). Pure. */
#ifndef HUSK_CLI_NODE_STATUS_H
#define HUSK_CLI_NODE_STATUS_H

#include "cli/node/backoff.h"
#include "cli/node/observed.h"
#include "cli/node/plan.h"
#include "cli/node/problems.h"

struct status_input {
    const char *node, *directory;
    const struct wanted *wanted;
    const struct observed *observed; /* before the round did anything */
    const struct problems *problems;
    const struct backoff *backoff;
    uint64_t now_ns, took_ns;
};

/* The caller's text; NULL without memory. */
char *status_format(const struct status_input *input);

#endif
