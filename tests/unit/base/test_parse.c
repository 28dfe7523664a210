// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/parse.h"

static void test_u64(void **state)
{
    uint64_t v = 7;

    assert_int_equal(parse_u64("0", 0, 10, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(parse_u64("0x1f", 0, 100, &v), 0);
    assert_int_equal(v, 31);
    assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
    assert_true(v == UINT64_MAX);
    v = 7;
    assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
    assert_int_equal(parse_u64("11", 0, 10, &v), -ERANGE);
    assert_int_equal(parse_u64("1", 2, 10, &v), -ERANGE);
    assert_int_equal(v, 7);
}

static void test_u64_refuses(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "1k", "0x", "0xg", "1.5", "x"};
    uint64_t v;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse_u64(bad[i], 0, UINT64_MAX, &v), -EINVAL);
}

static void test_size(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"4096", 4096},
                {"1K", 1024},
                {"2k", 2048},
                {"256M", 256ull << 20},
                {"1GiB", 1ull << 30},
                {"3GB", 3ull << 30},
                {"5B", 5},
                {"1T", 1ull << 40},
                {"16777215T", 16777215ull << 40}};
    static const char *const bad[] = {"",    "M",   "1X",  "1MM",  "1 M",
                                      "1iB", "-1M", "1M,", "0x10", "1Mi"};
    uint64_t v;

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(parse_size(good[i].text, 0, UINT64_MAX, &v), 0);
        assert_true(v == good[i].value);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse_size(bad[i], 0, UINT64_MAX, &v), -EINVAL);
    assert_int_equal(parse_size("16777216T", 0, UINT64_MAX, &v), -ERANGE);
    assert_int_equal(parse_size("1K", 2048, 4096, &v), -ERANGE);
}

static void test_bool(void **state)
{
    bool v = false;

    assert_int_equal(parse_bool("on", &v), 0);
    assert_true(v);
    assert_int_equal(parse_bool("off", &v), 0);
    assert_false(v);
    assert_int_equal(parse_bool("ON", &v), -EINVAL);
    assert_int_equal(parse_bool("", &v), -EINVAL);
}

static void test_mac(void **state)
{
    static const char *const bad[] = {"",
                                      "52:54:00:12:34",
                                      "52:54:00:12:34:5",
                                      "52:54:00:12:34:56:",
                                      "53:54:00:12:34:56", /* group address */
                                      "00:00:00:00:00:00",
                                      "52-54-00-12-34-56",
                                      "5254:00:12:34:56",
                                      "gg:54:00:12:34:56"};
    const uint8_t want[6] = {0x52, 0x54, 0, 0xab, 0xCD, 0xef};
    uint8_t mac[6];

    assert_int_equal(parse_mac("52:54:00:ab:CD:ef", mac), 0);
    assert_memory_equal(mac, want, 6);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse_mac(bad[i], mac), -EINVAL);
}

static void test_option_list(void **state)
{
    struct option_list list;

    option_list_begin(&list, "a,,b.img,ro,engine=uring,x=");
    assert_int_equal(option_list_next(&list), 1);
    assert_string_equal(list.value, "a,b.img");
    assert_false(list.has_value);
    assert_int_equal(option_list_next(&list), 1);
    assert_string_equal(list.value, "ro");
    assert_int_equal(option_list_next(&list), 1);
    assert_string_equal(list.key, "engine");
    assert_string_equal(list.value, "uring");
    assert_true(list.has_value);
    assert_int_equal(option_list_next(&list), 1);
    assert_string_equal(list.key, "x");
    assert_string_equal(list.value, "");
    assert_int_equal(option_list_next(&list), 0);
}

static void test_option_list_value(void **state)
{
    struct option_list list;

    option_list_begin(&list, "/data/year=2026/a,,b.img,ro");
    assert_int_equal(option_list_next_value(&list), 1);
    assert_string_equal(list.value, "/data/year=2026/a,b.img");
    assert_string_equal(list.key, "");
    assert_false(list.has_value);
    assert_int_equal(option_list_next(&list), 1);
    assert_string_equal(list.value, "ro");
    assert_int_equal(option_list_next_value(&list), 0);
    option_list_begin(&list, ",ro");
    assert_int_equal(option_list_next_value(&list), -EINVAL);
}

static void test_option_list_refuses(void **state)
{
    char long_text[8192];
    struct option_list list;

    option_list_begin(&list, "");
    assert_int_equal(option_list_next(&list), -EINVAL);
    option_list_begin(&list, "a,");
    assert_int_equal(option_list_next(&list), 1);
    assert_int_equal(option_list_next(&list), -EINVAL);
    option_list_begin(&list, "=x");
    assert_int_equal(option_list_next(&list), -EINVAL);
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    option_list_begin(&list, long_text);
    assert_int_equal(option_list_next(&list), -ENAMETOOLONG);
    long_text[100] = '=';
    option_list_begin(&list, long_text);
    assert_int_equal(option_list_next(&list), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_u64_refuses),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_mac),
        cmocka_unit_test(test_option_list),
        cmocka_unit_test(test_option_list_value),
        cmocka_unit_test(test_option_list_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
