// SPDX-License-Identifier: Apache-2.0
/* The machine's network interface: see network.h. */
#include "pod/machine/network.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "pod/machine/tap.h"

bool machine_has_network(const struct pod_machine_network *network)
{
    return network->tap[0] || network->vfio[0];
}

static int add_function(struct husk_vm *vm, const struct pod_machine_network *network,
                        struct husk_error *err)
{
    struct husk_vfio_options vfio = HUSK_VFIO_OPTIONS_INIT;

    vfio.address = network->vfio;
    return husk_vm_add_vfio(vm, &vfio, err);
}

int machine_network_add(struct husk_vm *vm, const struct pod_machine_network *network,
                        struct husk_error *err)
{
    struct husk_net_options net = HUSK_NET_OPTIONS_INIT;
    int fd = -1, ret;

    if (network->vfio[0])
        return add_function(vm, network, err);
    if (!network->tap[0])
        return 0;
    net.mtu = network->mtu;
    memcpy(net.mac, network->mac, sizeof(net.mac));
    net.tap_name = network->tap;
    if (network->netns[0]) {
        fd = pod_machine_tap_open(network->netns, network->tap, err);
        if (fd < 0)
            return fd;
        net.tap_fds = &fd;
    }
    ret = husk_vm_add_net(vm, &net, err);
    if (ret)
        close_fd(&fd);
    return ret;
}

static json_t *addresses_of(const struct pod_machine_network *network)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < network->address_count; i++) {
        if (json_array_append_new(list, json_string(network->addresses[i]))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* A tap's interface is the only one of its kind, and told its MTU by its device; what a function's
 * is called is its driver's. */
json_t *machine_network_params(const struct pod_machine_network *network)
{
    const uint8_t *mac = network->mac;
    char text[18];

    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    if (!network->vfio[0])
        return json_pack("{ss so so}", "interface", "eth0", "addresses", addresses_of(network),
                         "routes", pod_machine_routes_json(network));
    return json_pack("{ss si so so}", "mac", text, "mtu", (int)network->mtu, "addresses",
                     addresses_of(network), "routes", pod_machine_routes_json(network));
}
