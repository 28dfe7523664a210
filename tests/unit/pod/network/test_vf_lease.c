// SPDX-License-Identifier: Apache-2.0
/* Addresses for pods: each one's own, until none is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pod/network/vf_lease.h"

static char top[64];

static int set_up(void **state)
{
    static struct network_state network;

    strcpy(top, "/tmp/husk-leases-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    network.addresses = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &network;
    return network.addresses < 0;
}

static int tear_down(void **state)
{
    struct network_state *network = *state;
    char command[128];

    close(network->addresses);
    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

static struct vf_config config_of(const char *prefix, uint64_t first, uint64_t last,
                                  const char *gateway)
{
    struct vf_config config = {.ranges = {{.first = first, .last = last}}, .range_count = 1};

    assert_int_equal(address_parse_prefix(prefix, &config.ranges[0].prefix), 0);
    if (gateway)
        assert_int_equal(address_parse(gateway, &config.ranges[0].gateway), 0);
    return config;
}

static const char *id_of(unsigned number)
{
    static char id[STATE_ID_BYTES];

    snprintf(id, sizeof(id), "%08x%056x", number * 2654435761u, number);
    return id;
}

/* Three of four, for one is the gateway's. */
static void each_has_its_own(void **state)
{
    const struct vf_config config = config_of("10.9.0.0/24", 10, 13, "10.9.0.12");
    char text[3][ADDRESS_TEXT];
    struct address address;
    struct husk_error err;

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vf_lease_take(*state, id_of(i), &config, &address, &err), 0);
        assert_int_equal(address.bits, 24);
        address_text(&address, text[i]);
        assert_true(!strncmp(text[i], "10.9.0.1", 8) && strcmp(text[i], "10.9.0.12") != 0);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(text[i], text[j]);
    }
    assert_int_equal(vf_lease_take(*state, id_of(3), &config, &address, &err), -EADDRNOTAVAIL);
    assert_string_equal(err.where, "10.9.0.0/24");
    assert_int_equal(network_unclaim(((struct network_state *)*state)->addresses, id_of(1)), 0);
    assert_int_equal(vf_lease_take(*state, id_of(3), &config, &address, &err), 0);
    address_text(&address, text[0]);
    assert_string_equal(text[0], text[1]);
}

static void of_both_families(void **state)
{
    struct vf_config config = config_of("10.9.0.0/24", 7, 7, NULL);
    const struct vf_config other = config_of("fd12::/64", 65535, 65535, NULL);
    struct address addresses[2];
    struct husk_error err;
    char text[ADDRESS_TEXT];

    config.ranges[config.range_count++] = other.ranges[0];
    assert_int_equal(vf_lease_take(*state, id_of(0), &config, addresses, &err), 0);
    address_prefix_text(&addresses[0], text);
    assert_string_equal(text, "10.9.0.7/24");
    address_prefix_text(&addresses[1], text);
    assert_string_equal(text, "fd12::ffff/64");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(each_has_its_own), CASE(of_both_families)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
