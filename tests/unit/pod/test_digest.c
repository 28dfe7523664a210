// SPDX-License-Identifier: Apache-2.0
/* Digests: their syntax, known answers, ranges of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pod/image/digest.h"

/* FIPS 180-4's example "abc". */
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_known_answer(void **state)
{
    struct digest digest;
    uint8_t bytes[2];

    assert_int_equal(digest_of("abc", 3, &digest), 0);
    assert_string_equal(digest.text, ABC);
    assert_int_equal(strlen(digest_hex(&digest)), DIGEST_HEX_LENGTH);
    digest_bytes(&digest, bytes, sizeof(bytes));
    assert_int_equal(bytes[0], 0xba);
    assert_int_equal(bytes[1], 0x78);
}

static void test_parse(void **state)
{
    struct digest digest, other;

    assert_int_equal(digest_parse(ABC, &digest), 0);
    assert_int_equal(digest_of("abc", 3, &other), 0);
    assert_true(digest_equal(&digest, &other));
    assert_int_equal(digest_parse("sha512:00", &digest), -ENOTSUP);
    assert_int_equal(digest_parse("sha256:00", &digest), -EINVAL);
    assert_int_equal(digest_parse("", &digest), -EINVAL);
    assert_int_equal(digest_parse(":", &digest), -EINVAL);
    assert_int_equal(digest_parse(ABC "0", &digest), -EINVAL);
    assert_int_equal(digest_parse(ABC "/../x", &digest), -EINVAL);
}

static void test_ranges_of_files(void **state)
{
    int fd = memfd_create("digest", MFD_CLOEXEC);
    struct digest digest;

    assert_int_equal(write(fd, "xxabcyy", 7), 7);
    assert_int_equal(digest_of_range(fd, 2, 3, &digest), 0);
    assert_string_equal(digest.text, ABC);
    assert_int_equal(digest_of_range(fd, 2, 30, &digest), -ENODATA);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_ranges_of_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
