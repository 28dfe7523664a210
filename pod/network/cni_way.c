// SPDX-License-Identifier: Apache-2.0
/*
 * A pod behind CNI plugins: see ways.h.
 *
 * The plugins make eth0 in the pod's network namespace. Beside it a tap is made there, and all that
 * enters one leaves by the other (rules.h, docs/adr/): the namespace's own stack hears nothing any
 * more, and the guest has eth0's MAC, MTU, addresses and routes. The routes are those that are in
 * the namespace, not those of the result: plugins make some that they do not tell of (ptp).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/cni.h"
#include "pod/network/cni_conf.h"
#include "pod/network/cni_result.h"
#include "pod/network/dns.h"
#include "pod/network/link.h"
#include "pod/network/netns.h"
#include "pod/network/nft.h"
#include "pod/network/ports.h"
#include "pod/network/rules.h"
#include "pod/network/tap.h"
#include "pod/network/ways.h"

#define NETNS_PATH_BYTES (sizeof(NETNS_DIRECTORY) + RECORD_NETNS_BYTES)
#define BURST_BITS_MIN   (UINT64_C(65536) * 8)

static const char wrong[] = "cannot join the pod to its network";

/* ---- what the plugins are told ---- */

/* Of the conventions of CNI, "portMappings". */
static json_t *port_mappings(const struct pod_network_request *request)
{
    static const char *const protocols[] = {
        [POD_NETWORK_TCP] = "tcp", [POD_NETWORK_UDP] = "udp", [POD_NETWORK_SCTP] = "sctp"};
    json_t *list = json_array();

    for (unsigned i = 0; list && i < request->port_count; i++) {
        const struct pod_network_port *port = &request->ports[i];

        if (json_array_append_new(
                list, json_pack("{si si ss ss*}", "hostPort", (int)port->host_port, "containerPort",
                                (int)port->pod_port, "protocol", protocols[port->protocol],
                                "hostIP", port->host_ip[0] ? port->host_ip : NULL))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* A fiftieth of a second, at least a whole segmented packet; in bits, as the rates are. */
static json_int_t burst_of(uint64_t bits)
{
    uint64_t burst = bits / 50 < BURST_BITS_MIN ? BURST_BITS_MIN : bits / 50;

    return burst > INT32_MAX ? INT32_MAX : (json_int_t)burst;
}

static bool add_rate(json_t *bandwidth, const char *rate, const char *burst, uint64_t bits)
{
    return !bits || (json_object_set_new(bandwidth, rate, json_integer((json_int_t)bits)) == 0 &&
                     json_object_set_new(bandwidth, burst, json_integer(burst_of(bits))) == 0);
}

static json_t *runtime_for(const struct pod_network_request *request)
{
    json_t *runtime = json_object(), *bandwidth = json_object();
    bool done = runtime && bandwidth &&
                add_rate(bandwidth, "ingressRate", "ingressBurst", request->ingress_bits) &&
                add_rate(bandwidth, "egressRate", "egressBurst", request->egress_bits);

    if (done && request->port_count)
        done = json_object_set_new(runtime, "portMappings", port_mappings(request)) == 0;
    if (done && json_object_size(bandwidth))
        done = json_object_set(runtime, "bandwidth", bandwidth) == 0;
    json_decref(bandwidth);
    if (done)
        return runtime;
    json_decref(runtime);
    return NULL;
}

int cni_way_prepare(const struct pod_network_request *request, struct network_record *record,
                    struct husk_error *err)
{
    char args[1024];
    json_t *list;
    int ret = cni_conf_find(record->mode.name, &list, err);

    if (ret)
        return ret;
    if (request->port_count && !cni_conf_capable(list, "portMappings")) {
        json_decref(list);
        return error_set(err, EOPNOTSUPP, record->mode_text, "cannot publish ports of the pod",
                         "none of the network's plugins has the capability portMappings");
    }
    snprintf(args, sizeof(args),
             "IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;"
             "K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s",
             request->space, request->name, request->id, request->id);
    record->cni =
        json_pack("{so ss so}", "list", list, "args", args, "runtime", runtime_for(request));
    return record->cni ? 0 : error_set(err, ENOMEM, record->mode_text, wrong, NULL);
}

/* ---- what they made, as the guest is to have it ---- */

struct joining {
    const struct pod_network_request *request;
    const struct network_record *record;
    const struct cni_result *made;
    struct pod_network_result *result;
    bool on_link[POD_MACHINE_ADDRESSES_MAX]; /* the address's prefix is reached without a gateway */
    bool with_gateway;                       /* which routes are being taken */
};

/* The route that the kernel made for the prefix of an address. */
static bool is_prefix_route(struct joining *joining, const struct link_route *route)
{
    bool found = false;

    for (unsigned i = 0; i < joining->made->address_count; i++) {
        const struct address *address = &joining->made->addresses[i];

        if (!route->has_gateway && route->to.bits == address->bits &&
            address_within(&route->to, address))
            found = joining->on_link[i] = true;
    }
    return found;
}

static bool is_link_local(const struct address *address)
{
    return address->family == AF_INET6 && address->bytes[0] == 0xfe &&
           (address->bytes[1] & 0xc0) == 0x80;
}

static int take_route(void *opaque, const struct link_route *route)
{
    struct joining *joining = opaque;
    struct pod_machine_network *machine = &joining->result->machine;
    struct pod_machine_route *out = &machine->routes[machine->route_count];

    if ((is_link_local(&route->to) && route->to.bits >= 10) ||
        route->has_gateway != joining->with_gateway || is_prefix_route(joining, route))
        return 0;
    if (machine->route_count == POD_MACHINE_ADDRESSES_MAX)
        return -E2BIG;
    address_prefix_text(&route->to, out->to);
    out->via[0] = '\0';
    if (route->has_gateway)
        address_text(&route->via, out->via);
    machine->route_count++;
    return 0;
}

/* Gateways are reached by the routes without one, which come first. An address whose prefix is not
 * on the link is given without it, or the guest would look for its neighbours there. */
static int take_routes(struct joining *joining, struct rtnl *rtnl, int index)
{
    struct pod_machine_network *machine = &joining->result->machine;
    int ret = link_routes(rtnl, index, take_route, joining);

    joining->with_gateway = true;
    if (!ret)
        ret = link_routes(rtnl, index, take_route, joining);
    for (unsigned i = 0; i < joining->made->address_count; i++) {
        struct address address = joining->made->addresses[i];

        if (!joining->on_link[i])
            address.bits = (uint8_t)(address_len(&address) * 8);
        address_prefix_text(&address, machine->addresses[i]);
    }
    machine->address_count = joining->made->address_count;
    return ret;
}

static void take_addresses(struct joining *joining)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct pod_network_result *result = joining->result;

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < joining->made->address_count; j++) {
            if (joining->made->addresses[j].family == families[i])
                address_text(&joining->made->addresses[j], result->ips[result->ip_count++]);
        }
    }
    result->dns = joining->made->dns;
    if (!result->dns.server_count)
        dns_of_host(&result->dns);
}

/* ---- the tap ---- */

static int connect_tap(struct joining *joining, struct rtnl *rtnl, const struct link_info *eth0)
{
    const struct pod_network_request *request = joining->request;
    bool shaped = json_object_get(json_object_get(joining->record->cni, "runtime"), "bandwidth") &&
                  cni_conf_capable(json_object_get(joining->record->cni, "list"), "bandwidth");
    struct link_info tap;
    int ret = link_read(rtnl, joining->record->tap, &tap);

    if (!ret)
        ret = link_set_mtu(rtnl, tap.index, eth0->mtu);
    if (!ret)
        ret = link_set_no_addresses(rtnl, tap.index);
    if (!ret && request->ingress_bits && !shaped)
        ret = link_shape(rtnl, tap.index, request->ingress_bits / 8);
    if (!ret && request->egress_bits && !shaped)
        ret = link_shape(rtnl, eth0->index, request->egress_bits / 8);
    return ret ? ret : link_set_up(rtnl, tap.index);
}

static int join_links(struct joining *joining, struct rtnl *rtnl, struct husk_error *err)
{
    struct pod_machine_network *machine = &joining->result->machine;
    struct rules_guest guest = {.tap = joining->record->tap,
                                .forward = CNI_INTERFACE,
                                .addresses = joining->made->addresses,
                                .address_count = joining->made->address_count};
    struct link_info eth0;
    int ret = link_read(rtnl, CNI_INTERFACE, &eth0);

    if (ret)
        return error_set(err, -ret, CNI_INTERFACE, wrong,
                         "the plugins have made no such interface");
    ret = take_routes(joining, rtnl, eth0.index);
    if (ret == -E2BIG)
        return error_set(err, E2BIG, CNI_INTERFACE, wrong, "it has more than %u routes",
                         POD_MACHINE_ADDRESSES_MAX);
    if (ret)
        return error_set(err, -ret, CNI_INTERFACE, wrong, NULL);
    memcpy(machine->mac, eth0.mac, sizeof(machine->mac));
    memcpy(guest.mac, eth0.mac, sizeof(guest.mac));
    machine->mtu = eth0.mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)eth0.mtu;
    ret = tap_make(joining->record->tap, err);
    if (!ret)
        ret = nft_apply(rules_guest(&guest), joining->record->tap, err);
    if (ret)
        return ret;
    ret = connect_tap(joining, rtnl, &eth0);
    return ret ? error_set(err, -ret, joining->record->tap, wrong, "%s",
                           rtnl->refusal[0] ? rtnl->refusal : error_text(-ret))
               : 0;
}

/* In the pod's namespace. */
static int join(void *arg, struct husk_error *err)
{
    struct joining *joining = arg;
    struct rtnl rtnl;
    int ret = rtnl_open(&rtnl);

    if (ret)
        return error_set(err, -ret, "rtnetlink", wrong, NULL);
    ret = join_links(joining, &rtnl, err);
    rtnl_close(&rtnl);
    return ret;
}

/* ---- up and down ---- */

static struct cni_attachment attachment_of(const struct network_record *record, const char *netns)
{
    return (struct cni_attachment){
        .list = json_object_get(record->cni, "list"),
        .runtime = json_object_get(record->cni, "runtime"),
        .container = record->id,
        .netns = netns,
        .args = json_string_value(json_object_get(record->cni, "args")),
        .timeout_ms = POD_NETWORK_PLUGIN_MS,
    };
}

static int add(struct network_record *record, const struct network_state *state, int dir,
               const char *netns, struct husk_error *err)
{
    struct cni_attachment attachment = attachment_of(record, netns);
    json_t *said = NULL;
    int ret = network_state_share(state, err);

    if (ret)
        return ret;
    attachment.hold = network_record_hold(record, state);
    if (attachment.hold < 0)
        ret = error_set(err, -attachment.hold, record->mode_text, wrong, "it cannot be locked");
    if (!ret)
        ret = cni_status(&attachment, err);
    if (!ret)
        ret = cni_add(&attachment, &said, err);
    close_fd(&attachment.hold);
    network_state_unshare(state);
    if (ret)
        return ret;
    if (json_object_set_new(record->cni, "result", said))
        return error_set(err, ENOMEM, record->mode_text, wrong, NULL);
    return network_record_save(record, state, dir, err);
}

static int claim_ports(const struct pod_network_request *request, const struct network_state *state,
                       struct husk_error *err)
{
    int ret;

    if (!request->port_count)
        return 0;
    ret = network_state_lock(state, err);
    if (ret)
        return ret;
    ret = ports_claim(state, request, err);
    network_state_unlock(state);
    return ret;
}

int cni_way_up(const struct pod_network_request *request, struct network_record *record,
               const struct network_state *state, struct pod_network_result *result,
               struct husk_error *err)
{
    struct cni_result made;
    struct joining joining = {
        .request = request, .record = record, .made = &made, .result = result};
    char netns[NETNS_PATH_BYTES];
    int ret = claim_ports(request, state, err);

    snprintf(netns, sizeof(netns), NETNS_DIRECTORY "/%s", record->netns);
    if (!ret)
        ret = netns_make(record->netns, err);
    if (!ret)
        ret = add(record, state, request->dir, netns, err);
    if (!ret)
        ret = cni_result_read(json_object_get(record->cni, "result"), CNI_INTERFACE, &made, err);
    if (!ret)
        ret = netns_run(netns, join, &joining, err);
    if (ret)
        return ret;
    take_addresses(&joining);
    memcpy(result->machine.tap, record->tap, sizeof(result->machine.tap));
    memcpy(result->machine.netns, netns, sizeof(netns));
    return 0;
}

static int check_record(const struct network_record *record, struct husk_error *err)
{
    const json_t *result = json_object_get(record->cni, "result");
    const json_t *runtime = json_object_get(record->cni, "runtime");

    if (!json_is_string(json_object_get(record->cni, "args")) ||
        (runtime && !json_is_object(runtime)) || (result && !json_is_object(result)))
        return error_set(err, EINVAL, RECORD_FILE, "cannot read the record of a network",
                         "this is not what husk wrote there");
    return cni_conf_check(json_object_get(record->cni, "list"), RECORD_FILE, err);
}

static int leave(const struct network_record *record, const struct network_state *state,
                 struct husk_error *err)
{
    char netns[NETNS_PATH_BYTES];
    const json_t *result = json_object_get(record->cni, "result");
    struct cni_attachment attachment;
    int alone = -1, ret = check_record(record, err);

    if (!ret)
        ret = network_state_share(state, err);
    if (ret)
        return ret;
    /* Plugins outlive a process that was killed: what they started for ADD goes on without them. */
    if (!result)
        alone = network_record_have_alone(record, state);
    snprintf(netns, sizeof(netns), NETNS_DIRECTORY "/%s", record->netns);
    attachment = attachment_of(record, netns_is_at(netns) ? netns : NULL);
    ret = cni_delete(&attachment, result, err);
    close_fd(&alone);
    network_state_unshare(state);
    return ret;
}

static int remove_own(const struct network_record *record, const struct network_state *state,
                      struct husk_error *err)
{
    int ret = netns_remove(record->netns, err);

    if (!ret)
        ret = network_state_lock(state, err);
    if (ret)
        return ret;
    ret = ports_release(state, record->id, err);
    network_state_unlock(state);
    return ret;
}

int cni_way_down(const struct network_record *record, const struct network_state *state,
                 struct husk_error *err)
{
    int ret = leave(record, state, err);

    return ret ? ret : remove_own(record, state, err);
}

int cni_way_abandon(const struct network_record *record, const struct network_state *state,
                    struct husk_error *left, struct husk_error *err)
{
    int ret = leave(record, state, left);
    int own = remove_own(record, state, err);

    return own ? own : ret ? 1 : 0;
}

int cni_way_check(const struct network_record *record, struct husk_error *err)
{
    char netns[NETNS_PATH_BYTES];
    struct cni_attachment attachment;
    int ret = check_record(record, err);

    if (ret)
        return ret;
    snprintf(netns, sizeof(netns), NETNS_DIRECTORY "/%s", record->netns);
    attachment = attachment_of(record, netns);
    return cni_check(&attachment, json_object_get(record->cni, "result"), err);
}
