// SPDX-License-Identifier: Apache-2.0
/* What husk's bridge is to be: of the host's configuration, else by default. */
#ifndef HUSK_POD_NETWORK_BRIDGE_CONFIG_H
#define HUSK_POD_NETWORK_BRIDGE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rtnl.h"
#include "husk/error.h"
#include "pod/network/address.h"

struct bridge_config {
    struct address prefixes[2]; /* each the first address of its prefix; IPv4 first */
    unsigned prefix_count;
    uint32_t mtu;
};

/* The text of a configuration file, checked; members that it has not stay as they are in *out,
 * with family 0 for none chosen. `where` names it in errors. */
struct bridge_wish {
    bool has_ip4, has_ip6; /* said; family 0 then means none */
    struct address ip4, ip6;
    uint32_t mtu; /* 0: not said */
};
int bridge_wish_parse(const void *bytes, size_t len, const char *where, struct bridge_wish *out,
                      struct husk_error *err);

/* Reads the file, if there is one, and asks the host for what it does not say. */
int bridge_config_read(struct rtnl *rtnl, struct bridge_config *out, struct husk_error *err);

#endif
