// SPDX-License-Identifier: Apache-2.0
/* The hot-plug registers: devices/pci/hotplug.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "devices/pci/hotplug.h"
#include "tests/harness/legacy_fixture.h"

static struct test {
    struct legacy_fixture fixture;
    struct pci_hotplug *hotplug;
    unsigned notified, ejects;
    uint32_t ejected;
} t;

static void notify(void *arg)
{
    t.notified++;
}

static void eject(void *arg, unsigned number)
{
    assert_true(number < 32);
    t.ejects++;
    t.ejected |= 1u << number;
    pci_hotplug_gone(t.hotplug, number);
}

static int setup(void **state)
{
    const struct pci_hotplug_sink sink = {.notify = notify, .eject = eject};

    t = (struct test){0};
    legacy_fixture_init(&t.fixture);
    assert_int_equal(pci_hotplug_create(&t.fixture.env, &sink, &t.hotplug), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(pci_hotplug_device(t.hotplug));
    assert_int_equal(port_in(&t.fixture, PCI_HOTPLUG_PORT, 4), 0xffffffff);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static uint32_t get(unsigned offset)
{
    return port_in(&t.fixture, (uint16_t)(PCI_HOTPLUG_PORT + offset), 4);
}

static void test_read_once(void **state)
{
    pci_hotplug_added(t.hotplug, 1);
    pci_hotplug_added(t.hotplug, 31);
    pci_hotplug_want(t.hotplug, 7);
    assert_int_equal(t.notified, 3);
    assert_int_equal(get(PCI_HOTPLUG_ADDED), 0x80000002);
    assert_int_equal(get(PCI_HOTPLUG_ADDED), 0);
    assert_int_equal(get(PCI_HOTPLUG_WANTED), 0x80);
    assert_int_equal(get(PCI_HOTPLUG_WANTED), 0);
    assert_int_equal(get(PCI_HOTPLUG_EJECT), 0);
}

static void test_eject(void **state)
{
    pci_hotplug_added(t.hotplug, 3);
    pci_hotplug_want(t.hotplug, 3);
    pci_hotplug_want(t.hotplug, 4);
    port_out(&t.fixture, PCI_HOTPLUG_PORT + PCI_HOTPLUG_EJECT, 1u << 3, 4);
    assert_int_equal(t.ejected, 1u << 3);
    assert_int_equal(get(PCI_HOTPLUG_ADDED), 0);
    assert_int_equal(get(PCI_HOTPLUG_WANTED), 1u << 4);
    port_out(&t.fixture, PCI_HOTPLUG_PORT + PCI_HOTPLUG_EJECT, 0xffffffff, 4);
    assert_int_equal(t.ejects, 33);
}

static void test_other_accesses(void **state)
{
    static const unsigned sizes[] = {1, 2, 4};

    pci_hotplug_added(t.hotplug, 1);
    for (uint16_t offset = 0; offset < PCI_HOTPLUG_PORTS; offset++) {
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            if (sizes[i] == 4 && offset % 4 == 0)
                continue;
            assert_int_equal(port_in(&t.fixture, (uint16_t)(PCI_HOTPLUG_PORT + offset), sizes[i]),
                             0xffffffff >> (32 - 8 * sizes[i]));
            port_out(&t.fixture, (uint16_t)(PCI_HOTPLUG_PORT + offset), 0xffffffff, sizes[i]);
        }
    }
    port_out(&t.fixture, PCI_HOTPLUG_PORT + PCI_HOTPLUG_ADDED, 0xffffffff, 4);
    port_out(&t.fixture, PCI_HOTPLUG_PORT + PCI_HOTPLUG_WANTED, 0xffffffff, 4);
    assert_int_equal(t.ejects, 0);
    assert_int_equal(get(PCI_HOTPLUG_ADDED), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_read_once),
        TEST(test_eject),
        TEST(test_other_accesses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
