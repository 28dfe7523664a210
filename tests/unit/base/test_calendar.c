// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "base/calendar.h"

static void assert_as_libc(int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct calendar ours;
    struct tm theirs;

    calendar_utc(seconds, &ours);
    assert_non_null(gmtime_r(&when, &theirs));
    assert_int_equal(ours.year, theirs.tm_year + 1900);
    assert_int_equal(ours.month, theirs.tm_mon + 1);
    assert_int_equal(ours.day, theirs.tm_mday);
    assert_int_equal(ours.weekday, theirs.tm_wday);
    assert_int_equal(ours.hour, theirs.tm_hour);
    assert_int_equal(ours.minute, theirs.tm_min);
    assert_int_equal(ours.second, theirs.tm_sec);
}

/* The C library's opinion of every day of 800 years, at a second that wanders through the day. */
static void test_every_day(void **state)
{
    for (int64_t day = 0; day < INT64_C(2) * 146097; day++)
        assert_as_libc(day * 86400 + day % 86400);
}

static void test_borders_of_days(void **state)
{
    assert_as_libc(0);
    assert_as_libc(86399);
    assert_as_libc(951782399);           /* 2000-02-28T23:59:59 */
    assert_as_libc(951868800);           /* 2000-03-01 */
    assert_as_libc(INT32_MAX);           /* 2038 */
    assert_as_libc(INT64_C(4107542399)); /* 2100-02-28T23:59:59: no leap year */
    assert_as_libc(INT64_C(4107542400));
}

static void test_before_1970(void **state)
{
    struct calendar utc;

    calendar_utc(INT64_MIN, &utc);
    assert_int_equal(utc.year, 1970);
    assert_int_equal(utc.month, 1);
    assert_int_equal(utc.day, 1);
    assert_int_equal(utc.weekday, 4);
    assert_int_equal(utc.hour + utc.minute + utc.second, 0);
}

/* No arithmetic overflows: the calendar repeats every 400 years, to the end of what fits. */
static void test_end_of_time(void **state)
{
    struct calendar utc, earlier;

    calendar_utc(INT64_MAX, &utc);
    calendar_utc(INT64_MAX - INT64_C(146097) * 86400, &earlier);
    assert_int_equal(utc.year, UINT64_C(292277026596));
    assert_int_equal(earlier.year, utc.year - 400);
    assert_int_equal(earlier.month, utc.month);
    assert_int_equal(earlier.day, utc.day);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_borders_of_days),
        cmocka_unit_test(test_before_1970),
        cmocka_unit_test(test_end_of_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
