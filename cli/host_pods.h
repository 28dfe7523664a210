// SPDX-License-Identifier: Apache-2.0
/* What a host has for the networks of pods, for `husk doctor`. Asks, and changes nothing. */
#ifndef HUSK_CLI_HOST_PODS_H
#define HUSK_CLI_HOST_PODS_H

#include <stdbool.h>

struct host_pods {
    int nftables;      /* 0: can be used; or -errno */
    unsigned networks; /* configurations of CNI networks */
    char first[64];    /* the one that pods get, by its file's name; "" when there is none */
    bool has_plugins;  /* CNI's: the program `loopback` is in the path */
};

/* `configurations`: the directory of CNI's; `plugins`: directories, with colons between. */
void host_look_at_pods(const char *configurations, const char *plugins, struct host_pods *out);

#endif
