// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/query.h"

static void decodes(void **state)
{
    char out[64];

    assert_true(percent_decode("app%3Dweb%2ctier%21=db", out));
    assert_string_equal(out, "app=web,tier!=db");
    assert_true(percent_decode("", out));
    assert_string_equal(out, "");
    assert_true(percent_decode("%E2%82%AC", out));
    assert_string_equal(out, "\xe2\x82\xac");
    strcpy(out, "a%20b");
    assert_true(percent_decode(out, out));
    assert_string_equal(out, "a b");
}

static void refuses(void **state)
{
    static const char *const wrong[] = {"%", "%1", "a%g0", "%0g", "%%", "x%00y", "%@1"};
    char out[64];

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        if (percent_decode(wrong[i], out))
            fail_msg("%s was decoded", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decodes), cmocka_unit_test(refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
