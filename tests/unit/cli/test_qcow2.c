// SPDX-License-Identifier: Apache-2.0
/* cli/qcow2.c: which images are taken, and which would have other files opened. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/qcow2.h"

static uint8_t header[QCOW2_HEADER_BYTES];
static struct husk_error err;

static void make(void)
{
    memset(header, 0, sizeof(header));
    memcpy(header, "QFI\xfb\0\0\0\3", 8);
    header[23] = 16; /* cluster bits */
    header[29] = 1;  /* 64 KiB */
}

static int check(size_t len)
{
    uint64_t size = 0;
    int ret = qcow2_check("x.qcow2", header, len, &size, &err);

    if (!ret)
        assert_int_equal(size, 65536);
    return ret;
}

static void test_good(void **state)
{
    make();
    assert_true(qcow2_is_one(header, sizeof(header)));
    assert_int_equal(check(sizeof(header)), 0);
    header[7] = 2;
    assert_int_equal(check(72), 0);
}

static void test_other_files(void **state)
{
    make();
    header[15] = 1;
    assert_int_equal(check(sizeof(header)), -EPERM);
    assert_non_null(strstr(err.why, "backing file"));
    make();
    header[79] = 4;
    assert_int_equal(check(sizeof(header)), -EPERM);
    assert_non_null(strstr(err.why, "another file"));
}

static void test_refused(void **state)
{
    make();
    assert_int_equal(check(71), -EINVAL);
    assert_int_equal(check(103), -EINVAL);
    assert_false(qcow2_is_one(header, 3));
    header[7] = 4;
    assert_int_equal(check(sizeof(header)), -EOPNOTSUPP);
    make();
    header[35] = 1; /* encrypted */
    assert_int_equal(check(sizeof(header)), -EOPNOTSUPP);
    make();
    header[24] = 1; /* 2^56 bytes */
    assert_int_equal(check(sizeof(header)), -EINVAL);
    make();
    header[29] = 0; /* none */
    assert_int_equal(check(sizeof(header)), -EINVAL);
    header[0] = 'X';
    assert_int_equal(check(sizeof(header)), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
                                       cmocka_unit_test(test_other_files),
                                       cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
