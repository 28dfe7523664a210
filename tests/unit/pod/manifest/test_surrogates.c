// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "pod/manifest/surrogates.h"

static void becomes(const char *before, const char *after)
{
    char text[256];
    size_t len;

    snprintf(text, sizeof(text), "%s", before);
    len = surrogates_join(text, strlen(before));
    if (len != strlen(after) || memcmp(text, after, len) != 0)
        fail_msg("%s: %.*s", before, (int)len, text);
}

static void test_pairs(void **state)
{
    becomes("{\"a\": \"\\ud83d\\ude00\"}", "{\"a\": \"\\U0001f600\"}");
    becomes("[\"\\uD800\\uDC00\",\"x\\uDBFF\\uDFFFy\"]", "[\"\\U00010000\",\"x\\U0010ffffy\"]");
    becomes("{\"\\ud83d\\ude00\": 1, \"b\": [true, -1.5e3, \"\\ud83d\\ude00\"]}",
            "{\"\\U0001f600\": 1, \"b\": [true, -1.5e3, \"\\U0001f600\"]}");
    becomes("{\"a\": \"\\\"\\ud83d\\ude00\\\\\"}\n---\n[\"\\ud83d\\ude00\"]",
            "{\"a\": \"\\\"\\U0001f600\\\\\"}\n---\n[\"\\U0001f600\"]");
}

/* Halves, and what only looks like an escape. */
static void test_untouched(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "\"",
        "{\"\\",
        "{\"\\u",
        "{\"a\": \"\\ud83d\"}",
        "{\"a\": \"\\ude00\\ud83d\"}",
        "{\"a\": \"\\ud83d\\n\\ude00\"}",
        "{\"a\": \"\\ud83d\\ude0",
        "{\"a\": \"\\\\ud83d\\\\ude00\"}",
        "{\"a\": '\\ud83d\\ude00'}",
        "{a: \"\\ud83d\\ude00\"}",
        "a: \"\\ud83d\\ude00\"",
        "- \"\\ud83d\\ude00\"",
        "true,\"\\ud83d\\ude00\"",
        "{true:\"\\ud83d\\ude00\"}",
        "{\"a\": true \"\\ud83d\\ude00\"}",
        "{} # [\"\\ud83d\\ude00\"]",
        "}[\"\\ud83d\\ude00\"]",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        becomes(texts[i], texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_untouched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
