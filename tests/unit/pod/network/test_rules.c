// SPDX-License-Identifier: Apache-2.0
/* Rule sets: which chains there are for whom, and that nftables takes each of them (as a dry run,
 * which changes nothing; skipped where the kernel does not let us). What they do to frames is shown
 * by tests/e2e/network/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/network/rules.h"

static struct address of(const char *text)
{
    struct address address;

    assert_int_equal(address_parse_prefix(text, &address), 0);
    return address;
}

/* Takes the text. */
static void expect(char *text, const char *const *there, const char *const *absent)
{
    struct nft_ctx *ctx;

    assert_non_null(text);
    for (; *there; there++) {
        if (!strstr(text, *there))
            fail_msg("there is no \"%s\" in:\n%s", *there, text);
    }
    for (; *absent; absent++) {
        if (strstr(text, *absent))
            fail_msg("there is \"%s\" in:\n%s", *absent, text);
    }
    ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    assert_non_null(ctx);
    nft_ctx_set_dry_run(ctx, true);
    nft_ctx_buffer_error(ctx);
    nft_ctx_buffer_output(ctx);
    if (nft_run_cmd_from_buffer(ctx, text) && strstr(nft_ctx_get_error_buffer(ctx), "syntax"))
        fail_msg("%s", nft_ctx_get_error_buffer(ctx));
    nft_ctx_free(ctx);
    free(text);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const uint8_t mac[6] = {0x0a, 0x58, 0x0a, 0xbb, 0x00, 0x05};

static void guards_each_family_that_there_is(void **state)
{
    const struct address both[] = {of("10.187.0.5/16"), of("fd00::5/64")};
    struct rules_guest guest = {.tap = "hk0", .addresses = both, .address_count = 2};

    memcpy(guest.mac, mac, sizeof(mac));
    expect(rules_guest(&guest),
           WORDS("delete table netdev hk0\ntable netdev hk0 {", "policy drop;",
                 "ether saddr != 0a:58:0a:bb:00:05",
                 "ip saddr { 10.187.0.5 } ip daddr != 127.0.0.0/8 goto",
                 "ip6 saddr { fd00::5, fe80::858:aff:febb:5 } ip6 daddr != ::1 goto",
                 "@th,64,128 { 0xfd000000000000000000000000000005, "
                 "0xfe8000000000000008580afffebb0005 }",
                 "@th,208,48 0x0a580abb0005 goto pass", " chain pass {\n  accept\n"),
           WORDS("fwd", "limit", "egress"));
    guest.address_count = 1;
    expect(rules_guest(&guest), WORDS("arp_from", "ip4_from"), WORDS("ip6"));
    guest.addresses = both + 1;
    expect(rules_guest(&guest), WORDS("ip6_from", "nd_from"), WORDS("arp", "ip4"));
}

static void passes_on_to_an_interface(void **state)
{
    const struct address one[] = {of("10.1.0.5/24")};
    struct rules_guest guest = {.tap = "hk0",
                                .forward = "eth0",
                                .addresses = one,
                                .address_count = 1,
                                .egress_bytes = 1000000};

    expect(rules_guest(&guest),
           WORDS("fwd to \"eth0\"", "ingress device \"eth0\"", "fwd to \"hk0\"",
                 "limit rate over 1000000 bytes/second burst 262144 bytes"),
           WORDS("  accept\n"));
}

static void isolates(void **state)
{
    const struct address both[] = {of("10.187.0.5/16"), of("fd00::5/64")};
    const uint8_t gateway[6] = {0x0a, 0x58, 0x0a, 0xbb, 0x00, 0x01};
    struct rules_guest guest = {.tap = "hk0",
                                .addresses = both,
                                .address_count = 2,
                                .gateway_mac = gateway,
                                .gateways = {of("10.187.0.1/16"), of("fd00::1/64")},
                                .gateway_count = 2};
    const struct rules_ports ports = {
        .tap = "hk0", .bridge = "husk0", .addresses = both, .address_count = 2, .isolated = true};
    bool empty;

    expect(rules_guest(&guest),
           WORDS("egress device \"hk0\"", "ether saddr != 0a:58:0a:bb:00:01 counter drop",
                 "arp daddr ip { 10.187.0.1 } accept"),
           WORDS("{\n  accept\n"));
    expect(rules_ports(&ports, &empty), WORDS("ip6 daddr fd00::5 counter drop", "ct status dnat"),
           WORDS("dport"));
}

static void publishes(void **state)
{
    const struct address both[] = {of("10.187.0.5/16"), of("fd00::5/64")};
    const struct pod_network_port list[] = {
        {.protocol = POD_NETWORK_TCP, .host_port = 8080, .pod_port = 80},
        {.protocol = POD_NETWORK_UDP, .host_port = 53, .pod_port = 5353, .host_ip = "192.0.2.1"}};
    struct rules_ports ports = {.tap = "hk0",
                                .bridge = "husk0",
                                .ports = list,
                                .port_count = 2,
                                .addresses = both,
                                .address_count = 2};
    bool empty;

    expect(rules_ports(&ports, &empty),
           WORDS("meta nfproto ipv4 tcp dport 8080 dnat ip to 10.187.0.5:80",
                 "ip6 daddr != ::1 tcp dport 8080 dnat ip6 to [fd00::5]:80",
                 "ip daddr 192.0.2.1 udp dport 53 dnat ip to 10.187.0.5:5353"),
           WORDS("isolated", "[fd00::5]:5353"));
    ports.port_count = 0;
    assert_null(rules_ports(&ports, &empty));
    assert_true(empty);
}

static void masquerades(void **state)
{
    const struct rules_bridge bridge = {
        .bridge = "husk0", .prefixes = {of("10.187.0.1/16"), of("fd00::1/64")}, .prefix_count = 2};

    expect(rules_bridge(&bridge),
           WORDS("ip saddr 10.187.0.0/16 oifname != \"husk0\" masquerade",
                 "ip6 saddr fd00::/64 oifname != \"husk0\" masquerade", "counter drop"),
           WORDS("fwd"));
    expect(rules_remove_bridge(), WORDS("delete table inet husk"), WORDS("chain"));
    expect(rules_remove_guest("hk0"), WORDS("delete table netdev hk0", "delete table inet hk0"),
           WORDS("chain"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guards_each_family_that_there_is),
        cmocka_unit_test(passes_on_to_an_interface),
        cmocka_unit_test(isolates),
        cmocka_unit_test(publishes),
        cmocka_unit_test(masquerades),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
