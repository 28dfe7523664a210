// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/pod/network.h"
#include "cli/pod/run_options.h"

static int parse(const char *text, struct pod_machine_network *out)
{
    return pod_network_parse(&pod_run_syntax, text, out);
}

static void test_none(void **state)
{
    struct pod_machine_network network;

    assert_int_equal(parse(NULL, &network), 0);
    assert_string_equal(network.tap, "");
    assert_int_equal(parse("none", &network), 0);
    assert_string_equal(network.tap, "");
}

static void test_tap(void **state)
{
    struct pod_machine_network network;

    assert_int_equal(parse("tap=t0,address=10.1.2.3/24,address=fd00::2/64,gateway=10.1.2.1,"
                           "gateway=fd00::1,mac=52:54:00:00:00:01,mtu=1400",
                           &network),
                     0);
    assert_string_equal(network.tap, "t0");
    assert_int_equal(network.address_count, 2);
    assert_string_equal(network.addresses[1], "fd00::2/64");
    assert_int_equal(network.route_count, 2);
    assert_string_equal(network.routes[0].to, "0.0.0.0/0");
    assert_string_equal(network.routes[0].via, "10.1.2.1");
    assert_string_equal(network.routes[1].to, "::/0");
    assert_int_equal(network.mac[5], 1);
    assert_int_equal(network.mtu, 1400);
}

static void test_what_is_wrong(void **state)
{
    static const char *const bad[] = {
        "",
        "host",
        "bridge",
        "tap",
        "tap=",
        "tap=a-name-that-is-too-long",
        "address=10.1.2.3/24",
        "tap=t0,address=10.1.2.3",
        "tap=t0,address=10.1.2.3/33",
        "tap=t0,address=10.1.2/24",
        "tap=t0,address=fd00::/129",
        "tap=t0,gateway=10.1.2.1/24",
        "tap=t0,gateway=gw",
        "tap=t0,mac=1",
        "tap=t0,mtu=10",
        "tap=t0,bogus=1",
        "tap=t0,",
        "none,tap=t0",
    };
    struct pod_machine_network network;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        if (!parse(bad[i], &network))
            fail_msg("%s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_tap),
        cmocka_unit_test(test_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
