// SPDX-License-Identifier: Apache-2.0
/* Vectors: RFC 4648, 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/manifest/base64.h"

static void test_both_ways(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
        {"\xfb\xef", "++8="},
    };

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char *text = manifest_base64_encode(pairs[i][0], strlen(pairs[i][0]));
        uint8_t *bytes;
        size_t len;

        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(manifest_base64_decode(text, strlen(text), &bytes, &len), 0);
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], len + 1);
        free(bytes);
        free(text);
    }
}

static void test_line_ends(void **state)
{
    uint8_t *bytes;
    size_t len;

    assert_int_equal(manifest_base64_decode("Zm9v\nYg\r\n=\n=\n", 13, &bytes, &len), 0);
    assert_int_equal(len, 4);
    assert_string_equal((char *)bytes, "foob");
    free(bytes);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"Z",    "Zg",    "Zg=",        "Zm8",  "Zg===",    "=",
                                      "====", "Zh==",  "Zm9=",       "Z===", "Zg==Zg==", "Zm 9v",
                                      "Zm-_", "Zm9v!", "\xc3\xa4==", "Zg=Z"};
    uint8_t *bytes;
    size_t len;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (manifest_base64_decode(bad[i], strlen(bad[i]), &bytes, &len) != -EINVAL)
            fail_msg("%s is not refused", bad[i]);
    }
    assert_int_equal(manifest_base64_decode("Zg\0=", 4, &bytes, &len), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
