// SPDX-License-Identifier: Apache-2.0
/* Base64: the vectors of RFC 4648, every length and byte there and back, and what is none. */
#include "base/base64.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

/* RFC 4648, section 10 */
static void test_vectors(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        char text[32], bytes[32];
        size_t len = 99;

        base64_encode(vectors[i][0], strlen(vectors[i][0]), text);
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(strlen(text), BASE64_LEN(strlen(vectors[i][0])));
        assert_int_equal(base64_decode(text, strlen(text), bytes, &len), 0);
        assert_int_equal(len, strlen(vectors[i][0]));
        assert_memory_equal(bytes, vectors[i][0], len);
    }
}

static void test_all_bytes_in_place(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 256; len++) {
        uint8_t bytes[256];
        char *text = malloc(BASE64_LEN(len) + 1);
        size_t got = 0;

        assert_non_null(text);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(255 - i);
        base64_encode(bytes, len, text);
        assert_true(BASE64_BYTES_MAX(strlen(text)) >= len);
        assert_int_equal(base64_decode(text, strlen(text), text, &got), 0);
        assert_int_equal(got, len);
        assert_memory_equal(text, bytes, len);
        free(text);
    }
}

static void test_what_is_none(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",    "Zg==Zg==", "Z===", "====",  "=Zg=",       "Zg=A",
        "Zh==", "Zm9=", "Zm9v\n", "Zm 9",     "Zm-_", "Zm9vZ", "Zm\xc3\xa4",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char bytes[32];
        size_t len = 0;

        if (base64_decode(bad[i], strlen(bad[i]), bytes, &len) != -EINVAL)
            fail_msg("\"%s\" is taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_bytes_in_place),
        cmocka_unit_test(test_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
