// SPDX-License-Identifier: Apache-2.0
/* A pod on husk's bridge: see ways.h. The rules are there before the tap is up. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "pod/network/bridge.h"
#include "pod/network/dns.h"
#include "pod/network/link.h"
#include "pod/network/nft.h"
#include "pod/network/ports.h"
#include "pod/network/rules.h"
#include "pod/network/tap.h"
#include "pod/network/ways.h"

static const char wrong[] = "cannot join the pod to the bridge";

static int set_rules(const struct pod_network_request *request, const struct network_record *record,
                     const struct bridge *bridge, const struct bridge_lease *lease,
                     struct husk_error *err)
{
    struct rules_guest guest = {.tap = record->tap,
                                .addresses = lease->addresses,
                                .address_count = lease->address_count,
                                .egress_bytes = request->egress_bits / 8};
    struct rules_ports ports = {.tap = record->tap,
                                .bridge = BRIDGE_NAME,
                                .ports = request->ports,
                                .port_count = request->port_count,
                                .addresses = lease->addresses,
                                .address_count = lease->address_count,
                                .isolated = request->isolated};
    bool empty;
    char *text;
    int ret;

    memcpy(guest.mac, lease->mac, sizeof(guest.mac));
    if (request->isolated) {
        guest.gateway_mac = bridge->mac;
        guest.gateway_count = bridge->prefix_count;
        memcpy(guest.gateways, bridge->prefixes, sizeof(guest.gateways));
    }
    ret = nft_apply(rules_guest(&guest), record->tap, err);
    if (ret)
        return ret;
    text = rules_ports(&ports, &empty);
    return empty ? 0 : nft_apply(text, record->tap, err);
}

static int join(struct rtnl *rtnl, const struct pod_network_request *request, const char *tap,
                const struct bridge *bridge)
{
    struct link_info info;
    int ret = link_read(rtnl, tap, &info);

    if (!ret)
        ret = link_set_mtu(rtnl, info.index, bridge->mtu);
    if (!ret)
        ret = link_set_no_addresses(rtnl, info.index);
    if (!ret && request->ingress_bits)
        ret = link_shape(rtnl, info.index, request->ingress_bits / 8);
    if (!ret)
        ret = link_set_master(rtnl, info.index, bridge->index);
    return ret ? ret : link_set_up(rtnl, info.index);
}

static void fill_result(const struct network_record *record, const struct bridge *bridge,
                        const struct bridge_lease *lease, struct pod_network_result *result)
{
    struct pod_machine_network *machine = &result->machine;

    memcpy(machine->tap, record->tap, sizeof(machine->tap));
    memcpy(machine->mac, lease->mac, sizeof(machine->mac));
    machine->mtu = (uint16_t)bridge->mtu;
    machine->address_count = machine->route_count = result->ip_count = lease->address_count;
    for (unsigned i = 0; i < lease->address_count; i++) {
        address_prefix_text(&lease->addresses[i], machine->addresses[i]);
        address_text(&lease->addresses[i], result->ips[i]);
        address_text(&bridge->prefixes[i], machine->routes[i].via);
        snprintf(machine->routes[i].to, sizeof(machine->routes[i].to), "%s",
                 lease->addresses[i].family == AF_INET ? "0.0.0.0/0" : "::/0");
    }
    dns_of_host(&result->dns);
}

int bridge_way_up(const struct pod_network_request *request, const struct network_record *record,
                  const struct network_state *state, struct pod_network_result *result,
                  struct husk_error *err)
{
    struct bridge_lease lease;
    struct bridge bridge;
    struct rtnl rtnl;
    int ret = network_state_lock(state, err);

    if (ret)
        return ret;
    ret = ports_claim(state, request, err);
    if (!ret)
        ret = bridge_join(state, record->id, &bridge, &lease, err);
    network_state_unlock(state);
    if (!ret)
        ret = tap_make(record->tap, err);
    if (!ret)
        ret = set_rules(request, record, &bridge, &lease, err);
    if (ret)
        return ret;
    ret = rtnl_open(&rtnl);
    if (ret)
        return error_set(err, -ret, record->tap, wrong, NULL);
    ret = join(&rtnl, request, record->tap, &bridge);
    if (ret)
        ret = error_set(err, -ret, record->tap, wrong, "%s",
                        rtnl.refusal[0] ? rtnl.refusal : error_text(-ret));
    rtnl_close(&rtnl);
    if (!ret)
        fill_result(record, &bridge, &lease, result);
    return ret;
}

int bridge_way_down(const struct network_record *record, const struct network_state *state,
                    struct husk_error *err)
{
    struct rtnl rtnl;
    int ret = rtnl_open(&rtnl);

    if (!ret) {
        ret = link_delete(&rtnl, record->tap);
        rtnl_close(&rtnl);
    }
    if (ret)
        return error_set(err, -ret, record->tap, "cannot remove the tap of a pod", NULL);
    ret = nft_apply(rules_remove_guest(record->tap), record->tap, err);
    if (!ret)
        ret = network_state_lock(state, err);
    if (ret)
        return ret;
    ret = ports_release(state, record->id, err);
    if (!ret)
        ret = bridge_leave(state, record->id, err);
    network_state_unlock(state);
    return ret;
}

int bridge_way_check(const struct network_record *record, struct husk_error *err)
{
    struct link_info tap = {.master = 0}, bridge = {.index = -1};
    struct rtnl rtnl;
    int ret = rtnl_open(&rtnl);

    if (!ret) {
        ret = link_read(&rtnl, BRIDGE_NAME, &bridge);
        if (!ret)
            ret = link_read(&rtnl, record->tap, &tap);
        rtnl_close(&rtnl);
    }
    if (!ret && (tap.master != bridge.index || !tap.up))
        ret = -ENOTCONN;
    return ret ? error_set(err, -ret, record->tap, "the pod is cut off from the bridge", NULL) : 0;
}
