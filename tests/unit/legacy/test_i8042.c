// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/harness/legacy_fixture.h"

#define OUTPUT_FULL 0x01

static struct test {
    struct legacy_fixture fixture;
    struct device *i8042;
} t;

static int setup(void **state)
{
    legacy_fixture_init(&t.fixture);
    assert_int_equal(i8042_create(&t.fixture.env, &t.fixture.irq, &t.fixture.sink, &t.i8042), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(t.i8042);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static uint8_t status(void)
{
    return port_in8(&t.fixture, I8042_COMMAND_PORT);
}

static void command(uint8_t value)
{
    port_out8(&t.fixture, I8042_COMMAND_PORT, value);
}

static void data(uint8_t value)
{
    port_out8(&t.fixture, I8042_DATA_PORT, value);
}

static void assert_answers(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(status() & OUTPUT_FULL);
        assert_int_equal(port_in8(&t.fixture, I8042_DATA_PORT), bytes[i]);
    }
    assert_false(status() & OUTPUT_FULL);
}

#define ASSERT_ANSWERS(...) \
    assert_answers((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void write_ctr(uint8_t value)
{
    command(0x60);
    data(value);
}

static void test_controller_commands(void **state)
{
    assert_false(status() & OUTPUT_FULL);
    command(0xaa);
    ASSERT_ANSWERS(0x55);
    command(0xab);
    ASSERT_ANSWERS(0x00);
    write_ctr(0x74);
    command(0x20);
    ASSERT_ANSWERS(0x74);
    command(0xa4);
    ASSERT_ANSWERS(0xf1);
    command(0xd0);
    ASSERT_ANSWERS(0x03);
    command(0xc0);
    ASSERT_ANSWERS(0x80);
    command(0x77); /* unknown: nothing happens */
    assert_false(status() & OUTPUT_FULL);
    assert_int_equal(t.fixture.requests, 0);
}

static void test_status_tells_what_was_written(void **state)
{
    command(0x20);
    assert_int_equal(status(), 0x1d);
    data(0xf4);
    assert_int_equal(status() & 0x08, 0);
}

static void test_no_mouse_is_said_at_once(void **state)
{
    command(0xd3); /* loop: comes back, but not as the mouse's */
    data(0x5a);
    assert_int_equal(status() & 0x21, 0x01);
    ASSERT_ANSWERS(0x5a);
    command(0xa9);
    ASSERT_ANSWERS(0x01);
    command(0xd4);
    data(0xff);
    assert_int_equal(status() & 0x61, 0x61);
    ASSERT_ANSWERS(0xfe);
}

static void test_keyboard_probe(void **state)
{
    write_ctr(0x45); /* translated, with interrupts */
    irq_edges(&t.fixture);
    data(0xf2);
    assert_int_equal(irq_edges(&t.fixture), 1);
    assert_int_equal(port_in8(&t.fixture, I8042_DATA_PORT), 0xfa);
    assert_int_equal(irq_edges(&t.fixture), 1);
    ASSERT_ANSWERS(0xab, 0x41);
    data(0xed);
    ASSERT_ANSWERS(0xfa);
    data(0x02);
    ASSERT_ANSWERS(0xfa);
    data(0xf3);
    data(0x00);
    ASSERT_ANSWERS(0xfa, 0xfa);
    data(0xf4);
    ASSERT_ANSWERS(0xfa);
    data(0xff);
    ASSERT_ANSWERS(0xfa, 0xaa);
    data(0xee);
    ASSERT_ANSWERS(0xee);
    data(0xfe);
    ASSERT_ANSWERS(0xee);
    data(0x01);
    ASSERT_ANSWERS(0xfe);
    write_ctr(0x05);
    data(0xf2);
    ASSERT_ANSWERS(0xfa, 0xab, 0x83);
}

static void test_scan_code_set(void **state)
{
    write_ctr(0x05);
    data(0xf0);
    data(0x00);
    ASSERT_ANSWERS(0xfa, 0xfa, 0x02);
    data(0xf0);
    data(0x02);
    ASSERT_ANSWERS(0xfa, 0xfa);
    data(0xf0);
    data(0x03);
    ASSERT_ANSWERS(0xfa, 0xfe);
}

static void test_disabled_keyboard_keeps_its_bytes(void **state)
{
    data(0xff);
    command(0xad);
    assert_false(status() & OUTPUT_FULL);
    command(0x20); /* the controller still answers */
    ASSERT_ANSWERS(0x75);
    command(0xae);
    ASSERT_ANSWERS(0xfa, 0xaa);
}

static void test_reset_requests(void **state)
{
    command(0xfe);
    assert_int_equal(t.fixture.requests, 1);
    assert_int_equal(t.fixture.request, GUEST_REQUEST_RESET);
    command(0xff); /* pulses nothing */
    assert_int_equal(t.fixture.requests, 1);
    command(0xd1);
    data(0x03);
    assert_int_equal(t.fixture.requests, 1);
    command(0xd1);
    data(0x02);
    assert_int_equal(t.fixture.requests, 2);
}

static void test_ctrl_alt_del(void **state)
{
    i8042_ctrl_alt_del(t.i8042);
    assert_int_equal(irq_edges(&t.fixture), 1);
    ASSERT_ANSWERS(0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
    write_ctr(0x05);
    i8042_ctrl_alt_del(t.i8042);
    ASSERT_ANSWERS(0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14);
    data(0xf5); /* the driver does not listen */
    ASSERT_ANSWERS(0xfa);
    i8042_ctrl_alt_del(t.i8042);
    assert_false(status() & OUTPUT_FULL);
}

static void test_interrupt_only_when_enabled(void **state)
{
    write_ctr(0x44);
    i8042_ctrl_alt_del(t.i8042);
    assert_int_equal(irq_edges(&t.fixture), 0);
    write_ctr(0x45);
    assert_int_equal(irq_edges(&t.fixture), 1);
}

static void test_floods_stay_bounded(void **state)
{
    unsigned answers = 0;

    for (int i = 0; i < 1000; i++) {
        i8042_ctrl_alt_del(t.i8042);
        command(0xaa);
        data(0xff);
        data(0xf2);
    }
    while (status() & OUTPUT_FULL) {
        port_in8(&t.fixture, I8042_DATA_PORT);
        answers++;
    }
    assert_in_range(answers, 1, 32);
}

static void test_ports_between_are_free(void **state)
{
    for (uint16_t port = 0x61; port < 0x64; port++)
        assert_int_equal(port_in8(&t.fixture, port), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_controller_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_tells_what_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_mouse_is_said_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keyboard_probe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scan_code_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disabled_keyboard_keeps_its_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ctrl_alt_del, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_only_when_enabled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_floods_stay_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ports_between_are_free, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
