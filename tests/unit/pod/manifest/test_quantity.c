// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/checked.h"
#include "pod/manifest/quantity.h"

static const struct {
    const char *text, *canonical;
    int64_t bytes, milli; /* or -errno */
} good[] = {
    {"0", "0", 0, 0},
    {"0m", "0", 0, 0},
    {"1", "1", 1, 1000},
    {"+1", "1", 1, 1000},
    {"007", "7", 7, 7000},
    {"1.", "1", 1, 1000},
    {"0.5", "500m", -EINVAL, 500},
    {".5", "500m", -EINVAL, 500},
    {"500m", "500m", -EINVAL, 500},
    {"2000m", "2", 2, 2000},
    {"1500m", "1500m", -EINVAL, 1500},
    {"100u", "100u", -EINVAL, 1},
    {"1n", "1n", -EINVAL, 1},
    {"0.1n", "1n", -EINVAL, 1},
    {"1e-30", "1n", -EINVAL, 1},
    {"0e-99", "0", 0, 0},
    {"1k", "1k", 1000, 1000000},
    {"1000", "1k", 1000, 1000000},
    {"1e3", "1k", 1000, 1000000},
    {"1E3", "1k", 1000, 1000000},
    {"1e+3", "1k", 1000, 1000000},
    {"12e-1", "1200m", -EINVAL, 1200},
    {"1E", "1E", 1000000000000000000, -ERANGE},
    {"1Ki", "1Ki", 1024, 1024000},
    {"1024Mi", "1Gi", 1073741824, 1073741824000},
    {"1.5Gi", "1536Mi", 1610612736, 1610612736000},
    {"0.5Ki", "512", 512, 512000},
    {"0.5Mi", "512Ki", 524288, 524288000},
    {"0.1Ki", "102400m", -EINVAL, 102400},
    {"1Ei", "1Ei", 1ll << 60, -ERANGE},
    {"128974848", "128974848", 128974848, 128974848000},
    {"129M", "129M", 129000000, 129000000000},
    {"9223372036854775807", "9223372036854775807", INT64_MAX, -ERANGE},
};

static void test_good(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        char text[QUANTITY_BYTES], again[QUANTITY_BYTES];
        uint64_t value;
        int ret = quantity_bytes(good[i].text, &value);

        if ((ret ? ret : (int64_t)value) != good[i].bytes)
            fail_msg("%s: %d, %llu bytes", good[i].text, ret, (unsigned long long)value);
        ret = quantity_milli(good[i].text, &value);
        if ((ret ? ret : (int64_t)value) != good[i].milli)
            fail_msg("%s: %d, %llu thousandths", good[i].text, ret, (unsigned long long)value);
        assert_int_equal(quantity_canonical(good[i].text, text), 0);
        assert_string_equal(text, good[i].canonical);
        assert_int_equal(quantity_canonical(text, again), 0);
        assert_string_equal(again, text);
    }
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",     ".",
        "-1",   "-0",
        "1 ",   " 1",
        "1K",   "1kB",
        "1MiB", "1mi",
        "1ki",  "1.2.3",
        "0x10", "1e",
        "e3",   "1e3.",
        "1e3k", "one",
        "m",    "1mm",
        "1Mii", "1,5",
        "++1",  "1e+",
        "inf",  "1234567890123456789012345678901",
    };
    char text[QUANTITY_BYTES];
    uint64_t value;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int ret = quantity_milli(bad[i], &value);

        if (ret != -EINVAL)
            fail_msg("\"%s\": %d", bad[i], ret);
        assert_int_equal(quantity_bytes(bad[i], &value), -EINVAL);
        assert_int_equal(quantity_canonical(bad[i], text), -EINVAL);
    }
}

static void test_range(void **state)
{
    static const char *const far[] = {
        "9223372036854775808", "8Ei", "1e19", "1e99", "1e100", "99999999999999999999999999999E",
    };
    uint64_t value;

    for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
        assert_int_equal(quantity_bytes(far[i], &value), -ERANGE);
        assert_int_equal(quantity_milli(far[i], &value), -ERANGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
