// SPDX-License-Identifier: Apache-2.0
/* The routes and addresses of a namespace, and rates of interfaces: see link.h. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/pkt_sched.h>
#include <string.h>
#include <sys/socket.h>

#include "pod/network/link.h"

struct listing {
    int index;
    int (*take_route)(void *opaque, const struct link_route *route);
    int (*take_address)(void *opaque, const struct address *address);
    void *opaque;
};

static void copy_address(struct address *out, int family, uint8_t bits, const uint8_t *value,
                         size_t len)
{
    *out = (struct address){.family = family, .bits = bits};
    if (len == address_len(out))
        memcpy(out->bytes, value, len);
}

static uint32_t number_of(const uint8_t *value, size_t len)
{
    uint32_t number = 0;

    if (len == sizeof(number))
        memcpy(&number, value, sizeof(number));
    return number;
}

static int take_route(void *opaque, const uint8_t *data, size_t size)
{
    const struct listing *listing = opaque;
    struct link_route route = {.index = 0};
    const uint8_t *at, *value;
    struct rtmsg message;
    uint32_t table;
    size_t len;
    int type;

    if (size < sizeof(message))
        return -EPROTO;
    memcpy(&message, data, sizeof(message));
    if (message.rtm_family != AF_INET && message.rtm_family != AF_INET6)
        return 0;
    table = message.rtm_table;
    route.to = (struct address){.family = message.rtm_family, .bits = message.rtm_dst_len};
    route.by_kernel = message.rtm_protocol == RTPROT_KERNEL;
    at = data + NLMSG_ALIGN(sizeof(message));
    while ((type = rtnl_next(&at, data + size, &value, &len)) >= 0) {
        if (type == RTA_DST) {
            copy_address(&route.to, message.rtm_family, message.rtm_dst_len, value, len);
        } else if (type == RTA_GATEWAY) {
            route.has_gateway = true;
            copy_address(&route.via, message.rtm_family, 0, value, len);
            route.via.bits = (uint8_t)(address_len(&route.via) * 8);
        } else if (type == RTA_OIF) {
            route.index = (int)number_of(value, len);
        } else if (type == RTA_TABLE) {
            table = number_of(value, len);
        } else if (type == RTA_PRIORITY) {
            route.priority = number_of(value, len);
        }
    }
    if (table != RT_TABLE_MAIN || message.rtm_type != RTN_UNICAST ||
        (message.rtm_flags & RTM_F_CLONED) || (listing->index && route.index != listing->index))
        return 0;
    return listing->take_route(listing->opaque, &route);
}

int link_routes(struct rtnl *rtnl, int index,
                int (*take)(void *opaque, const struct link_route *route), void *opaque)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    struct listing listing = {.index = index, .take_route = take, .opaque = opaque};
    int ret = 0;

    for (unsigned i = 0; !ret && i < sizeof(families); i++) {
        const struct rtmsg message = {.rtm_family = families[i], .rtm_table = RT_TABLE_MAIN};
        struct rtnl_request request;

        rtnl_begin_as(&request, RTM_GETROUTE, NLM_F_DUMP, &message, sizeof(message));
        ret = rtnl_talk(rtnl, &request, take_route, &listing);
    }
    return ret;
}

static int take_address(void *opaque, const uint8_t *data, size_t size)
{
    const struct listing *listing = opaque;
    const uint8_t *at, *value;
    struct ifaddrmsg message;
    struct address address;
    bool local = false;
    size_t len;
    int type;

    if (size < sizeof(message))
        return -EPROTO;
    memcpy(&message, data, sizeof(message));
    if ((message.ifa_family != AF_INET && message.ifa_family != AF_INET6) ||
        message.ifa_scope >= RT_SCOPE_LINK ||
        (listing->index && message.ifa_index != (uint32_t)listing->index))
        return 0;
    address = (struct address){.family = message.ifa_family, .bits = message.ifa_prefixlen};
    at = data + NLMSG_ALIGN(sizeof(message));
    while ((type = rtnl_next(&at, data + size, &value, &len)) >= 0) {
        /* Where there is a peer, IFA_ADDRESS is the peer's. */
        if (type == IFA_LOCAL || (type == IFA_ADDRESS && !local))
            copy_address(&address, message.ifa_family, message.ifa_prefixlen, value, len);
        local |= type == IFA_LOCAL;
    }
    return listing->take_address(listing->opaque, &address);
}

int link_addresses(struct rtnl *rtnl, int index,
                   int (*take)(void *opaque, const struct address *address), void *opaque)
{
    const struct ifaddrmsg message = {.ifa_family = AF_UNSPEC};
    struct listing listing = {.index = index, .take_address = take, .opaque = opaque};
    struct rtnl_request request;

    rtnl_begin_as(&request, RTM_GETADDR, NLM_F_DUMP, &message, sizeof(message));
    return rtnl_talk(rtnl, &request, take_address, &listing);
}

/* ---- rates ---- */

#define TICKS_PER_US 15625 / 1000 /* the kernel's: PSCHED_SHIFT is 6, 64 ns */
#define BURST_MIN    65536u       /* a whole segmented packet goes through at once */
#define QUEUE_BYTES  (1u << 20)

/*
 * A token bucket of at least 64 KiB, or what 20 ms bring; a queue of 1 MiB behind it (Linux,
 * net/sched/sch_tbf.c). TCA_TBF_BURST has the bucket's size in bytes, and makes the rate tables of
 * old needless; they must be there all the same only for kernels before 3.14.
 */
int link_shape(struct rtnl *rtnl, int index, uint64_t bytes_per_second)
{
    const struct tcmsg body = {.tcm_family = AF_UNSPEC,
                               .tcm_ifindex = index,
                               .tcm_parent = TC_H_ROOT,
                               .tcm_handle = TC_H_MAKE(1u << 16, 0)};
    uint64_t burst = bytes_per_second / 50;
    struct tc_tbf_qopt options = {.limit = QUEUE_BYTES};
    struct rtnl_request request;
    struct rtattr *nest;
    uint32_t bytes;

    bytes = burst < BURST_MIN ? BURST_MIN : burst > QUEUE_BYTES ? QUEUE_BYTES : (uint32_t)burst;
    options.rate.linklayer = 1; /* TC_LINKLAYER_ETHERNET */
    options.rate.rate = bytes_per_second > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_per_second;
    options.buffer =
        (uint32_t)(((uint64_t)bytes * 1000000 / (bytes_per_second + 1)) * TICKS_PER_US);
    rtnl_begin_as(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
    rtnl_put_text(&request, TCA_KIND, "tbf");
    nest = rtnl_nest(&request, TCA_OPTIONS);
    rtnl_put(&request, TCA_TBF_PARMS, &options, sizeof(options));
    if (bytes_per_second > UINT32_MAX)
        rtnl_put(&request, TCA_TBF_RATE64, &bytes_per_second, sizeof(bytes_per_second));
    rtnl_put(&request, TCA_TBF_BURST, &bytes, sizeof(bytes));
    rtnl_nest_end(&request, nest);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}
