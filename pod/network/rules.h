// SPDX-License-Identifier: Apache-2.0
/*
 * Rule sets of nftables as texts (nft(8)). Pure functions: everything that goes into a text is a
 * number, an address that was parsed, or an interface's name of husk's own making, so that nothing
 * which a stranger chose is ever read as a rule.
 *
 * Each pod has tables of its own, called by its tap: they are made and removed whole.
 *
 *     netdev TAP    what the guest sends, at the tap's ingress, before anything else of the host
 *                   sees it: what does not bear the pod's own addresses ends here
 *     inet TAP      its published ports, and its isolation (mode bridge)
 *     inet husk     what all pods of husk's bridge share
 */
#ifndef HUSK_POD_NETWORK_RULES_H
#define HUSK_POD_NETWORK_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pod/network/address.h"
#include "pod/network/network.h"

#define RULES_ADDRESSES_MAX POD_MACHINE_ADDRESSES_MAX
#define RULES_TABLE         "husk"

struct rules_guest {
    const char *tap;
    const char *forward; /* the interface to which everything goes, and from which everything comes;
                            NULL: the tap is a bridge's port */
    uint8_t mac[6];
    const struct address *addresses;
    unsigned address_count;
    uint64_t egress_bytes; /* a second; 0: no limit */
    /* NULL, or with whom alone an isolated pod speaks: the bridge's MAC, and its addresses. */
    const uint8_t *gateway_mac;
    struct address gateways[2];
    unsigned gateway_count;
};

/* The caller's text, for free(); NULL when there is no memory. So of all of them. */
char *rules_guest(const struct rules_guest *guest);

struct rules_bridge {
    const char *bridge;
    struct address prefixes[2];
    unsigned prefix_count;
};

char *rules_bridge(const struct rules_bridge *bridge);

struct rules_ports {
    const char *tap, *bridge;
    const struct pod_network_port *ports;
    unsigned port_count;
    const struct address *addresses;
    unsigned address_count;
    bool isolated;
};

/* NULL with *empty true when there is nothing to say. */
char *rules_ports(const struct rules_ports *ports, bool *empty);

/* Removes both tables of a pod, or that of the bridge, whether they are there or not. */
char *rules_remove_guest(const char *tap);
char *rules_remove_bridge(void);

#endif
