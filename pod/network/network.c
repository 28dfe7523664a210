// SPDX-License-Identifier: Apache-2.0
/*
 * The network of a pod: see network.h. Here are the record's life and the choice of the way
 * (ways.h): written before anything is made, removed after everything is gone.
 */
#include "pod/network/network.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/address.h"
#include "pod/network/cni_conf.h"
#include "pod/network/dns.h"
#include "pod/network/gc.h"
#include "pod/network/record.h"
#include "pod/network/ways.h"

#define NS_PER_MS UINT64_C(1000000)

static const char wrong[] = "cannot set up the pod's network";

int pod_network_check_mode(const char *mode, struct husk_error *err)
{
    struct network_mode parsed;

    return network_mode_parse(mode, &parsed, err);
}

int pod_network_default_mode(char *mode, size_t size, struct husk_error *err)
{
    json_t *list;
    int ret = cni_conf_find(NULL, &list, err);

    if (ret == -ENOENT)
        snprintf(mode, size, "bridge");
    else if (!ret)
        snprintf(mode, size, "cni:%s", json_string_value(json_object_get(list, "name")));
    json_decref(list);
    return ret == -ENOENT ? 0 : ret;
}

/* ---- the host's address ---- */

/* The source that the host would take on its way to anywhere: addresses of documentation (RFC 5737,
 * RFC 3849), to which connect() of a datagram socket sends nothing. */
static bool source_towards(const char *text, char out[POD_MACHINE_ADDRESS_BYTES])
{
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    struct address address;
    const struct sockaddr *to = (const struct sockaddr *)&ip4;
    socklen_t len = sizeof(ip4), got = sizeof(ip6);
    struct sockaddr_in6 from;
    bool found;
    int fd;

    if (address_parse(text, &address))
        return false;
    if (address.family == AF_INET6) {
        to = (const struct sockaddr *)&ip6;
        len = sizeof(ip6);
    }
    memcpy(&ip4.sin_addr, address.bytes, sizeof(ip4.sin_addr));
    memcpy(&ip6.sin6_addr, address.bytes, sizeof(ip6.sin6_addr));
    fd = socket(address.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    found = connect(fd, to, len) == 0 && getsockname(fd, (struct sockaddr *)&from, &got) == 0;
    close_fd(&fd);
    if (!found)
        return false;
    if (address.family == AF_INET)
        memcpy(address.bytes, &((struct sockaddr_in *)&from)->sin_addr, 4);
    else
        memcpy(address.bytes, &from.sin6_addr, 16);
    address_text(&address, out);
    return true;
}

static void find_host_ip(char out[POD_MACHINE_ADDRESS_BYTES])
{
    if (!source_towards("192.0.2.1", out) && !source_towards("2001:db8::1", out))
        out[0] = '\0';
}

/* ---- up ---- */

static int check_request(const struct pod_network_request *request,
                         const struct network_record *record, struct husk_error *err)
{
    if (request->isolated && record->mode.kind != NETWORK_BRIDGE)
        return error_set(err, EINVAL, "metadata.annotations[husk.dev/isolated]", wrong,
                         "only the network \"bridge\" isolates pods");
    if (request->port_count && record->mode.kind == NETWORK_VF)
        return error_set(err, EINVAL, "spec.containers", wrong,
                         "no port of the host leads to a pod on a virtual function: it is reached "
                         "by its own address");
    if (request->ingress_bits && record->mode.kind == NETWORK_VF)
        return error_set(err, EINVAL, "metadata.annotations[kubernetes.io/ingress-bandwidth]",
                         wrong, "a card limits only what a virtual function sends");
    if (request->port_count && record->mode.kind == NETWORK_NONE)
        return error_set(err, EINVAL, "spec.containers", wrong,
                         "a pod without a network has no port to publish");
    if (faccessat(request->dir, RECORD_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return error_set(err, EEXIST, RECORD_FILE, wrong, "it is set up already");
    return 0;
}

static int take_way_down(const struct network_record *record, const struct network_state *state,
                         struct husk_error *err)
{
    switch (record->mode.kind) {
    case NETWORK_BRIDGE:
        return bridge_way_down(record, state, err);
    case NETWORK_CNI:
        return cni_way_down(record, state, err);
    case NETWORK_VF:
        return vf_way_down(record, state, err);
    default:
        return 0;
    }
}

static int take_way_up(const struct pod_network_request *request, struct network_record *record,
                       const struct network_state *state, struct pod_network_result *result,
                       struct husk_error *err)
{
    struct husk_error second;
    int ret = 0;

    if (record->mode.kind == NETWORK_CNI)
        ret = cni_way_prepare(request, record, err);
    if (!ret)
        ret = network_record_save(record, state, request->dir, err);
    if (ret)
        return ret;
    ret = record->mode.kind == NETWORK_CNI  ? cni_way_up(request, record, state, result, err)
          : record->mode.kind == NETWORK_VF ? vf_way_up(request, record, state, result, err)
                                            : bridge_way_up(request, record, state, result, err);
    if (!ret)
        return 0;
    /* The record stays when this fails. */
    if (!take_way_down(record, state, &second))
        (void)network_record_remove(record, state, request->dir, &second);
    return ret;
}

int pod_network_up(const struct pod_network_request *request, struct pod_network_result *result,
                   struct husk_error *err)
{
    struct network_record record;
    struct network_state state;
    int ret = network_record_begin(request, &record, err);

    memset(result, 0, sizeof(*result));
    if (!ret)
        ret = check_request(request, &record, err);
    if (ret)
        return ret;
    if (record.mode.kind == NETWORK_NONE) {
        dns_of_host(&result->dns);
    } else {
        ret = network_state_open(&state, err);
        if (!ret)
            ret = take_way_up(request, &record, &state, result, err);
        network_state_close(&state);
    }
    network_record_end(&record);
    if (!ret)
        find_host_ip(result->host_ip);
    return ret;
}

/* ---- down ---- */

int network_take_back(const struct network_record *record, int dir, struct husk_error *err)
{
    uint64_t begun_ns = monotonic_ns();
    struct network_state state;
    int ret = network_state_open(&state, err);

    if (ret)
        return ret;
    ret = take_way_down(record, &state, err);
    if (!ret)
        ret = network_record_remove(record, &state, dir, err);
    else if (monotonic_ns() - begun_ns >= POD_NETWORK_PLUGIN_MS * NS_PER_MS)
        network_record_note_hung(record, &state, dir);
    network_state_close(&state);
    return ret;
}

int network_hangs(const struct network_record *record, struct husk_error *err)
{
    return network_record_hangs(record)
               ? error_set(err, EAGAIN, record->mode_text,
                           "has a pod's network that is not taken back",
                           "that took too long before; removing or starting the pod tries again")
               : 0;
}

static int take_down(int dir, bool only_looks, struct husk_error *err)
{
    struct network_record record;
    int ret = network_record_read(dir, RECORD_FILE, &record, err);

    if (ret == -ENOENT)
        return 0;
    if (!ret && only_looks)
        ret = network_hangs(&record, err);
    if (!ret)
        ret = network_take_back(&record, dir, err);
    network_record_end(&record);
    return ret;
}

int pod_network_down(int dir, struct husk_error *err)
{
    return take_down(dir, false, err);
}

int pod_network_tidy(int dir, struct husk_error *err)
{
    return take_down(dir, true, err);
}

/* What is neither plugins' nor a card's is no harder to take back for the pod's going. */
static int give_up(const struct network_record *record, int dir, struct husk_error *left,
                   struct husk_error *err)
{
    struct network_state state;
    int removed, ret = network_state_open(&state, err);

    if (!ret)
        ret = record->mode.kind == NETWORK_CNI ? cni_way_abandon(record, &state, left, err)
                                               : vf_way_abandon(record, &state, left, err);
    if (ret > 0 && record->mode.kind == NETWORK_CNI)
        network_gc_want(&state, record);
    if (ret >= 0) {
        removed = network_record_remove(record, &state, dir, err);
        ret = removed ? removed : ret;
    }
    network_state_close(&state);
    return ret;
}

int pod_network_abandon(int dir, struct husk_error *left, struct husk_error *err)
{
    struct network_record record;
    struct husk_error own = {.code = 0};
    int ret;

    err = err ? err : &own;
    ret = network_record_read(dir, RECORD_FILE, &record, err);
    if (ret == -ENOENT)
        return 0;
    if (ret) { /* not what husk wrote: the host's copy is, if there is one */
        *left = *err;
        ret = unlinkat(dir, RECORD_FILE, 0) < 0 ? ret : 1;
    } else {
        ret = record.mode.kind == NETWORK_CNI || record.mode.kind == NETWORK_VF
                  ? give_up(&record, dir, left, err)
                  : network_take_back(&record, dir, err);
    }
    network_record_end(&record);
    return ret;
}

int pod_network_check(int dir, struct husk_error *err)
{
    struct network_record record;
    int ret = network_record_read(dir, RECORD_FILE, &record, err);

    if (ret == -ENOENT)
        return 0;
    if (!ret && record.mode.kind != NETWORK_NONE)
        ret = record.mode.kind == NETWORK_CNI  ? cni_way_check(&record, err)
              : record.mode.kind == NETWORK_VF ? vf_way_check(&record, err)
                                               : bridge_way_check(&record, err);
    network_record_end(&record);
    return ret;
}
