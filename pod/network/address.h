// SPDX-License-Identifier: Apache-2.0
/* IPv4 and IPv6 addresses and prefixes, as texts and as bytes. Pure functions. */
#ifndef HUSK_POD_NETWORK_ADDRESS_H
#define HUSK_POD_NETWORK_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT 64u /* "ADDRESS/BITS" of either family and its NUL, with room */

struct address {
    int family; /* AF_INET or AF_INET6 */
    uint8_t bytes[16];
    uint8_t bits; /* of the prefix; all of them for an address without one */
};

/* "10.1.2.3" or "fd00::1". -EINVAL. */
int address_parse(const char *text, struct address *out);
/* "10.1.2.3/24". -EINVAL. */
int address_parse_prefix(const char *text, struct address *out);

size_t address_len(const struct address *address); /* in bytes */
void address_text(const struct address *address, char out[ADDRESS_TEXT]);
void address_prefix_text(const struct address *address, char out[ADDRESS_TEXT]);
void mac_text(const uint8_t mac[6], char out[18]);

/* The first address of the prefix in which this is. */
struct address address_network(const struct address *address);
/* Whether `address` is one of the prefix. */
bool address_within(const struct address *prefix, const struct address *address);
bool address_equal(const struct address *one, const struct address *other);
/* The address that is `offset` after the first of the prefix. */
struct address address_at(const struct address *prefix, uint64_t offset);

/* An address that a pod may have: not of the host itself, nobody's and no group's. */
bool address_is_unicast(const struct address *address);

/* fe80::/64 with the interface identifier of a MAC: RFC 4291, appendix A. */
struct address address_link_local(const uint8_t mac[6]);

#endif
