// SPDX-License-Identifier: Apache-2.0
/*
 * What a guest may send: see rules.h.
 *
 * A frame must bear the pod's MAC, and be one of
 *   ARP    for Ethernet and IPv4, from the pod's MAC and one of its addresses; or a probe for one
 *          of them (RFC 826; RFC 5227, 1.1)
 *   IPv4   from one of its addresses, to nobody's loopback (the bridge has route_localnet), not
 *          what a DHCP server or an IGMP querier says
 *   IPv6   from one of its addresses or its link-local one; neighbour discovery only about these,
 *          with no link-layer address but the pod's MAC in it (RFC 4861, 4.3, 4.4), the
 *          unspecified address only for duplicate address detection (RFC 4862, 5.4.2) and multicast
 *          listener reports (RFC 3590); no router's, redirect's, querier's or DHCP server's message
 * Everything else, tagged frames among it, is dropped and counted. A rule about a field that a
 * frame is too short to have does not match: so each of them says what may go on, and each chain
 * ends with what does not.
 *
 * "@th" is the message of ICMPv6: type and code at 0, the target at 8, the first option at 24. nft
 * names these fields in newer releases than Debian 12's.
 */
#include "pod/network/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BURST_MIN (256u << 10) /* some segmented packets, each up to 64 KiB */

/* How an address stands in a set: IPv6 as a number where fields without a name are compared. */
static void print_address(FILE *out, const struct address *address, bool raw)
{
    char text[ADDRESS_TEXT];

    if (!raw) {
        address_text(address, text);
        fputs(text, out);
        return;
    }
    fputs("0x", out);
    for (size_t i = 0; i < address_len(address); i++)
        fprintf(out, "%02x", address->bytes[i]);
}

struct family {
    int family;
    bool raw;
    const struct address *also; /* one more, or NULL */
};

/* "{ A, B }" of those of one family. */
static void print_set(FILE *out, const struct address *addresses, unsigned count,
                      const struct family *family)
{
    const char *before = "{ ";

    for (unsigned i = 0; i <= count; i++) {
        const struct address *address = i < count ? &addresses[i] : family->also;

        if (!address || address->family != family->family)
            continue;
        fputs(before, out);
        print_address(out, address, family->raw);
        before = ", ";
    }
    fputs(" }", out);
}

static bool has_family(const struct address *addresses, unsigned count, int family)
{
    for (unsigned i = 0; i < count; i++) {
        if (addresses[i].family == family)
            return true;
    }
    return false;
}

static void print_arp(FILE *out, const struct rules_guest *guest, const char *mac)
{
    const struct family ip4 = {.family = AF_INET};

    fprintf(out,
            " chain arp_own {\n"
            "  arp htype 1 arp ptype ip arp operation { request, reply } arp saddr ether %s goto "
            "pass\n"
            "  counter drop\n }\n"
            " chain arp_from {\n"
            "  arp saddr ip ",
            mac);
    print_set(out, guest->addresses, guest->address_count, &ip4);
    fputs(" goto arp_own\n  arp saddr ip 0.0.0.0 arp daddr ip ", out);
    print_set(out, guest->addresses, guest->address_count, &ip4);
    fputs(" goto arp_own\n  counter drop\n }\n", out);
}

static void print_ip4(FILE *out, const struct rules_guest *guest)
{
    const struct family ip4 = {.family = AF_INET};

    fputs(" chain ip4_own {\n"
          "  udp sport 67 counter drop\n"
          "  igmp type membership-query counter drop\n"
          "  meta l4proto != 255 goto pass\n"
          "  counter drop\n }\n"
          " chain ip4_from {\n  ip saddr ",
          out);
    print_set(out, guest->addresses, guest->address_count, &ip4);
    fputs(" ip daddr != 127.0.0.0/8 goto ip4_own\n  counter drop\n }\n", out);
}

/* A solicitation or an advertisement is of 24 bytes, or of 32 with one option: type 1 or 2. */
static void print_discovery(FILE *out, const struct rules_guest *guest)
{
    const struct address own = address_link_local(guest->mac);
    const struct family targets = {.family = AF_INET6, .raw = true, .also = &own};
    const uint8_t *m = guest->mac;
    char mac[16];

    snprintf(mac, sizeof(mac), "0x%02x%02x%02x%02x%02x%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    fprintf(out,
            " chain nd_option {\n"
            "  ip6 length 24 goto pass\n"
            "  ip6 length 32 icmpv6 type nd-neighbor-advert @th,192,16 0x0201 @th,208,48 %s goto "
            "pass\n"
            "  ip6 length 32 icmpv6 type nd-neighbor-solicit @th,192,16 0x0101 @th,208,48 %s goto "
            "pass\n"
            "  counter drop\n }\n"
            " chain nd_from {\n"
            "  ip6 nexthdr icmpv6 icmpv6 type nd-neighbor-solicit goto nd_option\n"
            "  ip6 nexthdr icmpv6 icmpv6 type nd-neighbor-advert @th,64,128 ",
            mac, mac);
    print_set(out, guest->addresses, guest->address_count, &targets);
    fputs(" goto nd_option\n  counter drop\n }\n"
          " chain unspecified {\n"
          "  icmpv6 type { 131, 132, 143 } goto pass\n"
          "  ip6 nexthdr icmpv6 icmpv6 type nd-neighbor-solicit @th,64,128 ",
          out);
    print_set(out, guest->addresses, guest->address_count, &targets);
    fputs(" goto pass\n  counter drop\n }\n", out);
}

static void print_ip6(FILE *out, const struct rules_guest *guest)
{
    const struct address own = address_link_local(guest->mac);
    const struct family sources = {.family = AF_INET6, .also = &own};

    print_discovery(out, guest);
    fputs(" chain ip6_own {\n"
          "  udp sport 547 counter drop\n"
          "  meta l4proto != icmpv6 goto pass\n"
          "  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } goto nd_from\n"
          "  icmpv6 type != { mld-listener-query, nd-router-advert, nd-redirect } goto pass\n"
          "  counter drop\n }\n"
          " chain ip6_from {\n"
          "  ip6 saddr :: goto unspecified\n"
          "  ip6 saddr ",
          out);
    print_set(out, guest->addresses, guest->address_count, &sources);
    fputs(" ip6 daddr != ::1 goto ip6_own\n  counter drop\n }\n", out);
}

/* Whom an isolated guest may speak to: the bridge itself, and it may ask for that one's MAC. */
static void print_gateway_only(FILE *out, const struct rules_guest *guest)
{
    const struct family ip4 = {.family = AF_INET}, ip6 = {.family = AF_INET6, .raw = true};
    char mac[18];

    mac_text(guest->gateway_mac, mac);
    fprintf(out, "  ether daddr %s accept\n", mac);
    if (has_family(guest->gateways, guest->gateway_count, AF_INET)) {
        fputs("  ether type arp arp daddr ip ", out);
        print_set(out, guest->gateways, guest->gateway_count, &ip4);
        fputs(" accept\n", out);
    }
    if (has_family(guest->gateways, guest->gateway_count, AF_INET6)) {
        fputs("  ether type ip6 icmpv6 type nd-neighbor-solicit @th,64,128 ", out);
        print_set(out, guest->gateways, guest->gateway_count, &ip6);
        fputs(" accept\n", out);
    }
    fputs("  counter drop\n", out);
}

/* Whatever may go on does so here. */
static void print_pass(FILE *out, const struct rules_guest *guest)
{
    uint64_t burst = guest->egress_bytes / 10;

    fputs(" chain pass {\n", out);
    if (guest->egress_bytes)
        fprintf(out, "  limit rate over %llu bytes/second burst %llu bytes counter drop\n",
                (unsigned long long)guest->egress_bytes,
                (unsigned long long)(burst < BURST_MIN ? BURST_MIN : burst));
    if (guest->forward)
        fprintf(out, "  fwd to \"%s\"\n", guest->forward);
    else if (guest->gateway_mac)
        print_gateway_only(out, guest);
    else
        fputs("  accept\n", out);
    fputs(" }\n", out);
}

/* What is on its way to the guest. */
static void print_towards(FILE *out, const struct rules_guest *guest)
{
    char mac[18];

    if (guest->forward) {
        fprintf(out,
                " chain to_guest {\n"
                "  type filter hook ingress device \"%s\" priority 0; policy accept;\n"
                "  fwd to \"%s\"\n }\n",
                guest->forward, guest->tap);
    } else if (guest->gateway_mac) {
        mac_text(guest->gateway_mac, mac);
        fprintf(out,
                " chain to_guest {\n"
                "  type filter hook egress device \"%s\" priority 0; policy accept;\n"
                "  ether saddr != %s counter drop\n }\n",
                guest->tap, mac);
    }
}

static void print_table(FILE *out, const struct rules_guest *guest)
{
    bool ip4 = has_family(guest->addresses, guest->address_count, AF_INET);
    bool ip6 = has_family(guest->addresses, guest->address_count, AF_INET6);
    char mac[18];

    mac_text(guest->mac, mac);
    fprintf(out, "add table netdev %s\ndelete table netdev %s\ntable netdev %s {\n", guest->tap,
            guest->tap, guest->tap);
    print_pass(out, guest);
    if (ip4) {
        print_arp(out, guest, mac);
        print_ip4(out, guest);
    }
    if (ip6)
        print_ip6(out, guest);
    fprintf(out,
            " chain from_guest {\n"
            "  type filter hook ingress device \"%s\" priority 0; policy drop;\n"
            "  ether saddr != %s counter drop\n",
            guest->tap, mac);
    if (ip4)
        fputs("  ether type arp goto arp_from\n  ether type ip goto ip4_from\n", out);
    if (ip6)
        fputs("  ether type ip6 goto ip6_from\n", out);
    fputs("  counter drop\n }\n", out);
    print_towards(out, guest);
    fputs("}\n", out);
}

char *rules_guest(const struct rules_guest *guest)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    print_table(out, guest);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
