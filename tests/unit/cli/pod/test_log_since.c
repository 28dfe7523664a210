// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/checked.h"
#include "cli/pod/log_since.h"
#include "pod/log/line.h"

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
        {"2999-01-01", "2262-04-11T23:47:16.854775807Z"},
        {"0", "1970-01-01T00:00:00.000000000Z"},
        {"1000000000", "2001-09-09T01:46:40.000000000Z"},
        {"40s", "2001-09-09T01:46:00.000000000Z"},
        {"1h46m40s", "2001-09-09T00:00:00.000000000Z"},
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "-1",
                                      "2026-11",
                                      "2026-13-29",
                                      "1969-12-31",
                                      "2026-11-29T",
                                      "2026-11-29T12",
                                      "10x",
                                      "2026-11-29T12:34:56+01:00",
                                      "2026-11-29T12:34:56.1234567890Z"};
    char out[LOG_TIME_LENGTH + 1];
    int64_t ns;

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(log_since_parse(good[i].text, 1000000000, &ns), 0);
        assert_int_equal(log_time_format(ns, out), 0);
        assert_string_equal(out, good[i].time);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(log_since_parse(bad[i], 1000000000, &ns), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
