// SPDX-License-Identifier: Apache-2.0
/* image/choice.c: texts that end in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/choice.h"

static void test_append(void **state)
{
    char text[8] = "";

    assert_true(text_append_word(text, sizeof(text), ""));
    assert_string_equal(text, "");
    assert_true(text_append_word(text, sizeof(text), "abc"));
    assert_true(text_append_word(text, sizeof(text), "def"));
    assert_string_equal(text, "abc def");
    assert_false(text_append_word(text, sizeof(text), "g"));
    assert_string_equal(text, "abc def");
}

static void test_copy(void **state)
{
    char text[4];

    assert_true(text_copy(text, sizeof(text), "abcdef", 3));
    assert_string_equal(text, "abc");
    assert_false(text_copy(text, sizeof(text), "abcdef", 4));
    assert_string_equal(text, "abc");
}

static void test_lines(void **state)
{
    const char *text = "one\r\n\nthree";
    const char *line;
    size_t len;

    assert_true(text_line(&text, &line, &len));
    assert_int_equal(len, 3);
    assert_true(text_line(&text, &line, &len));
    assert_int_equal(len, 0);
    assert_true(text_line(&text, &line, &len));
    assert_memory_equal(line, "three", len);
    assert_false(text_line(&text, &line, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_append), cmocka_unit_test(test_copy),
                                       cmocka_unit_test(test_lines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
