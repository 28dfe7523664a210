// SPDX-License-Identifier: Apache-2.0
/* Results of CNI plugins: see cni_result.h. */
#include "pod/network/cni_result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

#define INTERFACES_MAX 64u
#define ITEMS_MAX      256u

static int refuse(struct husk_error *err, const char *member, size_t index, const char *why)
{
    char where[48];

    snprintf(where, sizeof(where), "%s[%zu]", member, index);
    return error_set(err, EPROTO, where, "cannot read the result of the CNI plugins", "%s", why);
}

/* An array of at most `max`, or none. */
static int array_of(const json_t *object, const char *name, size_t max, const json_t **out,
                    struct husk_error *err)
{
    *out = json_object_get(object, name);
    if (json_is_null(*out))
        *out = NULL;
    if (*out && !json_is_array(*out))
        return refuse(err, name, 0, "it is no list");
    return json_array_size(*out) > max ? refuse(err, name, max, "there are too many") : 0;
}

/* A text without bytes that a resolver's file or a message must not have. */
static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);

    if (!text || strlen(text) != json_string_length(value))
        return NULL;
    for (const char *at = text; *at; at++) {
        if (*at <= 0x20 || *at > 0x7e)
            return NULL;
    }
    return text;
}

/* Whether an address is of the pod's interface: "interface" is an index of "interfaces"; without
 * one it is the only one that there is. */
static int is_ours(const json_t *ip, size_t at, const json_t *interfaces, const char *name,
                   bool *ours, struct husk_error *err)
{
    const json_t *index = json_object_get(ip, "interface"), *interface;
    const char *called, *sandbox;

    *ours = true;
    if (!index || json_is_null(index))
        return 0;
    if (!json_is_integer(index) || json_integer_value(index) < 0 ||
        (size_t)json_integer_value(index) >= json_array_size(interfaces))
        return refuse(err, "ips", at, "its interface is none of the list");
    interface = json_array_get(interfaces, (size_t)json_integer_value(index));
    called = text_of(json_object_get(interface, "name"));
    sandbox = json_string_value(json_object_get(interface, "sandbox"));
    if (!called)
        return refuse(err, "interfaces", (size_t)json_integer_value(index), "it has no name");
    *ours = !strcmp(called, name) && sandbox && sandbox[0];
    return 0;
}

static int take_ip(const json_t *ip, size_t at, struct cni_result *out, struct husk_error *err)
{
    const char *text = text_of(json_object_get(ip, "address"));
    struct address address;

    if (!text || address_parse_prefix(text, &address) || !address_is_unicast(&address))
        return refuse(err, "ips", at, "it is no address with its prefix");
    if (out->address_count == POD_MACHINE_ADDRESSES_MAX)
        return refuse(err, "ips", at, "a pod has no room for so many addresses");
    out->addresses[out->address_count++] = address;
    return 0;
}

static int take_dns(const json_t *dns, struct pod_network_dns *out, struct husk_error *err)
{
    const json_t *servers, *searches, *options;
    struct address address;
    int ret = array_of(dns, "nameservers", ITEMS_MAX, &servers, err);

    if (!ret)
        ret = array_of(dns, "search", ITEMS_MAX, &searches, err);
    if (!ret)
        ret = array_of(dns, "options", ITEMS_MAX, &options, err);
    for (size_t i = 0; !ret && i < json_array_size(servers); i++) {
        const char *text = text_of(json_array_get(servers, i));

        if (!text || address_parse(text, &address))
            ret = refuse(err, "dns.nameservers", i, "it is no address");
        else if (out->server_count < POD_NETWORK_DNS_SERVERS)
            address_text(&address, out->servers[out->server_count++]);
    }
    for (size_t i = 0; !ret && i < json_array_size(searches); i++) {
        const char *text = text_of(json_array_get(searches, i));

        if (!text || strlen(text) >= POD_NETWORK_DOMAIN_MAX)
            ret = refuse(err, "dns.search", i, "it is no domain");
        else if (out->search_count < POD_NETWORK_DNS_DOMAINS)
            memcpy(out->searches[out->search_count++], text, strlen(text) + 1);
    }
    for (size_t i = 0; !ret && i < json_array_size(options); i++) {
        const char *text = text_of(json_array_get(options, i));

        if (!text || strlen(text) >= sizeof(out->options[0]))
            ret = refuse(err, "dns.options", i, "it is no option");
        else if (out->option_count < POD_NETWORK_DNS_OPTIONS)
            memcpy(out->options[out->option_count++], text, strlen(text) + 1);
    }
    return ret;
}

int cni_result_read(const json_t *result, const char *interface, struct cni_result *out,
                    struct husk_error *err)
{
    const json_t *interfaces, *ips, *dns = json_object_get(result, "dns");
    bool ours = false;
    int ret = array_of(result, "interfaces", INTERFACES_MAX, &interfaces, err);

    memset(out, 0, sizeof(*out));
    if (!ret)
        ret = array_of(result, "ips", INTERFACES_MAX, &ips, err);
    for (size_t i = 0; !ret && i < json_array_size(ips); i++) {
        ret = is_ours(json_array_get(ips, i), i, interfaces, interface, &ours, err);
        if (!ret && ours)
            ret = take_ip(json_array_get(ips, i), i, out, err);
    }
    if (!ret && !out->address_count)
        ret = refuse(err, "ips", 0, "the pod has no address");
    if (!ret && dns && !json_is_null(dns))
        ret = json_is_object(dns) ? take_dns(dns, &out->dns, err)
                                  : refuse(err, "dns", 0, "it is no object");
    return ret;
}
