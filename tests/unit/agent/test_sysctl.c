// SPDX-License-Identifier: Apache-2.0
/* Which kernel parameters belong to which namespace, by either way of writing their names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/agent/sysctl.h"

static void test_namespaces(void **state)
{
    assert_true(sysctl_in_network("net.ipv4.ip_forward"));
    assert_true(sysctl_in_network("net/ipv4/conf/eth0.100/forwarding"));
    assert_false(sysctl_in_network("network.x"));
    assert_false(sysctl_in_network("net"));
    assert_true(sysctl_in_ipc("kernel.sem"));
    assert_true(sysctl_in_ipc("fs/mqueue/msg_max"));
    assert_false(sysctl_in_ipc("kernel.semaphore"));
    assert_false(sysctl_in_ipc("kernel.panic"));
    assert_true(sysctl_in_uts("kernel.domainname"));
    assert_false(sysctl_in_uts("kernel.hostname.x"));
}

static void test_names(void **state)
{
    assert_true(sysctl_is_plain("net.ipv4.conf.eth0/100.forwarding"));
    assert_false(sysctl_is_plain(""));
    assert_false(sysctl_is_plain("net/../kernel/panic"));
    assert_false(sysctl_is_plain("net..ipv4"));
    assert_false(sysctl_is_plain("/net/ipv4"));
    assert_false(sysctl_is_plain(".net"));
    /* With dots as separators, slashes stand for dots: no way up by that either. */
    assert_false(sysctl_is_plain("net.//.kernel.panic"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_namespaces),
                                       cmocka_unit_test(test_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
