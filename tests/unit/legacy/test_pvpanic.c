// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/harness/legacy_fixture.h"

static struct test {
    struct legacy_fixture fixture;
    struct device *pvpanic;
} t;

static int setup(void **state)
{
    legacy_fixture_init(&t.fixture);
    assert_int_equal(pvpanic_create(&t.fixture.env, &t.fixture.sink, &t.pvpanic), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(t.pvpanic);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static void test_supported_events(void **state)
{
    assert_int_equal(port_in8(&t.fixture, PVPANIC_PORT), 0x03);
    assert_int_equal(t.fixture.requests, 0);
}

static void test_panic(void **state)
{
    port_out8(&t.fixture, PVPANIC_PORT, 0x01);
    assert_int_equal(t.fixture.requests, 1);
    assert_int_equal(t.fixture.request, GUEST_REQUEST_PANIC);
}

static void test_crash_kernel_is_only_noted(void **state)
{
    for (int i = 0; i < 1000; i++)
        port_out8(&t.fixture, PVPANIC_PORT, 0x02);
    assert_int_equal(t.fixture.requests, 0);
    assert_in_range(t.fixture.log_lines, 1, 20);
}

static void test_unknown_events_are_ignored(void **state)
{
    port_out8(&t.fixture, PVPANIC_PORT, 0xfc);
    assert_int_equal(t.fixture.requests, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_supported_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_panic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_kernel_is_only_noted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_events_are_ignored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
