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
} t;

static int setup(void **state)
{
    legacy_fixture_init(&t.fixture);
    assert_int_equal(acpi_pm_create(&t.fixture.env, &t.fixture.irq, &t.fixture.sink, &t.pm), 0);
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

static void test_power_button_is_one_event(void **state)
{
    assert_int_equal(port_in8(&t.fixture, ACPI_EVENT), 0);
    acpi_pm_power_button(t.pm);
    acpi_pm_power_button(t.pm);
    assert_int_equal(irq_edges(&t.fixture), 2);
    port_out8(&t.fixture, ACPI_EVENT, 0xff);
    assert_int_equal(port_in8(&t.fixture, ACPI_EVENT), ACPI_EVENT_POWER);
    assert_int_equal(port_in8(&t.fixture, ACPI_EVENT), 0);
}

static void test_wide_accesses_do_nothing(void **state)
{
    acpi_pm_power_button(t.pm);
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
    assert_int_equal(description.gsi, t.fixture.irq.gsi);
    assert_true(description.has_gsi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_s5_with_enable_powers_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_register, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wake_status_is_clear, setup, teardown),
        cmocka_unit_test_setup_teardown(test_power_button_is_one_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wide_accesses_do_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_describes_itself, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
