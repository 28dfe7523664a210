// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/pod/log_line.h"

static int parse(const char *text, struct log_line *out)
{
    return log_line_parse(text, strlen(text), out);
}

static void test_lines(void **state)
{
    struct log_line line;

    assert_int_equal(parse("2026-11-29T02:00:00.000000001Z stdout F hello world", &line), 0);
    assert_memory_equal(line.time, "2026-11-29T02:00:00.000000001Z", LOG_TIME_LENGTH);
    assert_false(line.is_error || line.partial);
    assert_int_equal(line.len, 11);
    assert_memory_equal(line.text, "hello world", 11);
    assert_int_equal(parse("2026-11-29T02:00:00.000000001Z stderr P x", &line), 0);
    assert_true(line.is_error && line.partial);
    assert_int_equal(parse("2026-11-29T02:00:00.000000001Z stdout F ", &line), 0);
    assert_int_equal(line.len, 0);
}

static void test_what_is_no_line(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "2026-11-29T02:00:00.000000001Z",
        "2026-11-29T02:00:00.000000001Z stdout F",
        "2026-11-29T02:00:00.000000001Z stdout X y",
        "2026-11-29T02:00:00.000000001Z stdbug F y",
        "2026-11-29T02:00:00.000000001Z stdout FX",
        "2026-11-29T02:00:00.00000001Z  stdout F y",
        "2026-11-29 02:00:00.000000001Z stdout F y",
    };
    struct log_line line;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_true(parse(bad[i], &line) < 0);
}

static void test_times(void **state)
{
    static const struct {
        const char *text, *time;
    } good[] = {
        {"2026-11-29", "2026-11-29T00:00:00.000000000Z"},
        {"2026-11-29T12:34", "2026-11-29T12:34:00.000000000Z"},
        {"2026-11-29T12:34:56Z", "2026-11-29T12:34:56.000000000Z"},
        {"2026-11-29T12:34:56.7", "2026-11-29T12:34:56.700000000Z"},
        {"2026-11-29T12:34:56.123456789Z", "2026-11-29T12:34:56.123456789Z"},
        {"0", "1970-01-01T00:00:00.000000000Z"},
        {"1000000000", "2001-09-09T01:46:40.000000000Z"},
        {"40s", "2001-09-09T01:46:00.000000000Z"},
        {"1h46m40s", "2001-09-09T00:00:00.000000000Z"},
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "-1",
                                      "2026-11",
                                      "2026-11-29T",
                                      "2026-11-29T12",
                                      "10x",
                                      "2026-11-29T12:34:56+01:00",
                                      "2026-11-29T12:34:56.1234567890Z"};
    char out[LOG_TIME_LENGTH + 1];

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(log_time_parse(good[i].text, 1000000000, out), 0);
        assert_string_equal(out, good[i].time);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_true(log_time_parse(bad[i], 1000000000, out) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_is_no_line),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
