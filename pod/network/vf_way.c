// SPDX-License-Identifier: Apache-2.0
/*
 * A pod on a virtual function: see ways.h. The VM drives the function itself; nothing of the host
 * is between it and the card, which is told what the pod may send (docs/networks.md).
 *
 *     claim -> record -> vfio-pci -> settings        up
 *     settings -> former driver -> no claim          down
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/parse.h"
#include "pod/network/config_file.h"
#include "pod/network/dns.h"
#include "pod/network/vf_config.h"
#include "pod/network/vf_hold.h"
#include "pod/network/vf_lease.h"
#include "pod/network/ways.h"
#include "vf/set.h"

#define MBIT        UINT64_C(1000000)
#define IP6_MTU_MIN 1280u

static const char wrong[] = "cannot join the pod to the card";

struct joining {
    struct vf_hold hold;
    struct vf_config config;
    struct address addresses[2];
    uint8_t mac[6];
    uint32_t mtu;
};

/* ---- the PF ---- */

static int read_mtu(const char *interface, uint32_t *out)
{
    char text[16];
    uint64_t mtu = 0;
    int ret = interface_attribute(&vf_this_host, interface, "mtu", text, sizeof(text));

    if (!ret)
        ret = parse_u64(text, 1, UINT16_MAX, &mtu);
    *out = (uint32_t)mtu;
    return ret;
}

/* What the PF cannot carry its VFs cannot; RFC 8200, section 5, has IPv6 want 1280. */
static int choose_mtu(struct joining *joining, const char *interface, struct husk_error *err)
{
    const struct vf_config *config = &joining->config;
    uint32_t most;
    int ret = read_mtu(interface, &most);

    if (ret)
        return error_set(err, -ret, interface, wrong, "its MTU cannot be read");
    joining->mtu = config->mtu ? config->mtu : most;
    if (joining->mtu > most)
        return error_set(err, ERANGE, config_file_path(), wrong,
                         "mtu %u is more than the %u of %s: `ip link set %s mtu %u` first",
                         joining->mtu, most, interface, interface, joining->mtu);
    for (unsigned i = 0; i < config->range_count; i++) {
        if (config->ranges[i].prefix.family == AF_INET6 && joining->mtu < IP6_MTU_MIN)
            return error_set(err, ERANGE, interface, wrong, "its MTU of %u is too small for IPv6",
                             joining->mtu);
    }
    return 0;
}

/* Its VFs have no link while it is down. */
static int find_pf(const char *name, struct joining *joining, struct husk_error *err)
{
    const char *names[2 + PCI_INTERFACE_MAX], *interface;
    struct pci_function function;
    unsigned count = 0;
    int ret = pci_find_pf(&vf_this_host, name, joining->hold.pf, err);

    if (ret)
        return ret;
    snprintf(joining->hold.name, sizeof(joining->hold.name), "%s", name);
    ret = pci_function_read(&vf_this_host, joining->hold.pf, &function);
    if (ret || !function.interface_count)
        return error_set(err, ENODEV, name, wrong, "it has no network interface here");
    interface = function.interfaces[0];
    names[count++] = name;
    names[count++] = function.address;
    for (unsigned i = 0; i < function.interface_count; i++) {
        names[count++] = function.interfaces[i];
        if (!strcmp(function.interfaces[i], name))
            interface = function.interfaces[i];
    }
    if (!interface_is_up(&vf_this_host, interface))
        return error_set(err, ENETDOWN, name, wrong, "it is down: `ip link set %s up` first",
                         interface);
    ret = vf_config_read(names, count, &joining->config, err);
    return ret ? ret : choose_mtu(joining, interface, err);
}

/* ---- up ---- */

/* 0a:58 and the IPv4 address, which is the only one of its kind on the network; else digits of the
 * id. */
static void choose_mac(struct joining *joining, const char *id)
{
    char digits[9] = "";
    uint32_t number;

    joining->mac[0] = 0x0a;
    joining->mac[1] = 0x58;
    if (joining->addresses[0].family == AF_INET) {
        memcpy(joining->mac + 2, joining->addresses[0].bytes, 4);
        return;
    }
    memcpy(digits, id, 8);
    number = (uint32_t)strtoul(digits, NULL, 16);
    for (unsigned i = 0; i < 4; i++)
        joining->mac[2 + i] = (uint8_t)(number >> (24 - 8 * i));
}

static int claim(struct joining *joining, const struct network_record *record,
                 const struct network_state *state, struct husk_error *err)
{
    int ret = network_state_lock(state, err);

    if (ret)
        return ret;
    ret = vf_lease_take(state, record->id, &joining->config, joining->addresses, err);
    if (!ret)
        ret = vf_hold_choose(&vf_this_host, state, record->id, &joining->hold, err);
    network_state_unlock(state);
    return ret;
}

/* What is written down before anything of the function changes. */
static int note(struct joining *joining, struct network_record *record,
                const struct network_state *state, int dir, struct husk_error *err)
{
    struct vf_hold *hold = &joining->hold;
    int ret = vf_get(&vf_this_host, hold->pf, hold->name, hold->index, &hold->before, err);

    if (ret)
        return ret;
    record->vf = vf_hold_encode(hold);
    return record->vf ? network_record_save(record, state, dir, err)
                      : error_set(err, ENOMEM, record->mode_text, wrong, NULL);
}

static int take_function(struct joining *joining, struct network_record *record,
                         const struct network_state *state, int dir, struct husk_error *err)
{
    struct husk_error second;
    int ret = vf_hold_bind(&vf_this_host, &joining->hold, err);

    if (ret != -EALREADY)
        return ret;
    json_decref(record->vf); /* it is not ours to give back */
    record->vf = NULL;
    (void)network_record_save(record, state, dir, &second);
    return ret;
}

/* The address that the card lets through, and the rate, in whole Mbit/s. */
static int set_up_function(const struct joining *joining, const struct pod_network_request *request,
                           struct husk_error *err)
{
    const struct vf_hold *hold = &joining->hold;
    struct vf_settings wanted = {.known = VF_MAC | VF_SPOOFCHK, .spoofchk = true};

    memcpy(wanted.mac, joining->mac, sizeof(wanted.mac));
    wanted.known |= hold->before.known & VF_TRUST;
    if (request->egress_bits) {
        wanted.known |= VF_RATE;
        wanted.rate_mbit = request->egress_bits > UINT32_MAX * MBIT
                               ? UINT32_MAX
                               : (uint32_t)((request->egress_bits + MBIT - 1) / MBIT);
    }
    return vf_set(&vf_this_host, hold->pf, hold->name, hold->index, &wanted, err);
}

static void fill_result(const struct joining *joining, struct pod_network_result *result)
{
    struct pod_machine_network *machine = &result->machine;

    memcpy(machine->vfio, joining->hold.function, sizeof(machine->vfio));
    memcpy(machine->mac, joining->mac, sizeof(machine->mac));
    machine->mtu = (uint16_t)joining->mtu;
    for (unsigned i = 0; i < joining->config.range_count; i++) {
        const struct vf_range *range = &joining->config.ranges[i];

        address_prefix_text(&joining->addresses[i], machine->addresses[machine->address_count++]);
        address_text(&joining->addresses[i], result->ips[result->ip_count++]);
        if (range->gateway.family) {
            struct pod_machine_route *route = &machine->routes[machine->route_count++];

            address_text(&range->gateway, route->via);
            snprintf(route->to, sizeof(route->to), "%s",
                     range->gateway.family == AF_INET ? "0.0.0.0/0" : "::/0");
        }
    }
    dns_of_host(&result->dns);
}

int vf_way_up(const struct pod_network_request *request, struct network_record *record,
              const struct network_state *state, struct pod_network_result *result,
              struct husk_error *err)
{
    struct joining joining = {.mtu = 0};
    int ret = find_pf(record->mode.name, &joining, err);

    if (!ret)
        ret = claim(&joining, record, state, err);
    if (!ret)
        ret = note(&joining, record, state, request->dir, err);
    if (!ret)
        ret = take_function(&joining, record, state, request->dir, err);
    if (ret)
        return ret;
    choose_mac(&joining, record->id);
    ret = set_up_function(&joining, request, err);
    if (!ret)
        fill_result(&joining, result);
    return ret;
}

/* ---- down ---- */

static int is_same(void *opaque, const char *name)
{
    return !strcmp(name, opaque);
}

/* Only what the pod has claimed: the record may be a stranger's. */
static int give_back(const struct network_record *record, const struct network_state *state,
                     struct husk_error *err)
{
    struct vf_hold hold;
    int ret = vf_hold_decode(record->vf, RECORD_FILE, &hold, err);

    if (ret)
        return ret;
    ret = network_claims(state->vfs, record->id, is_same, hold.function);
    if (ret < 0)
        return error_set(err, -ret, STATE_DIRECTORY "/vfs", "cannot look for claims", NULL);
    return ret ? vf_hold_return(&vf_this_host, &hold, err) : 0;
}

static int release(const struct network_record *record, const struct network_state *state,
                   struct husk_error *err)
{
    int ret = network_state_lock(state, err);

    if (ret)
        return ret;
    ret = network_unclaim(state->vfs, record->id);
    if (!ret)
        ret = network_unclaim(state->addresses, record->id);
    network_state_unlock(state);
    return ret ? error_set(err, -ret, STATE_DIRECTORY, "cannot give back what the pod had", NULL)
               : 0;
}

int vf_way_down(const struct network_record *record, const struct network_state *state,
                struct husk_error *err)
{
    int ret = record->vf ? give_back(record, state, err) : 0;

    return ret ? ret : release(record, state, err);
}

/* A function that stays with vfio-pci is no other pod's: vf_is_used(). */
int vf_way_abandon(const struct network_record *record, const struct network_state *state,
                   struct husk_error *left, struct husk_error *err)
{
    int kept = record->vf ? give_back(record, state, left) : 0;
    int ret = release(record, state, err);

    return ret ? ret : kept ? 1 : 0;
}

int vf_way_check(const struct network_record *record, struct husk_error *err)
{
    struct pci_function function;
    struct vf_hold hold;
    int ret = vf_hold_decode(record->vf, RECORD_FILE, &hold, err);

    if (ret)
        return ret;
    ret = pci_function_read(&vf_this_host, hold.function, &function);
    if (!ret && strcmp(function.driver, "vfio-pci") != 0)
        ret = -ENOTCONN;
    return ret ? error_set(err, -ret, hold.function, "the pod has lost its function", NULL) : 0;
}
