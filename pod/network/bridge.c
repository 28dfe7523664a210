// SPDX-License-Identifier: Apache-2.0
/*
 * husk's own bridge: see bridge.h.
 *
 * Invariants, with the lock held: bridge.json is written before the interface is made and removed
 * after it is gone; there are no leases without it. So a bridge that is half made or half taken
 * down is made whole by the next pod that comes, and taken down by the last that goes.
 */
#include "pod/network/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parse.h"
#include "pod/network/bridge_config.h"
#include "pod/network/forwarding.h"
#include "pod/network/link.h"
#include "pod/network/nft.h"
#include "pod/network/rules.h"

#define RECORD      "bridge.json"
#define WHERE       STATE_DIRECTORY "/" RECORD
#define LAST        "last-lease"
#define GATEWAY     1u
#define LEASE_FIRST 2u
#define LEASE_LAST  65534u

static const char wrong[] = "cannot set up the bridge of pods";

/* ---- leases ---- */

/* 0a:58 and the IPv4 address; a bridge without IPv4 has the number alone. */
static void mac_of(const struct bridge *bridge, uint64_t number, uint8_t mac[6])
{
    const struct address address = address_at(&bridge->prefixes[0], number);

    mac[0] = 0x0a;
    mac[1] = 0x58;
    if (address.family == AF_INET) {
        memcpy(mac + 2, address.bytes, 4);
    } else {
        mac[2] = mac[3] = 0;
        mac[4] = (uint8_t)(number >> 8);
        mac[5] = (uint8_t)number;
    }
}

/* The last number that is an address in every prefix, and no broadcast. */
static uint64_t last_number(const struct bridge *bridge)
{
    uint64_t last = LEASE_LAST;

    for (unsigned i = 0; i < bridge->prefix_count; i++) {
        size_t host = address_len(&bridge->prefixes[i]) * 8 - bridge->prefixes[i].bits;

        if (host < 17 && (UINT64_C(1) << host) - 2 < last)
            last = (UINT64_C(1) << host) - 2;
    }
    return last;
}

static int take_mine(void *opaque, const char *name)
{
    uint64_t *number = opaque;

    return parse_u64(name, LEASE_FIRST, LEASE_LAST, number) ? 0 : 1;
}

static uint64_t last_leased(const struct network_state *state, uint64_t last)
{
    json_t *document;
    uint64_t number = GATEWAY;

    if (network_state_read_json(state->dir, LAST, LAST, &document, NULL))
        return number;
    if (json_is_integer(json_object_get(document, "number")))
        number = (uint64_t)json_integer_value(json_object_get(document, "number"));
    json_decref(document);
    return number < LEASE_FIRST || number > last ? GATEWAY : number;
}

/* The one behind the last that was leased: an address is used again as late as possible. */
static int choose_number(const struct network_state *state, const struct bridge *bridge,
                         const char *id, uint64_t *number, struct husk_error *err)
{
    uint64_t last = last_number(bridge), candidate = last_leased(state, last);
    char name[24], text[48];
    int ret;

    if (network_claims(state->leases, id, take_mine, number) == 1)
        return 0;
    for (uint64_t i = LEASE_FIRST; i <= last; i++) {
        candidate = candidate >= last ? LEASE_FIRST : candidate + 1;
        snprintf(name, sizeof(name), "%llu", (unsigned long long)candidate);
        ret = network_claim(state->leases, name, id);
        if (ret == -EEXIST)
            continue;
        if (!ret) {
            snprintf(text, sizeof(text), "{\"number\": %s}", name);
            ret = network_state_write(state->dir, LAST, text);
        }
        *number = candidate;
        return ret ? error_set(err, -ret, STATE_DIRECTORY "/leases",
                               "cannot lease an address for the pod", NULL)
                   : 0;
    }
    return error_set(err, EADDRNOTAVAIL, BRIDGE_NAME, "cannot lease an address for the pod",
                     "all %llu are in use", (unsigned long long)last - LEASE_FIRST + 1);
}

static int take_lease(const struct network_state *state, const struct bridge *bridge,
                      const char *id, struct bridge_lease *lease, struct husk_error *err)
{
    uint64_t number = 0;
    int ret = choose_number(state, bridge, id, &number, err);

    if (ret)
        return ret;
    lease->address_count = bridge->prefix_count;
    for (unsigned i = 0; i < bridge->prefix_count; i++)
        lease->addresses[i] = address_at(&bridge->prefixes[i], number);
    mac_of(bridge, number, lease->mac);
    return 0;
}

/* ---- the record ---- */

static json_t *encode(const struct bridge *bridge)
{
    json_t *prefixes = json_array();
    char text[ADDRESS_TEXT];

    for (unsigned i = 0; prefixes && i < bridge->prefix_count; i++) {
        address_prefix_text(&bridge->prefixes[i], text);
        if (json_array_append_new(prefixes, json_string(text))) {
            json_decref(prefixes);
            prefixes = NULL;
        }
    }
    return json_pack("{si so sI s{}}", "version", 1, "prefixes", prefixes, "mtu",
                     (json_int_t)bridge->mtu, "changed");
}

/* Of a file that nobody else should have written; what is wrong in it is said. */
static int decode(const json_t *record, struct bridge *bridge, struct husk_error *err)
{
    const json_t *prefixes = json_object_get(record, "prefixes");
    json_int_t mtu = json_integer_value(json_object_get(record, "mtu"));

    if (json_array_size(prefixes) < 1 || json_array_size(prefixes) > 2 || mtu < 68 ||
        mtu > UINT16_MAX || !json_is_object(json_object_get(record, "changed")))
        return error_set(err, EINVAL, WHERE, wrong, "this is not what husk wrote there");
    bridge->mtu = (uint32_t)mtu;
    for (size_t i = 0; i < json_array_size(prefixes); i++) {
        const char *text = json_string_value(json_array_get(prefixes, i));

        if (!text || address_parse_prefix(text, &bridge->prefixes[i]))
            return error_set(err, EINVAL, WHERE, wrong, "it has no prefix where one should be");
        bridge->prefix_count++;
    }
    return 0;
}

static int choose(struct rtnl *rtnl, struct bridge *bridge, json_t **record, struct husk_error *err)
{
    struct bridge_config config;
    struct link_info info;
    int ret = link_read(rtnl, BRIDGE_NAME, &info);

    if (!ret)
        return error_set(err, EEXIST, BRIDGE_NAME, wrong,
                         "there is an interface of this name that husk has no record of");
    ret = bridge_config_read(rtnl, &config, err);
    if (ret)
        return ret;
    bridge->mtu = config.mtu;
    bridge->prefix_count = config.prefix_count;
    for (unsigned i = 0; i < config.prefix_count; i++) {
        bridge->prefixes[i] = address_at(&config.prefixes[i], GATEWAY);
        bridge->prefixes[i].bits = config.prefixes[i].bits;
    }
    *record = encode(bridge);
    return *record ? 0 : error_set(err, ENOMEM, BRIDGE_NAME, wrong, NULL);
}

static int save(void *opaque, const json_t *record)
{
    const struct network_state *state = opaque;

    return network_state_write_json(state->dir, RECORD, record);
}

struct saving {
    const struct network_state *state;
    json_t *record;
};

static int save_changes(void *opaque, const json_t *changed)
{
    const struct saving *saving = opaque;

    return save((void *)saving->state, saving->record);
}

/* ---- the interface ---- */

static int make_interface(struct rtnl *rtnl, struct bridge *bridge)
{
    struct link_info info;
    int ret = link_read(rtnl, BRIDGE_NAME, &info);

    if (ret == -ENODEV) {
        ret = link_make_bridge(rtnl, BRIDGE_NAME, bridge->mac, bridge->mtu);
        if (!ret)
            ret = link_read(rtnl, BRIDGE_NAME, &info);
    }
    if (!ret && !info.is_bridge)
        ret = -EEXIST;
    bridge->index = info.index;
    if (!ret)
        ret = forwarding_set("ipv4/conf/" BRIDGE_NAME "/route_localnet", "1");
    if (!ret && (ret = forwarding_set("ipv6/conf/" BRIDGE_NAME "/accept_ra", "0")) == -ENOENT)
        ret = 0; /* no IPv6 on this host */
    for (unsigned i = 0; !ret && i < bridge->prefix_count; i++)
        ret = link_add_address(rtnl, info.index, &bridge->prefixes[i]);
    return ret ? ret : link_set_up(rtnl, info.index);
}

static int set_rules(const struct bridge *bridge, struct husk_error *err)
{
    struct rules_bridge rules = {.bridge = BRIDGE_NAME, .prefix_count = bridge->prefix_count};

    memcpy(rules.prefixes, bridge->prefixes, sizeof(rules.prefixes));
    return nft_apply(rules_bridge(&rules), "table inet " RULES_TABLE, err);
}

static bool has_ip6(const struct bridge *bridge)
{
    return bridge->prefixes[bridge->prefix_count - 1].family == AF_INET6;
}

static int set_up(const struct network_state *state, struct rtnl *rtnl, struct bridge *bridge,
                  struct husk_error *err)
{
    struct saving saving = {.state = state, .record = NULL};
    int ret = network_state_read_json(state->dir, RECORD, WHERE, &saving.record, err);

    if (ret == -ENOENT) {
        ret = choose(rtnl, bridge, &saving.record, err);
        if (!ret && (ret = save((void *)state, saving.record)))
            ret = error_set(err, -ret, WHERE, wrong, NULL);
    } else if (!ret) {
        ret = decode(saving.record, bridge, err);
    }
    if (!ret) {
        mac_of(bridge, GATEWAY, bridge->mac);
        ret = make_interface(rtnl, bridge);
        if (ret)
            ret = error_set(err, -ret, BRIDGE_NAME, wrong, "%s",
                            rtnl->refusal[0] ? rtnl->refusal : error_text(-ret));
    }
    if (!ret)
        ret = set_rules(bridge, err);
    if (!ret)
        ret =
            forwarding_begin(BRIDGE_NAME, has_ip6(bridge),
                             json_object_get(saving.record, "changed"), save_changes, &saving, err);
    json_decref(saving.record);
    return ret;
}

static int count(void *opaque, const char *name)
{
    unsigned *leases = opaque;

    ++*leases;
    return 0;
}

static const char take_down_wrong[] = "cannot take down the bridge of pods";

static int remove_records(const struct network_state *state, struct husk_error *err)
{
    int ret = network_state_remove(state->dir, RECORD);

    if (!ret)
        ret = network_state_remove(state->dir, LAST);
    return ret ? error_set(err, -ret, STATE_DIRECTORY, take_down_wrong, NULL) : 0;
}

/* Nothing of it is there when there is no record. */
static int take_down(const struct network_state *state, struct husk_error *err)
{
    struct rtnl rtnl;
    json_t *record;
    int ret = network_state_read_json(state->dir, RECORD, WHERE, &record, err);

    if (ret == -ENOENT)
        return remove_records(state, err);
    if (!ret)
        forwarding_end(json_object_get(record, "changed"));
    json_decref(record);
    ret = nft_apply(rules_remove_bridge(), "table inet " RULES_TABLE, err);
    if (ret)
        return ret;
    ret = rtnl_open(&rtnl);
    if (!ret) {
        ret = link_delete(&rtnl, BRIDGE_NAME);
        rtnl_close(&rtnl);
    }
    if (!ret)
        return remove_records(state, err);
    return error_set(err, -ret, BRIDGE_NAME, take_down_wrong, NULL);
}

int bridge_join(const struct network_state *state, const char *id, struct bridge *bridge,
                struct bridge_lease *lease, struct husk_error *err)
{
    struct rtnl rtnl;
    int ret = rtnl_open(&rtnl);

    *bridge = (struct bridge){.index = 0};
    *lease = (struct bridge_lease){.address_count = 0};
    if (ret)
        return error_set(err, -ret, "rtnetlink", wrong, NULL);
    ret = set_up(state, &rtnl, bridge, err);
    if (!ret)
        ret = take_lease(state, bridge, id, lease, err);
    rtnl_close(&rtnl);
    return ret;
}

int bridge_leave(const struct network_state *state, const char *id, struct husk_error *err)
{
    unsigned leases = 0;
    int ret = network_unclaim(state->leases, id);

    if (!ret)
        ret = network_claims(state->leases, NULL, count, &leases);
    if (ret)
        return error_set(err, -ret, STATE_DIRECTORY "/leases",
                         "cannot give back the address of the pod", NULL);
    return leases ? 0 : take_down(state, err);
}
