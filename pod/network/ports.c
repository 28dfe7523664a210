// SPDX-License-Identifier: Apache-2.0
/*
 * Ports of the host that pods have published: see ports.h. A claim is called "tcp-8080-any" or
 * "tcp-8080-192.0.2.1": an address and all addresses exclude each other.
 */
#include "pod/network/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/address.h"

#define NAME_BYTES 96u
#define ANY        "any"

static const struct {
    const char *name;
    int type, protocol;
} protocols[] = {
    [POD_NETWORK_TCP] = {"tcp", SOCK_STREAM, IPPROTO_TCP},
    [POD_NETWORK_UDP] = {"udp", SOCK_DGRAM, IPPROTO_UDP},
    [POD_NETWORK_SCTP] = {"sctp", SOCK_STREAM, IPPROTO_SCTP},
};

struct search {
    const struct network_state *state;
    const char *prefix, *address, *id;
};

/* 1 when it is a claim of another pod for the same port. */
static int look(void *opaque, const char *name)
{
    const struct search *search = opaque;
    size_t len = strlen(search->prefix);

    if (strncmp(name, search->prefix, len) != 0 ||
        (strcmp(name + len, ANY) != 0 && strcmp(search->address, ANY) != 0 &&
         strcmp(name + len, search->address) != 0))
        return 0;
    return network_claimed(search->state->ports, name, search->id);
}

static socklen_t socket_address(const struct pod_network_port *port, int family,
                                struct sockaddr_storage *out)
{
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(port->host_port)};
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_port = htons(port->host_port)};
    struct address address;

    if (port->host_ip[0] && address_parse(port->host_ip, &address) == 0) {
        memcpy(&ip4.sin_addr, address.bytes, sizeof(ip4.sin_addr));
        memcpy(&ip6.sin6_addr, address.bytes, sizeof(ip6.sin6_addr));
        family = address.family;
    }
    if (family == AF_INET) {
        memcpy(out, &ip4, sizeof(ip4));
        return sizeof(ip4);
    }
    memcpy(out, &ip6, sizeof(ip6));
    return sizeof(ip6);
}

/* A program that listens would be cut off. Addresses that the host does not have (yet) are no
 * reason, nor is a protocol that it does not know. */
static bool is_listened_on(const struct pod_network_port *port, int family)
{
    struct sockaddr_storage address;
    socklen_t len = socket_address(port, family, &address);
    const int on = 1;
    bool taken;
    int fd = socket(address.ss_family, protocols[port->protocol].type | SOCK_CLOEXEC,
                    protocols[port->protocol].protocol);

    if (fd < 0)
        return false;
    if (address.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    /* What is left of closed connections is no listener. */
    if (port->protocol == POD_NETWORK_TCP)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    taken = bind(fd, (const struct sockaddr *)&address, len) < 0 && errno == EADDRINUSE;
    close_fd(&fd);
    return taken;
}

static int claim(const struct network_state *state, const struct pod_network_port *port,
                 const char *id, struct husk_error *err)
{
    static const char wrong[] = "cannot publish a port of the pod";
    const char *address = port->host_ip[0] ? port->host_ip : ANY;
    char prefix[24], name[NAME_BYTES];
    struct search search = {.state = state, .prefix = prefix, .address = address, .id = id};
    int ret;

    snprintf(prefix, sizeof(prefix), "%s-%u-", protocols[port->protocol].name, port->host_port);
    snprintf(name, sizeof(name), "%s%s", prefix, address);
    ret = network_claims(state->ports, NULL, look, &search);
    if (ret > 0)
        return error_set(err, EADDRINUSE, name, wrong, "another pod has published it");
    if (ret < 0)
        return error_set(err, -ret, STATE_DIRECTORY "/ports", wrong, NULL);
    if (is_listened_on(port, AF_INET) || (!port->host_ip[0] && is_listened_on(port, AF_INET6)))
        return error_set(err, EADDRINUSE, name, wrong, "a program of the host has this port");
    ret = network_claim(state->ports, name, id);
    return ret ? error_set(err, -ret, name, wrong, NULL) : 0;
}

int ports_claim(const struct network_state *state, const struct pod_network_request *request,
                struct husk_error *err)
{
    int ret = 0;

    for (unsigned i = 0; !ret && i < request->port_count; i++)
        ret = claim(state, &request->ports[i], request->id, err);
    return ret;
}

int ports_release(const struct network_state *state, const char *id, struct husk_error *err)
{
    int ret = network_unclaim(state->ports, id);

    return ret ? error_set(err, -ret, STATE_DIRECTORY "/ports",
                           "cannot give back the published ports of the pod", NULL)
               : 0;
}
