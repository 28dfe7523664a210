// SPDX-License-Identifier: Apache-2.0
/*
 * Which addresses pods on virtual functions have. A VF is on the network of its card, which husk
 * does not know; /etc/husk/network.json ($HUSK_NETWORK_CONFIG) says it for each PF:
 *
 *     {"vf": {"enp1s0f0": {
 *         "ipv4": {"prefix": "10.9.0.0/24", "first": "10.9.0.100", "last": "10.9.0.199",
 *                  "gateway": "10.9.0.1"},
 *         "ipv6": {"prefix": "fd12:3456::/64", …}, "mtu": 9000}}}
 *
 * of which one of ipv4 and ipv6 must be there, and of these the prefix. Without first and last: all
 * of the prefix that may be a pod's, of IPv6 the first 65535. Without a gateway there is no default
 * route.
 */
#ifndef HUSK_POD_NETWORK_VF_CONFIG_H
#define HUSK_POD_NETWORK_VF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/network/address.h"

#define VF_CONFIG_NAMES_MAX 10u

struct vf_range {
    struct address prefix;  /* its first address, with its bits */
    uint64_t first, last;   /* behind that */
    struct address gateway; /* family 0: none */
};

struct vf_config {
    struct vf_range ranges[2]; /* IPv4 first */
    unsigned range_count;
    uint32_t mtu; /* 0: the PF's */
};

/*
 * What a configuration file says of the PF that is called by one of `names`. `where` names the file
 * in errors. -ENOENT when it says nothing of it.
 */
int vf_config_parse(const void *bytes, size_t len, const char *where, const char *const *names,
                    unsigned name_count, struct vf_config *out, struct husk_error *err);

/* The same of the host's file. */
int vf_config_read(const char *const *names, unsigned name_count, struct vf_config *out,
                   struct husk_error *err);

#endif
