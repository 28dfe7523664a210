// SPDX-License-Identifier: Apache-2.0
/* Addresses and prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>

#include "pod/network/address.h"

static struct address prefix(const char *text)
{
    struct address out;

    assert_int_equal(address_parse_prefix(text, &out), 0);
    return out;
}

static struct address address(const char *text)
{
    struct address out;

    assert_int_equal(address_parse(text, &out), 0);
    return out;
}

static void expect_text(struct address is, const char *expected)
{
    char text[ADDRESS_TEXT];

    address_text(&is, text);
    assert_string_equal(text, expected);
}

static void reads_what_is_written(void **state)
{
    static const char *const good[] = {"10.1.2.3/24", "0.0.0.0/0",   "10.0.0.1/16", "fd00::1/64",
                                       "::/0",        "fe80::1/128", "10.0.0.1/32", "fd00::/10"};
    static const char *const bad[] = {"10.1.2.3",     "10.1.2.3/33", "10.1.2/24",    "fd00::1/129",
                                      "10.1.2.3/",    "10.1.2.3/-1", "10.1.2.3/024", "/24",
                                      "10.1.2.3/0x8", "a/1",         "10.1.2.3/24 ", ""};
    char text[ADDRESS_TEXT];
    struct address out;

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        out = prefix(good[i]);
        address_prefix_text(&out, text);
        assert_string_equal(text, good[i]);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(address_parse_prefix(bad[i], &out), -EINVAL);
    assert_int_equal(address_parse("10.1.2.3/24", &out), -EINVAL);
    assert_int_equal(address("fd00::1").bits, 128);
}

static void counts(void **state)
{
    struct address net = prefix("10.187.3.4/16"), six = prefix("fd12:3456::9/64");

    expect_text(address_network(&net), "10.187.0.0");
    expect_text(address_at(&net, 1), "10.187.0.1");
    expect_text(address_at(&net, 65534), "10.187.255.254");
    expect_text(address_network(&six), "fd12:3456::");
    expect_text(address_at(&six, 65534), "fd12:3456::fffe");
    expect_text(address_at(&six, 256), "fd12:3456::100");
}

static void knows_what_is_within(void **state)
{
    struct address net = prefix("10.187.0.0/16"), all = prefix("0.0.0.0/0");
    struct address in = address("10.187.255.1"), out = address("10.188.0.1"), six = address("::");

    assert_true(address_within(&net, &in));
    assert_false(address_within(&net, &out));
    assert_true(address_within(&all, &out));
    assert_false(address_within(&all, &six));
    assert_true(address_equal(&in, &in));
    assert_false(address_equal(&in, &out));
}

static void knows_whose_it_may_be(void **state)
{
    static const char *const bad[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1",       "255.255.255.255",
                                      "::",      "::1",       "::ffff:10.0.0.1", "ff02::1"};
    static const char *const good[] = {"10.0.0.1", "192.0.2.1", "fd00::1", "2001:db8::1"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct address is = address(bad[i]);

        assert_false(address_is_unicast(&is));
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct address is = address(good[i]);

        assert_true(address_is_unicast(&is));
    }
}

static void makes_link_local_ones(void **state)
{
    static const uint8_t mac[6] = {0x0a, 0x58, 0x0a, 0xbb, 0x00, 0x05};

    expect_text(address_link_local(mac), "fe80::858:aff:febb:5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_written), cmocka_unit_test(counts),
        cmocka_unit_test(knows_what_is_within),  cmocka_unit_test(knows_whose_it_may_be),
        cmocka_unit_test(makes_link_local_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
