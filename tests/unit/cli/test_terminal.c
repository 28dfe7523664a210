// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/terminal.h"

static void test_plain_text_passes(void **state)
{
    struct terminal_filter filter = {0};
    uint8_t data[] = "hello\r";
    enum terminal_key key;

    assert_int_equal(terminal_filter(&filter, data, 6, &key), 6);
    assert_memory_equal(data, "hello\r", 6);
    assert_int_equal(key, TERMINAL_NONE);
}

static void test_escape_sequences(void **state)
{
    struct terminal_filter filter = {0};
    uint8_t data[] = "ab\x01\x01"
                     "c\x01"
                     "xdropped";
    enum terminal_key key;

    assert_int_equal(terminal_filter(&filter, data, sizeof(data) - 1, &key), 4);
    assert_memory_equal(data,
                        "ab\x01"
                        "c",
                        4);
    assert_int_equal(key, TERMINAL_QUIT);
}

static void test_escape_across_reads(void **state)
{
    struct terminal_filter filter = {0};
    uint8_t first[] = "a\x01", second[] = "hb";
    enum terminal_key key;

    assert_int_equal(terminal_filter(&filter, first, 2, &key), 1);
    assert_int_equal(key, TERMINAL_NONE);
    assert_int_equal(terminal_filter(&filter, second, 2, &key), 1);
    assert_int_equal(second[0], 'b');
    assert_int_equal(key, TERMINAL_HELP);
}

static void test_unknown_key_goes_through(void **state)
{
    struct terminal_filter filter = {0};
    uint8_t data[] = "\x01z";
    enum terminal_key key;

    assert_int_equal(terminal_filter(&filter, data, 2, &key), 1);
    assert_int_equal(data[0], 'z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_passes),
        cmocka_unit_test(test_escape_sequences),
        cmocka_unit_test(test_escape_across_reads),
        cmocka_unit_test(test_unknown_key_goes_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
