// SPDX-License-Identifier: Apache-2.0
/*
 * husk's own bridge, which is there while a pod is on it. Taps are its ports: nothing is between
 * the guest and the bridge but the rules at the tap's ingress (rules.h).
 *
 * Its prefixes are those of /etc/husk/network.json ($HUSK_NETWORK_CONFIG):
 *
 *     {"bridge": {"ipv4": "10.187.0.0/16", "ipv6": "fd12:3456:789a::/64", "mtu": 1500}}
 *
 * of which everything may be left out, and an address family be null for none. Without it: IPv4 is
 * the first of 10.187.0.0/16 … 10.202.0.0/16 to which the host has no route, IPv6 a prefix of
 * RFC 4193 with random bits, and the MTU that of the interface of the default route.
 *
 * A pod's lease is a number: its addresses are those that are as far behind the start of each
 * prefix, and its MAC tells it. The bridge itself has number 1.
 */
#ifndef HUSK_POD_NETWORK_BRIDGE_H
#define HUSK_POD_NETWORK_BRIDGE_H

#include <stdint.h>

#include "husk/error.h"
#include "pod/network/address.h"
#include "pod/network/network.h"
#include "pod/network/state.h"

#define BRIDGE_NAME "husk0"

struct bridge {
    struct address prefixes[2]; /* of the bridge itself: its address with the bits */
    unsigned prefix_count;
    uint8_t mac[6];
    uint32_t mtu;
    int index;
};

struct bridge_lease {
    struct address addresses[2]; /* with the prefixes' bits */
    unsigned address_count;
    uint8_t mac[6];
};

/*
 * The bridge as it has to be, made when it is not there, and an address on it. With the lock of
 * `state` held. -EEXIST when somebody else has an interface of its name; -EADDRNOTAVAIL when all
 * addresses are leased.
 */
int bridge_join(const struct network_state *state, const char *id, struct bridge *bridge,
                struct bridge_lease *lease, struct husk_error *err);

/* Gives the pod's lease back; when it was the last one, everything that there is of the bridge.
 * With the lock held; idempotent. */
int bridge_leave(const struct network_state *state, const char *id, struct husk_error *err);

#endif
