// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void test_set_and_format(void **state)
{
    struct husk_error err;
    char text[64];

    assert_int_equal(error_set(&err, ENOENT, "disk.img", "cannot open the disk", NULL), -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(error_format(&err, text, sizeof(text)),
                        "disk.img: cannot open the disk: No such file or directory");
    assert_int_equal(error_set(&err, EINVAL, NULL, "bad", "%d of %d", 3, 2), -EINVAL);
    assert_string_equal(error_format(&err, text, sizeof(text)), "bad: 3 of 2");
    assert_int_equal(error_set(NULL, EBUSY, "x", "y", NULL), -EBUSY);
}

static void test_zero_is_still_an_error(void **state)
{
    struct husk_error err;

    assert_int_equal(error_set(&err, 0, "a", "b", "%s", "c"), -EINVAL);
}

static void test_hostile_texts_stay_one_line(void **state)
{
    struct husk_error err;
    char long_name[1000], text[20];

    error_set(&err, EINVAL, "a\nb\x1b[2J\xff", "c", "%s", "d\re");
    assert_string_equal(err.where, "a?b?[2J?");
    assert_string_equal(err.why, "d?e");
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    error_set(&err, EINVAL, long_name, long_name, "%s", long_name);
    assert_int_equal(strlen(err.where), sizeof(err.where) - 1);
    assert_int_equal(strlen(err.what), sizeof(err.what) - 1);
    error_format(&err, text, sizeof(text));
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

static void test_long_paths_keep_their_end(void **state)
{
    static const char end[] = "/disk.img";
    struct husk_error err;
    char path[4096], text[600];

    for (size_t len = sizeof(err.where) - 2; len <= sizeof(err.where) + 1; len++) {
        memset(path, 'd', len);
        strcpy(path + len - strlen(end), end);
        error_set(&err, ENOENT, path, "cannot open the disk", NULL);
        assert_int_equal(strlen(err.where), len < sizeof(err.where) ? len : sizeof(err.where) - 1);
        assert_int_equal(strncmp(err.where, "...", 3) == 0, len >= sizeof(err.where));
        error_format(&err, text, sizeof(text));
        assert_non_null(strstr(text, "d/disk.img: cannot open the disk: No such file"));
    }
}

static void test_errno_survives(void **state)
{
    struct husk_error err;

    errno = EPIPE;
    error_set(&err, ENOENT, "a", "b", NULL);
    assert_int_equal(errno, EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_format),
        cmocka_unit_test(test_zero_is_still_an_error),
        cmocka_unit_test(test_hostile_texts_stay_one_line),
        cmocka_unit_test(test_long_paths_keep_their_end),
        cmocka_unit_test(test_errno_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
