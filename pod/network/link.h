// SPDX-License-Identifier: Apache-2.0
/*
 * Interfaces of the network namespace in which the caller is: rtnetlink (base/rtnl.h) for what
 * networks of pods are made of. Each returns 0 or the kernel's -errno; what it said besides is in
 * rtnl->refusal.
 */
#ifndef HUSK_POD_NETWORK_LINK_H
#define HUSK_POD_NETWORK_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rtnl.h"
#include "pod/network/address.h"

struct link_info {
    int index;
    char name[IFNAMSIZ];
    uint8_t mac[6];
    uint32_t mtu;
    int master; /* the index of the bridge whose port it is; 0: of none */
    bool is_bridge, up;
};

/* -ENODEV when there is none of this name. */
int link_read(struct rtnl *rtnl, const char *name, struct link_info *out);

/* -EEXIST when there is an interface of this name. */
int link_make_bridge(struct rtnl *rtnl, const char *name, const uint8_t mac[6], uint32_t mtu);
/* An interface that is not there is no error. */
int link_delete(struct rtnl *rtnl, const char *name);

int link_set_mtu(struct rtnl *rtnl, int index, uint32_t mtu);
int link_set_mac(struct rtnl *rtnl, int index, const uint8_t mac[6]);
int link_set_master(struct rtnl *rtnl, int index, int master);
int link_set_up(struct rtnl *rtnl, int index);

/* No address of its own: a port's link-local address is nobody's. */
int link_set_no_addresses(struct rtnl *rtnl, int index);

/* An address with its prefix; one that is there already is no error. */
int link_add_address(struct rtnl *rtnl, int index, const struct address *address);

/* What leaves by it is queued to keep to a rate: a token bucket filter in place of its queue. */
int link_shape(struct rtnl *rtnl, int index, uint64_t bytes_per_second);

struct link_route {
    struct address to;
    bool has_gateway;
    struct address via;
    int index;      /* of the interface */
    bool by_kernel; /* of an address's prefix */
    uint32_t priority;
};

/*
 * Calls `take` for each unicast route of the main table, of both families; not 0 ends it.
 * `index` 0: of all interfaces.
 */
int link_routes(struct rtnl *rtnl, int index, int (*take)(void *opaque, const struct link_route *),
                void *opaque);

/* Calls `take` for each address of the interface (0: of all) that is not link-local. */
int link_addresses(struct rtnl *rtnl, int index, int (*take)(void *opaque, const struct address *),
                   void *opaque);

#endif
