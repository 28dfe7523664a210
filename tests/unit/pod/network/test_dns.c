// SPDX-License-Identifier: Apache-2.0
/* resolv.conf, as it is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pod/network/dns.h"

static void takes_what_makes_sense(void **state)
{
    static const char text[] = "# a comment\nnameserver 127.0.0.53\nnameserver\t192.0.2.1 # ours\n"
                               "nameserver ::1\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\n"
                               "nameserver nonsense\nsearch old.example\ndomain a.example\n"
                               "search b.example c.example\noptions ndots:2 edns0\nsortlist x\n"
                               "bad\x01line 1\nnameserver 192.0.2.2";
    struct pod_network_dns dns;

    dns_parse(text, strlen(text), &dns);
    assert_int_equal(dns.server_count, 3);
    assert_string_equal(dns.servers[0], "192.0.2.1");
    assert_string_equal(dns.servers[1], "2001:db8::53");
    assert_string_equal(dns.servers[2], "192.0.2.2");
    assert_int_equal(dns.search_count, 2);
    assert_string_equal(dns.searches[0], "b.example");
    assert_string_equal(dns.searches[1], "c.example");
    assert_int_equal(dns.option_count, 2);
    assert_string_equal(dns.options[1], "edns0");
}

static void is_bounded(void **state)
{
    struct pod_network_dns dns;
    size_t len = 0;
    char *text = malloc(200000);

    assert_non_null(text);
    for (unsigned i = 0; i < 1000; i++)
        len += (size_t)sprintf(text + len, "nameserver 10.0.0.1\noptions a\n");
    len += (size_t)sprintf(text + len, "search");
    for (unsigned i = 0; i < 200; i++)
        len += (size_t)sprintf(text + len, " d");
    memset(text + len, 'x', 2000); /* a line that is too long, and has no end */
    dns_parse(text, len, &dns);
    assert_int_equal(dns.server_count, POD_NETWORK_DNS_SERVERS);
    assert_int_equal(dns.option_count, POD_NETWORK_DNS_OPTIONS);
    assert_int_equal(dns.search_count, POD_NETWORK_DNS_DOMAINS);
    dns_parse(text, len + 2000, &dns);
    assert_int_equal(dns.search_count, 0);
    dns_parse("", 0, &dns);
    assert_int_equal(dns.server_count, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_makes_sense),
        cmocka_unit_test(is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
