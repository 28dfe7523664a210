// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "cli/pods/age.h"

static void test_times(void **state)
{
    static const char *const wrong[] = {"",
                                        "2026-11-29",
                                        "2026-11-29T02:00:00",
                                        "2026-13-29T02:00:00Z",
                                        "2026-11-29T02:00:00Z ",
                                        "2026-11-29T02:00:00.1+01:00"};

    assert_int_equal(rfc3339_seconds("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(rfc3339_seconds("2026-11-29T02:00:01Z"), 1795917601);
    assert_int_equal(rfc3339_seconds("2026-11-29T02:00:01.123456789Z"), 1795917601);
    assert_true(rfc3339_seconds(NULL) < 0);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_true(rfc3339_seconds(wrong[i]) < 0);
}

static void test_words(void **state)
{
    static const struct {
        int64_t seconds;
        const char *words;
    } cases[] = {
        {-5, "0s"},
        {0, "0s"},
        {119, "119s"},
        {120, "2m"},
        {310, "5m10s"},
        {600, "10m"},
        {3 * 3600 - 1, "179m"},
        {3 * 3600, "3h"},
        {5 * 3600 + 20 * 60, "5h20m"},
        {8 * 3600 + 1800, "8h"},
        {47 * 3600, "47h"},
        {2 * 86400 + 3 * 3600, "2d3h"},
        {8 * 86400 + 3600, "8d"},
        {700 * 86400, "700d"},
        {(3 * 365 + 5) * 86400, "3y5d"},
        {INT64_C(9) * 365 * 86400, "9y"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[AGE_BYTES];

        assert_string_equal(age_words(cases[i].seconds, out), cases[i].words);
    }
}

static void test_since(void **state)
{
    char out[AGE_BYTES];

    assert_string_equal(age_since("2026-11-29T02:00:01Z", 1795917611, out), "10s");
    assert_string_equal(age_since("yesterday", 1795917611, out), "<unknown>");
    assert_string_equal(age_since(NULL, 1795917611, out), "<unknown>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_since),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
