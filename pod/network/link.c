// SPDX-License-Identifier: Apache-2.0
/* Interfaces through rtnetlink: see link.h. No state. */
#include "pod/network/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/socket.h>

#include "base/checked.h"

/* ---- reading ---- */

struct reading {
    struct link_info *out;
    bool seen;
};

static void take_kind(struct link_info *out, const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *value;
    size_t len;
    int type;

    while ((type = rtnl_next(&at, data + size, &value, &len)) >= 0) {
        if (type == IFLA_INFO_KIND)
            out->is_bridge = len >= 6 && !memcmp(value, "bridge", 6);
    }
}

static uint32_t number_of(const uint8_t *value, size_t len)
{
    uint32_t number = 0;

    if (len == sizeof(number))
        memcpy(&number, value, sizeof(number));
    return number;
}

static int take_link(void *opaque, const uint8_t *data, size_t size)
{
    struct reading *reading = opaque;
    struct link_info *out = reading->out;
    const uint8_t *at, *value;
    struct ifinfomsg link;
    size_t len;
    int type;

    if (size < sizeof(link))
        return -EPROTO;
    memcpy(&link, data, sizeof(link));
    out->index = link.ifi_index;
    out->up = (link.ifi_flags & IFF_UP) != 0;
    reading->seen = true;
    at = data + NLMSG_ALIGN(sizeof(link));
    while ((type = rtnl_next(&at, data + size, &value, &len)) >= 0) {
        if (type == IFLA_ADDRESS && len == sizeof(out->mac))
            memcpy(out->mac, value, len);
        else if (type == IFLA_MTU)
            out->mtu = number_of(value, len);
        else if (type == IFLA_MASTER)
            out->master = (int)number_of(value, len);
        else if (type == IFLA_LINKINFO)
            take_kind(out, value, len);
    }
    return 0;
}

int link_read(struct rtnl *rtnl, const char *name, struct link_info *out)
{
    struct reading reading = {.out = out};
    struct rtnl_request request;
    int ret;

    memset(out, 0, sizeof(*out));
    if (strlen(name) >= IFNAMSIZ)
        return -ENODEV;
    memcpy(out->name, name, strlen(name) + 1);
    rtnl_begin(&request, RTM_GETLINK, 0);
    rtnl_put_text(&request, IFLA_IFNAME, name);
    ret = rtnl_talk(rtnl, &request, take_link, &reading);
    return ret ? ret : reading.seen ? 0 : -ENODEV;
}

/* ---- interfaces ---- */

int link_make_bridge(struct rtnl *rtnl, const char *name, const uint8_t mac[6], uint32_t mtu)
{
    const struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
    struct rtnl_request request;
    struct rtattr *info;

    rtnl_begin_as(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof(link));
    rtnl_put_text(&request, IFLA_IFNAME, name);
    rtnl_put(&request, IFLA_ADDRESS, mac, 6); /* else it is that of some port, and changes */
    rtnl_put_u32(&request, IFLA_MTU, mtu);
    info = rtnl_nest(&request, IFLA_LINKINFO);
    rtnl_put_text(&request, IFLA_INFO_KIND, "bridge");
    rtnl_nest_end(&request, info);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int link_delete(struct rtnl *rtnl, const char *name)
{
    struct rtnl_request request;
    int ret;

    rtnl_begin(&request, RTM_DELLINK, 0);
    rtnl_put_text(&request, IFLA_IFNAME, name);
    ret = rtnl_talk(rtnl, &request, NULL, NULL);
    return ret == -ENODEV ? 0 : ret;
}

int link_set_mtu(struct rtnl *rtnl, int index, uint32_t mtu)
{
    struct rtnl_request request;

    rtnl_begin(&request, RTM_SETLINK, index);
    rtnl_put_u32(&request, IFLA_MTU, mtu);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int link_set_mac(struct rtnl *rtnl, int index, const uint8_t mac[6])
{
    struct rtnl_request request;

    rtnl_begin(&request, RTM_SETLINK, index);
    rtnl_put(&request, IFLA_ADDRESS, mac, 6);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int link_set_master(struct rtnl *rtnl, int index, int master)
{
    struct rtnl_request request;

    rtnl_begin(&request, RTM_SETLINK, index);
    rtnl_put_u32(&request, IFLA_MASTER, (uint32_t)master);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int link_set_up(struct rtnl *rtnl, int index)
{
    const struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct rtnl_request request;

    rtnl_begin_as(&request, RTM_SETLINK, 0, &link, sizeof(link));
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int link_set_no_addresses(struct rtnl *rtnl, int index)
{
    const uint8_t none = 1; /* IN6_ADDR_GEN_MODE_NONE */
    struct rtattr *families, *family;
    struct rtnl_request request;
    int ret;

    rtnl_begin(&request, RTM_SETLINK, index);
    families = rtnl_nest(&request, IFLA_AF_SPEC);
    family = rtnl_nest(&request, AF_INET6);
    rtnl_put(&request, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
    rtnl_nest_end(&request, family);
    rtnl_nest_end(&request, families);
    ret = rtnl_talk(rtnl, &request, NULL, NULL);
    return ret == -EAFNOSUPPORT ? 0 : ret; /* a host without IPv6 gives it none anyway */
}

int link_add_address(struct rtnl *rtnl, int index, const struct address *address)
{
    const struct ifaddrmsg body = {.ifa_family = (uint8_t)address->family,
                                   .ifa_prefixlen = address->bits,
                                   .ifa_flags = IFA_F_NODAD,
                                   .ifa_index = (uint32_t)index};
    struct rtnl_request request;

    rtnl_begin_as(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
    rtnl_put(&request, IFA_LOCAL, address->bytes, address_len(address));
    rtnl_put(&request, IFA_ADDRESS, address->bytes, address_len(address));
    return rtnl_talk(rtnl, &request, NULL, NULL);
}
