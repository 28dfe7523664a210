// SPDX-License-Identifier: Apache-2.0
/* The attributes of links that are about VFs, read and written: see link.h. */
#include "vf/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

/* Of linux/rtnetlink.h since 5.15: counters take most of the room, and there are 64 KiB. */
#ifndef RTEXT_FILTER_SKIP_STATS
#define RTEXT_FILTER_SKIP_STATS (1 << 3)
#endif

struct reading {
    struct vf_settings *out;
    unsigned count;
    bool seen;
};

/* An attribute's fixed struct; its VF's number is always the first field. */
static bool take_struct(void *out, size_t size, const uint8_t *data, size_t len)
{
    if (len < size)
        return false;
    memcpy(out, data, size);
    return true;
}

/* Trust, spoofchk and link state have structs that look alike: the VF, and a number. All ones: the
 * driver does not know of it (net/core/rtnetlink.c, rtnl_fill_vfinfo()). */
static bool take_number(uint32_t *out, const uint8_t *data, size_t len)
{
    struct ifla_vf_trust number;

    if (!take_struct(&number, sizeof(number), data, len) || number.setting == UINT32_MAX)
        return false;
    *out = number.setting;
    return true;
}

static void take_setting(struct vf_settings *vf, int type, const uint8_t *data, size_t len)
{
    struct ifla_vf_mac mac;
    struct ifla_vf_vlan vlan;
    struct ifla_vf_rate rate;
    uint32_t number;

    if (type == IFLA_VF_MAC && take_struct(&mac, sizeof(mac), data, len)) {
        memcpy(vf->mac, mac.mac, sizeof(vf->mac));
        vf->known |= VF_MAC;
    } else if (type == IFLA_VF_VLAN && take_struct(&vlan, sizeof(vlan), data, len)) {
        vf->vlan = (uint16_t)vlan.vlan;
        vf->qos = (uint8_t)vlan.qos;
        vf->known |= VF_VLAN;
    } else if (type == IFLA_VF_RATE && take_struct(&rate, sizeof(rate), data, len)) {
        vf->min_rate_mbit = rate.min_tx_rate;
        vf->rate_mbit = rate.max_tx_rate;
        vf->known |= VF_RATE;
    } else if (type == IFLA_VF_TRUST && take_number(&number, data, len)) {
        vf->trust = number == 1;
        vf->known |= VF_TRUST;
    } else if (type == IFLA_VF_SPOOFCHK && take_number(&number, data, len)) {
        vf->spoofchk = number == 1;
        vf->known |= VF_SPOOFCHK;
    } else if (type == IFLA_VF_LINK_STATE && take_number(&vf->link, data, len)) {
        vf->known |= VF_LINK;
    }
}

static void take_vf(struct reading *reading, const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *value;
    uint32_t number;
    size_t len;
    int type;

    while ((type = rtnl_next(&at, data + size, &value, &len)) >= 0) {
        if (take_struct(&number, sizeof(number), value, len) && number < reading->count)
            take_setting(&reading->out[number], type, value, len);
    }
}

static int take_link_message(void *opaque, const uint8_t *data, size_t size)
{
    struct reading *reading = opaque;
    const uint8_t *end = data + size, *at, *list, *vf;
    size_t list_len, len;
    int type;

    if (size < NLMSG_ALIGN(sizeof(struct ifinfomsg)))
        return -EPROTO;
    reading->seen = true;
    at = data + NLMSG_ALIGN(sizeof(struct ifinfomsg));
    while ((type = rtnl_next(&at, end, &list, &list_len)) >= 0) {
        const uint8_t *list_end = list + list_len;

        if (type != IFLA_VFINFO_LIST)
            continue;
        while ((type = rtnl_next(&list, list_end, &vf, &len)) >= 0) {
            if (type == IFLA_VF_INFO)
                take_vf(reading, vf, len);
        }
    }
    return 0;
}

int vf_link_read(struct rtnl *rtnl, int ifindex, struct vf_settings *out, unsigned count)
{
    const uint32_t filter = RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS;
    struct reading reading = {.out = out, .count = count};
    struct rtnl_request request;
    int ret;

    memset(out, 0, count * sizeof(*out));
    rtnl_begin(&request, RTM_GETLINK, ifindex);
    memcpy(rtnl_add(&request, IFLA_EXT_MASK, sizeof(filter)), &filter, sizeof(filter));
    ret = rtnl_talk(rtnl, &request, take_link_message, &reading);
    return ret ? ret : reading.seen ? 0 : -EPROTO;
}

static void add_setting(struct rtnl_request *request, unsigned vf, enum vf_setting which,
                        const struct vf_settings *settings)
{
    struct ifla_vf_mac mac = {.vf = vf};
    const struct ifla_vf_vlan vlan = {.vf = vf, .vlan = settings->vlan, .qos = settings->qos};
    const struct ifla_vf_rate rate = {
        .vf = vf, .min_tx_rate = settings->min_rate_mbit, .max_tx_rate = settings->rate_mbit};
    const struct ifla_vf_trust trust = {.vf = vf, .setting = settings->trust};
    const struct ifla_vf_spoofchk spoofchk = {.vf = vf, .setting = settings->spoofchk};
    const struct ifla_vf_link_state link = {.vf = vf, .link_state = settings->link};

    memcpy(mac.mac, settings->mac, sizeof(settings->mac));
    switch (which) {
    case VF_MAC:
        memcpy(rtnl_add(request, IFLA_VF_MAC, sizeof(mac)), &mac, sizeof(mac));
        break;
    case VF_VLAN:
        memcpy(rtnl_add(request, IFLA_VF_VLAN, sizeof(vlan)), &vlan, sizeof(vlan));
        break;
    case VF_RATE:
        memcpy(rtnl_add(request, IFLA_VF_RATE, sizeof(rate)), &rate, sizeof(rate));
        break;
    case VF_TRUST:
        memcpy(rtnl_add(request, IFLA_VF_TRUST, sizeof(trust)), &trust, sizeof(trust));
        break;
    case VF_SPOOFCHK:
        memcpy(rtnl_add(request, IFLA_VF_SPOOFCHK, sizeof(spoofchk)), &spoofchk, sizeof(spoofchk));
        break;
    default:
        memcpy(rtnl_add(request, IFLA_VF_LINK_STATE, sizeof(link)), &link, sizeof(link));
        break;
    }
}

int vf_link_write(struct rtnl *rtnl, int ifindex, unsigned vf, enum vf_setting which,
                  const struct vf_settings *settings)
{
    struct rtattr *list, *info;
    struct rtnl_request request;

    rtnl_begin(&request, RTM_SETLINK, ifindex);
    list = rtnl_nest(&request, IFLA_VFINFO_LIST);
    info = rtnl_nest(&request, IFLA_VF_INFO);
    add_setting(&request, vf, which, settings);
    rtnl_nest_end(&request, info);
    rtnl_nest_end(&request, list);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int vf_link_apply(struct rtnl *rtnl, int ifindex, unsigned vf, const struct vf_settings *wanted,
                  const struct vf_settings *present, enum vf_setting *failed)
{
    char refusal[sizeof(rtnl->refusal)];
    unsigned done = 0;

    for (unsigned bit = 1; bit & VF_ALL_SETTINGS; bit <<= 1) {
        int ret;

        if (!(wanted->known & bit))
            continue;
        ret = vf_link_write(rtnl, ifindex, vf, bit, wanted);
        if (ret == 0) {
            done |= bit;
            continue;
        }
        *failed = bit;
        memcpy(refusal, rtnl->refusal, sizeof(refusal));
        for (unsigned back = bit >> 1; back; back >>= 1) {
            if (done & present->known & back)
                vf_link_write(rtnl, ifindex, vf, back, present);
        }
        memcpy(rtnl->refusal, refusal, sizeof(refusal));
        return ret;
    }
    return 0;
}

const char *vf_setting_name(enum vf_setting which)
{
    switch (which) {
    case VF_MAC:
        return "mac";
    case VF_VLAN:
        return "vlan";
    case VF_RATE:
        return "rate";
    case VF_TRUST:
        return "trust";
    case VF_SPOOFCHK:
        return "spoofchk";
    default:
        return "link";
    }
}

const char *vf_link_state_name(uint32_t state)
{
    return state == IFLA_VF_LINK_STATE_AUTO     ? "auto"
           : state == IFLA_VF_LINK_STATE_ENABLE ? "on"
                                                : "off";
}
