// SPDX-License-Identifier: Apache-2.0
/* /network-interfaces/{iface_id}: eth0, eth1, … in the order in which the ids came. The tap is
 * opened when the VM is built. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "vmm/api/device_kind.h"
#include "vmm/api/start.h"

#define PREFIX    "Network config error: "
#define BAD_PATCH PREFIX "Unable to update the net device"

static int check_mac(const struct api *api, const struct net_settings *net, unsigned place,
                     struct api_fault *fault)
{
    uint8_t mac[6];

    if (!net->guest_mac)
        return 0;
    if (parse_mac(net->guest_mac, mac))
        return api_fault_set(fault,
                             PREFIX "guest_mac: \"%.40s\" is no MAC address of one "
                                    "interface (aa:bb:cc:dd:ee:ff, not multicast)",
                             net->guest_mac);
    for (unsigned i = 0; i < api->net_count; i++) {
        const char *other = api->nets[i].guest_mac;

        if (i != place && other && !strcasecmp(other, net->guest_mac))
            return api_fault_set(fault, PREFIX "guest_mac: The MAC address is already in use: %s",
                                 net->guest_mac);
    }
    return 0;
}

static int check_ids(const struct api_call *call, const char *id, struct api_fault *fault)
{
    if (call->id && strcmp(call->id, id) != 0)
        return api_fault_set(fault,
                             "iface_id: The id from the path [%.64s] does not match the id from "
                             "the body [%.64s]!",
                             call->id, id);
    return check_device_id(id, fault);
}

static int check(const struct api *api, const struct net_settings *net, unsigned place,
                 struct api_fault *fault)
{
    if (place == API_DEVICES_MAX)
        return api_fault_set(fault, PREFIX "there are %u network interfaces already.",
                             API_DEVICES_MAX);
    return check_mac(api, net, place, fault);
}

/* Plug the interface into the running VM. */
static int plug(struct api *api, const struct net_settings *net, struct api_fault *fault)
{
    struct husk_net_options options;
    struct husk_error err = {0};

    if (device_check_new(api, &net_kind, net->iface_id, fault))
        return -EINVAL;
    net_options_of(net, &options);
    return husk_vm_add_net(api->vm, &options, &err)
               ? api_fault_error(fault, PREFIX "Unable to create the net device", &err)
               : 0;
}

int net_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct net_settings net = {0};
    unsigned place;
    int ret = read_body(call, &net_shape, &net, fault);

    if (ret)
        return ret;
    if (net.guest_mac && !*net.guest_mac) {
        free(net.guest_mac);
        net.guest_mac = NULL;
    }
    place = device_find(api, &net_kind, net.iface_id);
    ret = check_ids(call, net.iface_id, fault);
    if (!ret && api->vm)
        ret = need_pci(api, fault);
    if (!ret)
        ret = check(api, &net, place, fault);
    if (!ret && api->vm)
        ret = plug(api, &net, fault);
    if (ret)
        json_release(&net_shape, &net);
    else
        device_set(api, &net_kind, place, &net);
    return ret;
}

static void note_limiter(struct limiter_settings *limiter, const struct limiter_settings *patch)
{
    if (patch->given)
        limiter->given = true;
    if (patch->bandwidth.given)
        limiter->bandwidth = patch->bandwidth;
    if (patch->ops.given)
        limiter->ops = patch->ops;
}

static int patch_vm(struct api *api, const struct net_patch *patch, struct api_fault *fault)
{
    const struct limiter_settings *rx = &patch->rx_rate_limiter, *tx = &patch->tx_rate_limiter;
    struct husk_rate rx_bandwidth = rate_of_bucket(&rx->bandwidth);
    struct husk_rate rx_operations = rate_of_bucket(&rx->ops);
    struct husk_rate tx_bandwidth = rate_of_bucket(&tx->bandwidth);
    struct husk_rate tx_operations = rate_of_bucket(&tx->ops);
    struct husk_net_update update = HUSK_NET_UPDATE_INIT;
    struct husk_error err = {0};

    if (rx->bandwidth.given)
        update.rx_bandwidth = &rx_bandwidth;
    if (rx->ops.given)
        update.rx_operations = &rx_operations;
    if (tx->bandwidth.given)
        update.tx_bandwidth = &tx_bandwidth;
    if (tx->ops.given)
        update.tx_operations = &tx_operations;
    return husk_vm_update_net(api->vm, patch->iface_id, &update, &err)
               ? api_fault_error(fault, BAD_PATCH, &err)
               : 0;
}

int net_patch(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct net_patch patch = {0};
    unsigned place = 0;
    int ret = read_body(call, &net_patch_shape, &patch, fault);

    if (ret)
        return ret;
    ret = check_ids(call, patch.iface_id, fault);
    if (!ret)
        ret = need_started(api, fault);
    if (!ret) {
        place = device_find(api, &net_kind, patch.iface_id);
        if (place == api->net_count)
            ret = api_fault_set(fault, BAD_PATCH ": iface_id: there is no network interface %s",
                                patch.iface_id);
        else
            ret = patch_vm(api, &patch, fault);
    }
    if (!ret) {
        note_limiter(&api->nets[place].rx_rate_limiter, &patch.rx_rate_limiter);
        note_limiter(&api->nets[place].tx_rate_limiter, &patch.tx_rate_limiter);
    }
    json_release(&net_patch_shape, &patch);
    return ret;
}

int net_delete(struct api *api, struct api_call *call, struct api_fault *fault)
{
    unsigned place;
    int ret = device_to_remove(api, &net_kind, call, &place, fault);

    return ret ? ret : device_remove(api, &net_kind, call->id, fault);
}
