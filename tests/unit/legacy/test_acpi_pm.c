// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/harness/legacy_fixture.h"

static struct test {
    struct legacy_fixture fixture;
    struct device *pm;
    int asserted; /* of GSI 9 */
} t;

static void set_level(void *arg, uint32_t gsi, bool asserted)
{
    assert_int_equal(gsi, 9);
    t.asserted += asserted ? 1 : -1;
}

static const struct level_controller levels = {.set = set_level};

static int setup(void **state)
{
    const struct level_line irq = {.levels = &levels, .gsi = 9};

    legacy_fixture_init(&t.fixture);
    assert_int_equal(acpi_pm_create(&t.fixture.env, &irq, &t.fixture.sink, &t.pm), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(t.pm);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static void test_only_s5_with_enable_powers_off(void **state)
{
    for (unsigned value = 0; value < 256; value++) {
        bool expected = (value & 0x20) && (value >> 2 & 7) == 5;

        t.fixture.requests = 0;
        port_out8(&t.fixture, ACPI_SLEEP_CONTROL, (uint8_t)value);
        assert_int_equal(t.fixture.requests, expected);
        if (expected)
            assert_int_equal(t.fixture.request, GUEST_REQUEST_POWER_OFF);
    }
    assert_int_equal(port_in8(&t.fixture, ACPI_SLEEP_CONTROL), 0);
}

static void test_reset_register(void **state)
{
    port_out8(&t.fixture, ACPI_RESET, 0x41);
    assert_int_equal(t.fixture.requests, 0);
    port_out8(&t.fixture, ACPI_RESET, ACPI_RESET_VALUE);
    assert_int_equal(t.fixture.requests, 1);
    assert_int_equal(t.fixture.request, GUEST_REQUEST_RESET);
}

static void test_wake_status_is_clear(void **state)
{
    assert_int_equal(port_in8(&t.fixture, ACPI_SLEEP_STATUS), 0);
    port_out8(&t.fixture, ACPI_SLEEP_STATUS, 0x80);
    assert_int_equal(port_in8(&t.fixture, ACPI_SLEEP_STATUS), 0);
    assert_int_equal(t.fixture.requests, 0);
}

/* Asserted from the first event on until all have been read. */
static void test_events(void **state)
{
    acpi_pm_raise(t.pm, ACPI_EVENT_POWER);
    acpi_pm_raise(t.pm, ACPI_EVENT_POWER);
    acpi_pm_raise(t.pm, ACPI_EVENT_PCI);
    assert_int_equal(t.asserted, 1);
    port_out8(&t.fixture, ACPI_EVENT, 0xff);
    assert_int_equal(t.asserted, 1);
    assert_int_equal(port_in8(&t.fixture, ACPI_EVENT), ACPI_EVENT_POWER | ACPI_EVENT_PCI);
    assert_int_equal(t.asserted, 0);
    assert_int_equal(port_in8(&t.fixture, ACPI_EVENT), 0);
    assert_int_equal(t.asserted, 0);
}

static void test_wide_accesses_do_nothing(void **state)
{
    acpi_pm_raise(t.pm, ACPI_EVENT_POWER);
    port_out(&t.fixture, ACPI_SLEEP_CONTROL, 0x4234, 2);
    port_out(&t.fixture, ACPI_RESET, ACPI_RESET_VALUE, 2);
    assert_int_equal(port_in(&t.fixture, ACPI_PM_PORT, 4), 0xffffffff);
    assert_int_equal(t.fixture.requests, 0);
    assert_int_equal(port_in8(&t.fixture, ACPI_EVENT), ACPI_EVENT_POWER);
}

static void test_describes_itself(void **state)
{
    struct device_description description;

    t.pm->ops->describe(t.pm, &description);
    assert_int_equal(description.kind, DEVICE_ACPI_PM);
    assert_int_equal(description.gsi, 9);
    assert_true(description.has_gsi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_s5_with_enable_powers_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_register, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wake_status_is_clear, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wide_accesses_do_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_describes_itself, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
