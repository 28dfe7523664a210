// SPDX-License-Identifier: Apache-2.0
/* Rule sets of the bridge and of published ports: see rules.h. */
#include "pod/network/rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *family_name(const struct address *address)
{
    return address->family == AF_INET ? "ip" : "ip6";
}

/* Takes the stream; the text that was written to it, or NULL. */
static char *finish(FILE *out, char **text)
{
    if (!fclose(out))
        return *text;
    free(*text);
    return NULL;
}

/* ---- the bridge ---- */

/*
 * From the pods to elsewhere with the address of the host. Connections of a pod to a published port
 * of another, and of the host's localhost, come from the bridge's address then, so that the answers
 * pass through here, too.
 */
static void print_masquerade(FILE *out, const struct rules_bridge *bridge)
{
    char prefix[ADDRESS_TEXT];

    fputs(" chain postrouting {\n"
          "  type nat hook postrouting priority srcnat; policy accept;\n",
          out);
    for (unsigned i = 0; i < bridge->prefix_count; i++) {
        const struct address network = address_network(&bridge->prefixes[i]);
        const char *family = family_name(&network);

        address_prefix_text(&network, prefix);
        fprintf(out, "  %s saddr %s oifname != \"%s\" masquerade\n", family, prefix,
                bridge->bridge);
        fprintf(out, "  %s saddr %s oifname \"%s\" ct status dnat masquerade\n", family, prefix,
                bridge->bridge);
    }
    fprintf(out, "  ip saddr 127.0.0.0/8 oifname \"%s\" masquerade\n }\n", bridge->bridge);
}

char *rules_bridge(const struct rules_bridge *bridge)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    fputs("add table inet " RULES_TABLE "\ndelete table inet " RULES_TABLE
          "\ntable inet " RULES_TABLE " {\n",
          out);
    print_masquerade(out, bridge);
    /* Nobody outside opens connections to a pod but through a published port. */
    fprintf(out,
            " chain forward {\n"
            "  type filter hook forward priority filter; policy accept;\n"
            "  oifname != \"%s\" accept\n"
            "  iifname \"%s\" accept\n"
            "  ct state { established, related } accept\n"
            "  ct status dnat accept\n"
            "  counter drop\n }\n}\n",
            bridge->bridge, bridge->bridge);
    return finish(out, &text);
}

char *rules_remove_bridge(void)
{
    return strdup("add table inet " RULES_TABLE "\ndelete table inet " RULES_TABLE "\n");
}

char *rules_remove_guest(const char *tap)
{
    char *text;

    return asprintf(&text,
                    "add table netdev %s\ndelete table netdev %s\n"
                    "add table inet %s\ndelete table inet %s\n",
                    tap, tap, tap, tap) < 0
               ? NULL
               : text;
}

/* ---- published ports ---- */

static const char *const protocols[] = {
    [POD_NETWORK_TCP] = "tcp", [POD_NETWORK_UDP] = "udp", [POD_NETWORK_SCTP] = "sctp"};

/* To nothing when the port is of an address of the other family. */
static void print_port(FILE *out, const struct pod_network_port *port, const struct address *to)
{
    bool ip4 = to->family == AF_INET;
    struct address host;
    char text[ADDRESS_TEXT];

    if (!port->host_ip[0]) {
        fputs(ip4 ? "  meta nfproto ipv4 " : "  ip6 daddr != ::1 ", out);
    } else if (address_parse(port->host_ip, &host) || host.family != to->family) {
        return;
    } else {
        address_text(&host, text);
        fprintf(out, "  %s daddr %s ", family_name(&host), text);
    }
    address_text(to, text);
    fprintf(out, ip4 ? "%s dport %u dnat ip to %s:%u\n" : "%s dport %u dnat ip6 to [%s]:%u\n",
            protocols[port->protocol], port->host_port, text, port->pod_port);
}

static void print_publishing(FILE *out, const struct rules_ports *ports)
{
    fputs(" chain ports {\n", out);
    for (unsigned i = 0; i < ports->port_count; i++) {
        for (unsigned j = 0; j < ports->address_count; j++)
            print_port(out, &ports->ports[i], &ports->addresses[j]);
    }
    fputs(" }\n"
          " chain prerouting {\n"
          "  type nat hook prerouting priority dstnat; policy accept;\n"
          "  fib daddr type local jump ports\n }\n"
          " chain output {\n"
          "  type nat hook output priority -100; policy accept;\n"
          "  fib daddr type local jump ports\n }\n",
          out);
}

/* The frames of an isolated pod are looked at where they enter and leave; this is for packets that
 * others have the host route there and back. */
static void print_isolation(FILE *out, const struct rules_ports *ports)
{
    char text[ADDRESS_TEXT];

    fprintf(out,
            " chain forward {\n"
            "  type filter hook forward priority filter; policy accept;\n"
            "  iifname != \"%s\" accept\n"
            "  oifname != \"%s\" accept\n"
            "  ct status dnat accept\n",
            ports->bridge, ports->bridge);
    for (unsigned i = 0; i < ports->address_count; i++) {
        const char *family = family_name(&ports->addresses[i]);

        address_text(&ports->addresses[i], text);
        fprintf(out, "  %s saddr %s counter drop\n  %s daddr %s counter drop\n", family, text,
                family, text);
    }
    fputs(" }\n", out);
}

char *rules_ports(const struct rules_ports *ports, bool *empty)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out;

    *empty = !ports->port_count && !ports->isolated;
    if (*empty)
        return NULL;
    out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    fprintf(out, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", ports->tap,
            ports->tap, ports->tap);
    if (ports->port_count)
        print_publishing(out, ports);
    if (ports->isolated)
        print_isolation(out, ports);
    fputs("}\n", out);
    return finish(out, &text);
}
