// SPDX-License-Identifier: Apache-2.0
/* Interfaces of a network namespace that the test makes itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pod/network/link.h"
#include "pod/network/tap.h"

static const uint8_t mac[6] = {0x0a, 0x58, 0, 0, 0, 1};

static struct address of(const char *text)
{
    struct address address;

    assert_int_equal(address_parse_prefix(text, &address), 0);
    return address;
}

static int own_namespace(void **state)
{
    return unshare(CLONE_NEWNET) < 0 ? -1 : 0;
}

struct seen {
    unsigned count, by_kernel;
    struct address last;
};

static int count_route(void *opaque, const struct link_route *route)
{
    struct seen *seen = opaque;

    if (route->to.family == AF_INET)
        seen->by_kernel += route->by_kernel;
    seen->count++;
    return 0;
}

static int count_address(void *opaque, const struct address *address)
{
    struct seen *seen = opaque;

    seen->count++;
    seen->last = *address;
    return 0;
}

static int stop_at_once(void *opaque, const struct address *address)
{
    return -ECANCELED;
}

static void makes_a_bridge_and_its_port(void **state)
{
    const struct address address = of("10.9.0.1/24");
    struct link_info bridge, tap;
    struct husk_error err;
    struct rtnl rtnl;
    struct seen seen = {.count = 0};

    assert_int_equal(rtnl_open(&rtnl), 0);
    assert_int_equal(link_read(&rtnl, "br7", &bridge), -ENODEV);
    assert_int_equal(link_make_bridge(&rtnl, "br7", mac, 1400), 0);
    assert_int_equal(link_make_bridge(&rtnl, "br7", mac, 1400), -EEXIST);
    assert_int_equal(link_read(&rtnl, "br7", &bridge), 0);
    assert_true(bridge.is_bridge);
    assert_false(bridge.up);
    assert_int_equal(bridge.mtu, 1400);
    assert_memory_equal(bridge.mac, mac, sizeof(mac));
    assert_int_equal(link_set_up(&rtnl, bridge.index), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(link_add_address(&rtnl, bridge.index, &address), 0);
    assert_int_equal(link_addresses(&rtnl, bridge.index, count_address, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_true(address_equal(&seen.last, &address));
    assert_int_equal(seen.last.bits, 24);
    assert_int_equal(link_addresses(&rtnl, bridge.index, stop_at_once, NULL), -ECANCELED);
    seen.count = 0;
    assert_int_equal(link_routes(&rtnl, bridge.index, count_route, &seen), 0);
    assert_int_equal(seen.by_kernel, 1);
    assert_int_equal(link_routes(&rtnl, bridge.index + 100, count_route, &seen), 0);
    assert_int_equal(seen.by_kernel, 1);

    assert_int_equal(tap_make("tap7", &err), 0);
    assert_int_equal(tap_make("tap7", &err), -EEXIST);
    assert_string_equal(err.where, "tap7");
    assert_int_equal(link_read(&rtnl, "tap7", &tap), 0);
    assert_int_equal(link_set_no_addresses(&rtnl, tap.index), 0);
    assert_int_equal(link_set_mtu(&rtnl, tap.index, 1300), 0);
    assert_int_equal(link_set_mac(&rtnl, tap.index, mac), 0);
    assert_int_equal(link_set_master(&rtnl, tap.index, bridge.index), 0);
    assert_int_equal(link_shape(&rtnl, tap.index, 125000), 0);
    assert_int_equal(link_shape(&rtnl, tap.index, UINT64_C(12500000000)), 0);
    assert_int_equal(link_set_up(&rtnl, tap.index), 0);
    assert_int_equal(link_read(&rtnl, "tap7", &tap), 0);
    assert_int_equal(tap.master, bridge.index);
    assert_int_equal(tap.mtu, 1300);
    assert_true(tap.up);
    assert_false(tap.is_bridge);
    assert_int_equal(link_delete(&rtnl, "tap7"), 0);
    assert_int_equal(link_delete(&rtnl, "tap7"), 0);
    assert_int_equal(link_set_up(&rtnl, tap.index), -ENODEV);
    rtnl_close(&rtnl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_bridge_and_its_port),
    };

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) {
        print_message("skipped: pod-network-link: not root, or no /dev/net/tun\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, own_namespace, NULL);
}
