// SPDX-License-Identifier: Apache-2.0
/* --network: see network.h. */
#include "cli/pod/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define MTU_MIN 68u

static int wrong(const struct pod_syntax *syntax, const struct option_list *list, const char *wants)
{
    return pod_usage(syntax, "--network: %s=%s: wants %s", list->key, list->value, wants);
}

/* An address, with "/N" behind it if `with_length`. */
static bool is_address(const char *text, bool with_length)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    size_t len = strcspn(text, "/");
    uint64_t bits;
    bool v6;

    if (len == 0 || len >= sizeof(address) || (text[len] == '/') != with_length)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    v6 = strchr(address, ':') != NULL;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, address, &binary) != 1)
        return false;
    return !with_length || parse_u64(text + len + 1, 0, v6 ? 128 : 32, &bits) == 0;
}

static int add_address(const struct pod_syntax *syntax, const struct option_list *list,
                       struct pod_machine_network *out)
{
    if (!is_address(list->value, true))
        return wrong(syntax, list, "an address with its prefix, such as 10.1.2.3/24");
    if (out->address_count == POD_MACHINE_ADDRESSES_MAX)
        return pod_usage(syntax, "--network: at most %u addresses", POD_MACHINE_ADDRESSES_MAX);
    snprintf(out->addresses[out->address_count++], POD_MACHINE_ADDRESS_BYTES, "%.*s",
             (int)POD_MACHINE_ADDRESS_BYTES - 1, list->value);
    return 0;
}

static int add_gateway(const struct pod_syntax *syntax, const struct option_list *list,
                       struct pod_machine_network *out)
{
    struct pod_machine_route *route = &out->routes[out->route_count];

    if (!is_address(list->value, false))
        return wrong(syntax, list, "an address, such as 10.1.2.1");
    if (out->route_count == POD_MACHINE_ADDRESSES_MAX)
        return pod_usage(syntax, "--network: at most %u gateways", POD_MACHINE_ADDRESSES_MAX);
    snprintf(route->to, sizeof(route->to), "%s", strchr(list->value, ':') ? "::/0" : "0.0.0.0/0");
    snprintf(route->via, sizeof(route->via), "%.*s", (int)sizeof(route->via) - 1, list->value);
    out->route_count++;
    return 0;
}

static int set_word(const struct pod_syntax *syntax, const struct option_list *list,
                    struct pod_machine_network *out)
{
    uint64_t number;

    if (!strcmp(list->key, "tap")) {
        if (!list->value[0] || strlen(list->value) >= sizeof(out->tap))
            return wrong(syntax, list, "the name of a tap interface, at most 15 characters");
        memcpy(out->tap, list->value, strlen(list->value) + 1);
        return 0;
    }
    if (!strcmp(list->key, "address"))
        return add_address(syntax, list, out);
    if (!strcmp(list->key, "gateway"))
        return add_gateway(syntax, list, out);
    if (!strcmp(list->key, "mac"))
        return parse_mac(list->value, out->mac)
                   ? wrong(syntax, list, "a unicast address, such as 52:54:00:12:34:56")
                   : 0;
    if (!strcmp(list->key, "mtu")) {
        if (parse_u64(list->value, MTU_MIN, UINT16_MAX, &number))
            return wrong(syntax, list, "68 to 65535");
        out->mtu = (uint16_t)number;
        return 0;
    }
    return pod_usage(syntax,
                     "--network: unknown word '%s' (known: tap=, address=, gateway=, mac=, mtu=)",
                     list->key);
}

int pod_network_parse(const struct pod_syntax *syntax, const char *text,
                      struct pod_machine_network *out)
{
    struct option_list list;
    int ret, status;

    memset(out, 0, sizeof(*out));
    if (!text || !strcmp(text, "none"))
        return 0;
    option_list_begin(&list, text);
    while ((ret = option_list_next(&list)) == 1) {
        if (!list.has_value)
            return pod_usage(syntax, "--network: %s: wants none or tap=NAME,...", text);
        status = set_word(syntax, &list, out);
        if (status)
            return status;
    }
    if (ret || !out->tap[0])
        return pod_usage(syntax, "--network: %s: wants none or tap=NAME,...", text);
    return 0;
}
