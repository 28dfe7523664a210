// SPDX-License-Identifier: Apache-2.0
/*
 * What pod networks read of others, the first byte says which: results of CNI plugins, their
 * configurations, the bridge's configuration, records, resolv.conf. What is taken has only
 * addresses that a pod may have, names that are names, and texts without what their places do not
 * allow.
 */
#include <stdlib.h>
#include <string.h>

#include "pod/network/bridge_config.h"
#include "pod/network/cni_conf.h"
#include "pod/network/cni_result.h"
#include "pod/network/dns.h"
#include "pod/network/record.h"
#include "pod/network/vf_config.h"
#include "pod/network/vf_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_dns(const struct pod_network_dns *dns)
{
    demand(dns->server_count <= POD_NETWORK_DNS_SERVERS);
    demand(dns->search_count <= POD_NETWORK_DNS_DOMAINS);
    demand(dns->option_count <= POD_NETWORK_DNS_OPTIONS);
    for (unsigned i = 0; i < dns->server_count; i++) {
        struct address address;

        demand(address_parse(dns->servers[i], &address) == 0);
    }
    for (unsigned i = 0; i < dns->search_count; i++)
        demand(!strpbrk(dns->searches[i], " \t\r\n"));
    for (unsigned i = 0; i < dns->option_count; i++)
        demand(!strpbrk(dns->options[i], " \t\r\n"));
}

static void fuzz_result(const json_t *document)
{
    struct cni_result result;
    struct husk_error err;

    if (cni_result_read(document, "eth0", &result, &err))
        return;
    demand(result.address_count > 0 && result.address_count <= POD_MACHINE_ADDRESSES_MAX);
    for (unsigned i = 0; i < result.address_count; i++)
        demand(address_is_unicast(&result.addresses[i]));
    check_dns(&result.dns);
}

static void fuzz_record(const json_t *document)
{
    struct network_record record;
    struct vf_hold hold;
    struct husk_error err;

    if (!network_record_decode(document, "record", &record, &err)) {
        demand(strlen(record.tap) == 14 && !strchr(record.netns, '/'));
        demand(record.mode.kind != NETWORK_CNI || record.cni);
        if (record.vf && vf_hold_decode(record.vf, "record", &hold, &err) == 0)
            demand(!strchr(hold.function, '/') && hold.index < PCI_VF_MAX);
    }
    network_record_end(&record);
}

static void fuzz_conf(const uint8_t *data, size_t size, bool single)
{
    struct husk_error err;
    json_t *list = cni_conf_parse(data, size, single, "conf", &err);
    const json_t *plugins = json_object_get(list, "plugins");

    if (!list)
        return;
    demand(json_array_size(plugins) >= 1 && json_array_size(plugins) <= CNI_PLUGINS_MAX);
    for (size_t i = 0; i < json_array_size(plugins); i++)
        demand(
            !strchr(json_string_value(json_object_get(json_array_get(plugins, i), "type")), '/'));
    (void)cni_conf_capable(list, "portMappings");
    json_decref(list);
}

static void fuzz_ranges(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"eth0"};
    struct vf_config config;
    struct husk_error err;

    if (vf_config_parse(data, size, "file", names, 1, &config, &err))
        return;
    demand(config.range_count >= 1 && config.range_count <= 2);
    for (unsigned i = 0; i < config.range_count; i++)
        demand(config.ranges[i].first >= 1 && config.ranges[i].first <= config.ranges[i].last);
}

static void fuzz_wish(const uint8_t *data, size_t size)
{
    struct bridge_wish wish;
    struct husk_error err;

    if (bridge_wish_parse(data, size, "file", &wish, &err))
        return;
    demand(!wish.has_ip4 || !wish.ip4.family || wish.ip4.bits <= 30);
    demand(!wish.has_ip6 || !wish.ip6.family || wish.ip6.bits <= 126);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pod_network_dns dns;
    json_t *document;

    if (!size)
        return 0;
    switch (data[0] % 6) {
    case 0:
    case 1:
        document = json_loadb((const char *)data + 1, size - 1,
                              JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        if (data[0] % 6)
            fuzz_record(document);
        else
            fuzz_result(document);
        json_decref(document);
        break;
    case 2:
    case 3:
        fuzz_conf(data + 1, size - 1, data[0] % 6 == 3);
        break;
    case 4:
        fuzz_wish(data + 1, size - 1);
        fuzz_ranges(data + 1, size - 1);
        break;
    default:
        dns_parse((const char *)data + 1, size - 1, &dns);
        check_dns(&dns);
    }
    return 0;
}
