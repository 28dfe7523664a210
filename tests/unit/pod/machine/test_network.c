// SPDX-License-Identifier: Apache-2.0
/* What the agent is asked for the machine's interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pod/machine/network.h"

static void expect(const struct pod_machine_network *network, const char *wanted)
{
    json_t *params = machine_network_params(network);
    json_t *object = json_loads(wanted, 0, NULL);

    assert_true(machine_has_network(network));
    assert_true(json_equal(params, object));
    json_decref(params);
    json_decref(object);
}

/* The device tells the guest the MTU. */
static void a_tap_by_name(void **state)
{
    const struct pod_machine_network network = {
        .tap = "tap0",
        .mtu = 1400,
        .addresses = {"10.9.0.2/24"},
        .address_count = 1,
        .routes = {{.to = "0.0.0.0/0", .via = "10.9.0.1"}, {.to = "10.8.0.0/16"}},
        .route_count = 2};

    expect(&network,
           "{\"interface\": \"eth0\", \"addresses\": [\"10.9.0.2/24\"], \"routes\": "
           "[{\"to\": \"0.0.0.0/0\", \"via\": \"10.9.0.1\"}, {\"to\": \"10.8.0.0/16\"}]}");
}

/* Nobody else does. */
static void a_function_by_mac(void **state)
{
    const struct pod_machine_network network = {.vfio = "0000:01:10.0",
                                                .mac = {0x0a, 0x58, 10, 9, 0, 2},
                                                .mtu = 9000,
                                                .addresses = {"fd12::2/64"},
                                                .address_count = 1};

    expect(&network, "{\"mac\": \"0a:58:0a:09:00:02\", \"mtu\": 9000, \"addresses\": "
                     "[\"fd12::2/64\"], \"routes\": []}");
}

static void none(void **state)
{
    const struct pod_machine_network network = {.tap = ""};

    assert_false(machine_has_network(&network));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_tap_by_name),
                                       cmocka_unit_test(a_function_by_mac), cmocka_unit_test(none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
