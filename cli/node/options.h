// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk node`. */
#ifndef HUSK_CLI_NODE_OPTIONS_H
#define HUSK_CLI_NODE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/node/backoff.h"
#include "husk/error.h"

struct node_options {
    const char *manifests; /* as given */
    const char *listen;    /* NULL: no socket */
    const char *network;   /* NULL: the library's choice */
    const char *kernel;    /* NULL: likewise */
    const char *name;      /* of the host; NULL: its host name */
    uint64_t resync_ns;
    struct backoff_policy backoff;
    bool help;
};

/* Fills *out with words of argv. -EINVAL with err->where the option. */
int node_options_parse(int argc, char **argv, struct node_options *out, struct husk_error *err);

extern const char node_help[];

#endif
