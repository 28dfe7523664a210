// SPDX-License-Identifier: Apache-2.0
/* What husk's bridge is to be: see bridge_config.h and bridge.h. */
#include "pod/network/bridge_config.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "pod/image/json.h"
#include "pod/network/config_file.h"
#include "pod/network/link.h"

#define CANDIDATES  16u /* 10.187/16 and those behind it */
#define MTU_DEFAULT 1500u
#define MTU_MIN     1280u /* of IPv6: RFC 8200, section 5 */

static const char wrong[] = "cannot set up the bridge of pods";

/* ---- the file ---- */

/* null is none; at least three addresses besides the first and the last. */
static int take_prefix(const json_t *bridge, const char *name, int family, bool *said,
                       struct address *out, const char *where, struct husk_error *err)
{
    const json_t *value = json_object_get(bridge, name);
    struct address prefix;

    if (!value)
        return 0;
    *said = true;
    *out = (struct address){.family = 0};
    if (json_is_null(value))
        return 0;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
        address_parse_prefix(json_string_value(value), &prefix) || prefix.family != family ||
        !address_is_unicast(&prefix))
        return error_set(err, EINVAL, where, wrong, "bridge.%s is no prefix like %s", name,
                         family == AF_INET ? "10.187.0.0/16" : "fd12:3456:789a::/64");
    if (prefix.bits < 8 || prefix.bits > address_len(&prefix) * 8 - 2)
        return error_set(err, ERANGE, where, wrong, "bridge.%s must have from 8 to %zu bits", name,
                         address_len(&prefix) * 8 - 2);
    *out = address_network(&prefix);
    return 0;
}

static int take_mtu(const json_t *bridge, struct bridge_wish *out, const char *where,
                    struct husk_error *err)
{
    const json_t *value = json_object_get(bridge, "mtu");

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < MTU_MIN ||
        json_integer_value(value) > UINT16_MAX)
        return error_set(err, ERANGE, where, wrong, "bridge.mtu is no number from %u to %u",
                         MTU_MIN, UINT16_MAX);
    out->mtu = (uint32_t)json_integer_value(value);
    return 0;
}

int bridge_wish_parse(const void *bytes, size_t len, const char *where, struct bridge_wish *out,
                      struct husk_error *err)
{
    static const char *const inner[] = {"ipv4", "ipv6", "mtu", NULL};
    json_t *document = config_file_parse(bytes, len, where, err);
    const json_t *bridge = NULL;
    int ret = document ? 0 : -EINVAL;

    *out = (struct bridge_wish){.mtu = 0};
    if (!ret)
        ret = image_json_member(document, "bridge", JSON_OBJECT, false, &bridge, where, err);
    if (!ret && bridge) {
        ret = config_check_names(bridge, inner, where, err);
        if (!ret)
            ret = take_prefix(bridge, "ipv4", AF_INET, &out->has_ip4, &out->ip4, where, err);
        if (!ret)
            ret = take_prefix(bridge, "ipv6", AF_INET6, &out->has_ip6, &out->ip6, where, err);
        if (!ret)
            ret = take_mtu(bridge, out, where, err);
        if (!ret && out->has_ip4 && out->has_ip6 && !out->ip4.family && !out->ip6.family)
            ret = error_set(err, EINVAL, where, wrong, "there must be one address family");
    }
    json_decref(document);
    return ret;
}

static int read_wish(struct bridge_wish *wish, struct husk_error *err)
{
    char *bytes;
    size_t len;
    int ret = config_file_read(&bytes, &len, err);

    *wish = (struct bridge_wish){.mtu = 0};
    if (ret || !bytes)
        return ret;
    ret = bridge_wish_parse(bytes, len, config_file_path(), wish, err);
    free(bytes);
    return ret;
}

/* ---- the host ---- */

struct survey {
    bool taken[CANDIDATES];
    int uplink;
};

static struct address candidate(unsigned number)
{
    return (struct address){.family = AF_INET, .bytes = {10, (uint8_t)(187 + number)}, .bits = 16};
}

/* A default route is no reason; any other that overlaps is. */
static int survey_route(void *opaque, const struct link_route *route)
{
    struct survey *survey = opaque;

    if (route->to.bits == 0) {
        if (!survey->uplink)
            survey->uplink = route->index;
        return 0;
    }
    for (unsigned i = 0; i < CANDIDATES; i++) {
        const struct address prefix = candidate(i);

        survey->taken[i] |=
            address_within(&prefix, &route->to) || address_within(&route->to, &prefix);
    }
    return 0;
}

static uint32_t uplink_mtu(struct rtnl *rtnl, int index)
{
    char name[IFNAMSIZ];
    struct link_info info;

    if (!index || !if_indextoname((unsigned)index, name) || link_read(rtnl, name, &info) ||
        info.mtu < MTU_MIN)
        return MTU_DEFAULT;
    return info.mtu > UINT16_MAX ? UINT16_MAX : info.mtu;
}

static int choose_ip4(const struct survey *survey, struct address *out, struct husk_error *err)
{
    for (unsigned i = 0; i < CANDIDATES; i++) {
        if (survey->taken[i])
            continue;
        *out = candidate(i);
        return 0;
    }
    return error_set(err, EADDRINUSE, CONFIG_FILE, wrong,
                     "the host has routes to 10.187.0.0/16 and the 15 behind it: say bridge.ipv4");
}

/* RFC 4193, section 3.1: fd, 40 random bits, and a subnet of 16. */
static struct address choose_ip6(void)
{
    struct address prefix = {.family = AF_INET6, .bytes = {0xfd}, .bits = 64};

    if (getrandom(prefix.bytes + 1, 5, 0) != 5)
        memset(prefix.bytes + 1, 0x75, 5);
    return prefix;
}

static bool host_has_ip6(void)
{
    return access("/proc/sys/net/ipv6/conf/all/disable_ipv6", F_OK) == 0;
}

int bridge_config_read(struct rtnl *rtnl, struct bridge_config *out, struct husk_error *err)
{
    struct survey survey = {.uplink = 0};
    struct bridge_wish wish;
    int ret = read_wish(&wish, err);

    *out = (struct bridge_config){.mtu = wish.mtu};
    if (ret)
        return ret;
    ret = link_routes(rtnl, 0, survey_route, &survey);
    if (ret)
        return error_set(err, -ret, "routes", wrong, NULL);
    if (!wish.has_ip4)
        ret = choose_ip4(&survey, &wish.ip4, err);
    if (ret)
        return ret;
    if (!wish.has_ip6 && host_has_ip6())
        wish.ip6 = choose_ip6();
    if (wish.ip4.family)
        out->prefixes[out->prefix_count++] = wish.ip4;
    if (wish.ip6.family)
        out->prefixes[out->prefix_count++] = wish.ip6;
    if (!out->mtu)
        out->mtu = uplink_mtu(rtnl, survey.uplink);
    return 0;
}
