// SPDX-License-Identifier: Apache-2.0
/* The pod's network: see network.h. No state. */
#include "guest/agent/network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"
#include "guest/agent/files.h"

#define ADDRESSES_MAX 64
#define ROUTES_MAX    256
#define MESSAGE_MAX   512
#define MAC_TRIES     500u /* of 10 ms */

/* One message to the kernel, with room for its attributes. */
struct message {
    struct nlmsghdr header;
    char rest[MESSAGE_MAX];
};

struct address {
    int family;
    size_t len;
    uint8_t bytes[16];
    uint8_t prefix;
};

static void start(struct message *message, uint16_t type, uint16_t flags, const void *body,
                  size_t len)
{
    memset(message, 0, sizeof(*message));
    message->header.nlmsg_type = type;
    message->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    message->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
    memcpy(NLMSG_DATA(&message->header), body, len);
}

/* All attributes together are far below MESSAGE_MAX. */
static void put(struct message *message, uint16_t type, const void *data, size_t len)
{
    size_t at = NLMSG_ALIGN(message->header.nlmsg_len);
    struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

    memcpy((char *)message + at, &attribute, sizeof(attribute));
    memcpy((char *)message + at + RTA_LENGTH(0), data, len);
    message->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

/* 0 or what the kernel answers. */
static int ask(const struct message *message)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), ret = -EPROTO;
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[1024];
    } answer;
    ssize_t len;

    if (fd < 0)
        return -errno;
    if (send(fd, message, message->header.nlmsg_len, 0) < 0)
        ret = -errno;
    else if ((len = recv(fd, &answer, sizeof(answer), 0)) < 0)
        ret = -errno;
    else if ((size_t)len >= NLMSG_LENGTH(sizeof(answer.error)) &&
             answer.header.nlmsg_type == NLMSG_ERROR)
        ret = answer.error.error;
    close(fd);
    return ret;
}

static int link_up(unsigned index, uint32_t mtu)
{
    const struct ifinfomsg body = {.ifi_family = AF_UNSPEC,
                                   .ifi_index = (int)index,
                                   .ifi_flags = IFF_UP,
                                   .ifi_change = IFF_UP};
    struct message message;

    start(&message, RTM_NEWLINK, 0, &body, sizeof(body));
    if (mtu)
        put(&message, IFLA_MTU, &mtu, sizeof(mtu));
    return ask(&message);
}

int network_loopback_up(void)
{
    unsigned index = if_nametoindex("lo");

    return index ? link_up(index, 0) : -errno;
}

/* "ADDRESS", or "ADDRESS/BITS" where with_prefix. */
static bool parse_address(const char *text, bool with_prefix, struct address *out)
{
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    uint64_t prefix = 0;

    if (len >= sizeof(host) || (text[len] == '/') != with_prefix)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, out->bytes) == 1) {
        out->family = AF_INET;
        out->len = 4;
    } else if (inet_pton(AF_INET6, host, out->bytes) == 1) {
        out->family = AF_INET6;
        out->len = 16;
    } else {
        return false;
    }
    if (with_prefix && parse_u64(text + len + 1, 0, out->len * 8, &prefix))
        return false;
    out->prefix = (uint8_t)prefix;
    return true;
}

static int add_address(unsigned index, const struct address *address)
{
    const struct ifaddrmsg body = {.ifa_family = (uint8_t)address->family,
                                   .ifa_prefixlen = address->prefix,
                                   .ifa_flags = IFA_F_NODAD,
                                   .ifa_index = index};
    struct message message;

    start(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
    put(&message, IFA_LOCAL, address->bytes, address->len);
    put(&message, IFA_ADDRESS, address->bytes, address->len);
    return ask(&message);
}

static int add_route(unsigned index, const struct address *to, const struct address *via)
{
    const struct rtmsg body = {.rtm_family = (uint8_t)to->family,
                               .rtm_dst_len = to->prefix,
                               .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_scope = via || to->family == AF_INET6 ? RT_SCOPE_UNIVERSE
                                                                          : RT_SCOPE_LINK,
                               .rtm_type = RTN_UNICAST};
    struct message message;

    start(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
    if (to->prefix)
        put(&message, RTA_DST, to->bytes, to->len);
    if (via)
        put(&message, RTA_GATEWAY, via->bytes, via->len);
    put(&message, RTA_OIF, &index, sizeof(index));
    return ask(&message);
}

/* Addresses and routes are the host's to say, not those of whoever advertises himself as a router
 * (RFC 4861, section 4.2). */
static int ignore_routers(unsigned index)
{
    char name[IF_NAMESIZE], path[64];
    int ret;

    if (!if_indextoname(index, name))
        return -errno;
    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", name);
    ret = file_write(AT_FDCWD, path, "0");
    return ret == -ENOENT ? 0 : ret; /* the kernel has no IPv6 */
}

static unsigned index_of_mac(const char *mac)
{
    DIR *list = opendir("/sys/class/net");
    const struct dirent *entry;
    unsigned index = 0;

    while (list && !index && (entry = readdir(list))) {
        char path[300], text[64];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/sys/class/net/%.200s/address", entry->d_name);
        if (file_read(AT_FDCWD, path, text, sizeof(text)))
            continue;
        text[strcspn(text, "\n")] = '\0';
        if (!strcasecmp(text, mac))
            index = if_nametoindex(entry->d_name);
    }
    if (list)
        closedir(list);
    return index;
}

/* A card's driver makes its interface when the card has answered, which may be after the module was
 * loaded. */
static unsigned wait_for_mac(const char *mac)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    unsigned index = index_of_mac(mac);

    for (unsigned i = 0; !index && i < MAC_TRIES; i++) {
        nanosleep(&pause, NULL);
        index = index_of_mac(mac);
    }
    return index;
}

static int find_interface(const struct node *params, unsigned *index, struct husk_error *err)
{
    const char *name = NULL, *mac = NULL;
    int ret = node_text(params, "interface", 1, IF_NAMESIZE - 1, &name, err);

    if (!ret)
        ret = node_text(params, "mac", 17, 17, &mac, err);
    if (ret)
        return ret;
    if (!name == !mac)
        return node_error(params, EINVAL, err, "wants one of interface, mac");
    *index = name ? if_nametoindex(name) : wait_for_mac(mac);
    if (!*index)
        return error_set(err, ENOENT, name ? name : mac, "the guest has no such interface", "%s",
                         "");
    return 0;
}

static int set_addresses(const struct node *addresses, unsigned index, struct husk_error *err)
{
    for (size_t i = 0; i < node_count(addresses); i++) {
        struct node element = node_element(addresses, i);
        const char *text = NULL;
        struct address address;
        int ret = node_text_value(&element, 1, 64, &text, err);

        if (ret)
            return ret;
        if (!parse_address(text, true, &address))
            return node_error(&element, EINVAL, err, "wants ADDRESS/BITS");
        ret = add_address(index, &address);
        if (ret)
            return error_set(err, -ret, text, "cannot be added", NULL);
    }
    return 0;
}

static int set_routes(const struct node *routes, unsigned index, struct husk_error *err)
{
    static const char *const members[] = {"to", "via", NULL};

    for (size_t i = 0; i < node_count(routes); i++) {
        const char *to_text = NULL, *via_text = NULL;
        struct address to, via;
        struct node item;
        int ret = node_object_at(routes, i, &item, err);

        if (!ret)
            ret = node_only(&item, members, err);
        if (!ret)
            ret = node_need_text(&item, "to", 1, 64, &to_text, err);
        if (!ret)
            ret = node_text(&item, "via", 1, 64, &via_text, err);
        if (ret)
            return ret;
        if (!parse_address(to_text, true, &to) ||
            (via_text && (!parse_address(via_text, false, &via) || via.family != to.family)))
            return node_error(&item, EINVAL, err, "wants ADDRESS/BITS, and via an ADDRESS alike");
        ret = add_route(index, &to, via_text ? &via : NULL);
        if (ret)
            return error_set(err, -ret, to_text, "cannot be routed", NULL);
    }
    return 0;
}

int network_set(const struct node *params, struct husk_error *err)
{
    struct node addresses, routes;
    uint64_t mtu = 0;
    unsigned index = 0;
    int ret = node_array(params, "addresses", ADDRESSES_MAX, &addresses, err);

    if (!ret)
        ret = node_array(params, "routes", ROUTES_MAX, &routes, err);
    if (!ret)
        ret = node_unsigned(params, "mtu", 65535, &mtu, NULL, err);
    if (!ret)
        ret = find_interface(params, &index, err);
    if (ret)
        return ret;
    ret = ignore_routers(index);
    if (ret)
        return error_set(err, -ret, "network.set", "routers cannot be kept from the interface",
                         NULL);
    ret = link_up(index, (uint32_t)mtu);
    if (ret)
        return error_set(err, -ret, "network.set", "the interface cannot be brought up", NULL);
    ret = set_addresses(&addresses, index, err);
    return ret ? ret : set_routes(&routes, index, err);
}
