// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/pod/table.h"

static void test_columns(void **state)
{
    static const char *const headings[] = {"ID", "NAME", "LAST", NULL};
    struct table table;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    table_begin(&table, headings);
    table_add(&table, "%d", 12345);
    table_add(&table, "a");
    table_add(&table, "two words");
    table_add(&table, "1");
    table_add(&table, "bad\033[name");
    table_add(&table, "%s", "");
    assert_int_equal(table_print(&table, out), 0);
    fclose(out);
    assert_string_equal(text, "ID      NAME        LAST\n"
                              "12345   a           two words\n"
                              "1       bad?[name   \n");
    free(text);
}

static void test_times(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *words;
    } cases[] = {{0, "0 seconds"},        {1, "1 second"},       {119, "119 seconds"},
                 {120, "2 minutes"},      {7199, "119 minutes"}, {7200, "2 hours"},
                 {172800, "2 days"},      {1209600, "2 weeks"},  {60 * 86400, "2 months"},
                 {730 * 86400, "2 years"}};
    char out[TABLE_WORDS_BYTES];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(words_of_time(cases[i].seconds, out), cases[i].words);
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *words;
    } cases[] = {{0, "0B"},        {1023, "1023B"},       {1024, "1.0KiB"},
                 {1536, "1.5KiB"}, {100 << 20, "100MiB"}, {UINT64_MAX, "16.0EiB"}};
    char out[TABLE_WORDS_BYTES];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(words_of_bytes(cases[i].bytes, out), cases[i].words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
