// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "pod/log/line.h"

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
        int64_t ns;
        const char *time;
    } cases[] = {
        {-1, "1970-01-01T00:00:00.000000000Z"},
        {0, "1970-01-01T00:00:00.000000000Z"},
        {INT64_C(1000000000) * 1000000000 + 7, "2001-09-09T01:46:40.000000007Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
    };
    char out[LOG_TIME_LENGTH + 1];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(log_time_format(cases[i].ns, out), 0);
        assert_string_equal(out, cases[i].time);
    }
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
