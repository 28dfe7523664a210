// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "tests/harness/legacy_fixture.h"

static struct test {
    struct legacy_fixture fixture;
    struct device *rtc;
} t;

static int setup(void **state)
{
    legacy_fixture_init(&t.fixture);
    assert_int_equal(rtc_cmos_create(&t.fixture.env, &t.rtc), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(t.rtc);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static uint8_t cmos_read(uint8_t index)
{
    port_out8(&t.fixture, RTC_PORT, index);
    return port_in8(&t.fixture, RTC_PORT + 1);
}

static void cmos_write(uint8_t index, uint8_t value)
{
    port_out8(&t.fixture, RTC_PORT, index);
    port_out8(&t.fixture, RTC_PORT + 1, value);
}

static int from_bcd(uint8_t value)
{
    assert_true((value & 0xf) < 10 && value >> 4 < 10);
    return (value >> 4) * 10 + (value & 0xf);
}

static int plain(uint8_t value)
{
    return value;
}

/* All registers, by the driver's usual order, as a time. */
static time_t read_time(int (*decode)(uint8_t))
{
    struct tm utc = {0};

    utc.tm_sec = decode(cmos_read(0x00));
    utc.tm_min = decode(cmos_read(0x02));
    utc.tm_hour = decode(cmos_read(0x04));
    utc.tm_mday = decode(cmos_read(0x07));
    utc.tm_mon = decode(cmos_read(0x08)) - 1;
    utc.tm_year = decode(cmos_read(0x32)) * 100 + decode(cmos_read(0x09)) - 1900;
    return timegm(&utc);
}

static void test_time_is_the_hosts(void **state)
{
    time_t before = time(NULL);

    assert_in_range(read_time(from_bcd), before, before + 60);
    cmos_write(0x0b, 0x06);
    assert_int_equal(cmos_read(0x0b), 0x06);
    assert_in_range(read_time(plain), before, before + 60);
    assert_in_range(cmos_read(0x06), 1, 7);
}

static void test_twelve_hours(void **state)
{
    uint8_t full, half;

    /* Twice, in case the hour ends between the two reads. */
    for (int i = 0; i < 2; i++) {
        cmos_write(0x0b, 0x06);
        cmos_read(0x0a);
        full = cmos_read(0x04);
        cmos_write(0x0b, 0x04);
        half = cmos_read(0x04);
        if ((half & 0x7f) == (full % 12 ? full % 12 : 12) && half >> 7 == full / 12)
            return;
    }
    fail();
}

static void test_never_makes_wait(void **state)
{
    for (int i = 0; i < 100; i++)
        assert_int_equal(cmos_read(0x0a) & 0x80, 0);
    cmos_write(0x0a, 0xff);
    assert_int_equal(cmos_read(0x0a), 0x7f);
    assert_int_equal(cmos_read(0x0c), 0);
    assert_int_equal(cmos_read(0x0d), 0x80); /* power is fine, and nothing else (Linux checks) */
    cmos_write(0x0b, 0x72);                  /* no interrupt can be enabled */
    assert_int_equal(cmos_read(0x0b), 0x02);
}

static void test_time_cannot_be_set(void **state)
{
    time_t before = time(NULL);

    cmos_write(0x09, 0x70);
    cmos_write(0x07, 0x01);
    assert_in_range(read_time(from_bcd), before, before + 60);
}

static void test_memory(void **state)
{
    for (uint8_t i = 0x0e; i < 0x80; i++) {
        if (i == 0x32)
            continue;
        assert_int_equal(cmos_read(i), 0);
        cmos_write(i, 0xa5);
        assert_int_equal(cmos_read(i), i == 0x0f ? 0xa5 : 0);
    }
    /* Bit 7 of the index is the NMI mask; the index itself cannot be read. */
    assert_int_equal(cmos_read(0x8f), 0xa5);
    assert_int_equal(port_in8(&t.fixture, RTC_PORT), 0xff);
    assert_int_equal(port_in(&t.fixture, RTC_PORT, 2), 0xffff);
}

static void test_has_no_interrupt(void **state)
{
    struct device_description description;

    t.rtc->ops->describe(t.rtc, &description);
    assert_int_equal(description.kind, DEVICE_RTC_CMOS);
    assert_false(description.has_gsi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_time_is_the_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twelve_hours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_makes_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_cannot_be_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_has_no_interrupt, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
