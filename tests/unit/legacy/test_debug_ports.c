// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/harness/legacy_fixture.h"

static struct test {
    struct legacy_fixture fixture;
    struct device *debug;
} t;

static int setup(void **state)
{
    legacy_fixture_init(&t.fixture);
    assert_int_equal(debug_ports_create(&t.fixture.env, &t.fixture.sink, &t.debug), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(t.debug);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static void assert_request(enum guest_request request, uint8_t value)
{
    assert_int_equal(t.fixture.requests, 1);
    assert_int_equal(t.fixture.request, request);
    assert_int_equal(t.fixture.value, value);
    t.fixture.requests = 0;
}

static void test_exit(void **state)
{
    port_out8(&t.fixture, DEBUG_EXIT_PORT, 7);
    assert_request(GUEST_REQUEST_EXIT, 7);
    port_out(&t.fixture, DEBUG_EXIT_PORT, 0x1234, 2);
    assert_request(GUEST_REQUEST_EXIT, 0x34);
    port_out(&t.fixture, DEBUG_EXIT_PORT, 0x12345600, 4);
    assert_request(GUEST_REQUEST_EXIT, 0);
}

static void test_mark(void **state)
{
    port_out8(&t.fixture, MARK_PORT, 1);
    assert_request(GUEST_REQUEST_MARK, 1);
}

static void test_the_rest_does_nothing(void **state)
{
    port_out8(&t.fixture, MARK_PORT + 1, 1);
    port_out8(&t.fixture, DEBUG_EXIT_PORT - 1, 1);
    assert_int_equal(t.fixture.requests, 0);
    assert_int_equal(port_in8(&t.fixture, DEBUG_EXIT_PORT), 0xff);
    assert_int_equal(port_in8(&t.fixture, MARK_PORT), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_rest_does_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
