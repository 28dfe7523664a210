// SPDX-License-Identifier: Apache-2.0
/* image/output.c: sizes, padding, beginning anew. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "image/output.h"
#include "tests/harness/fat_image.h"

static uint64_t size_of(int fd)
{
    struct stat info;

    assert_int_equal(fstat(fd, &info), 0);
    return (uint64_t)info.st_size;
}

static void test_output(void **state)
{
    struct image_output output;
    int fd = memory_file("what was there before", 21);

    assert_int_equal(output_begin(&output, fd, 10), 0);
    assert_int_equal(size_of(fd), 0);
    assert_int_equal(output_write(&output, "abcde", 5), 0);
    assert_int_equal(output_pad(&output), 0);
    assert_int_equal(output.size, 8);
    assert_int_equal(output_pad(&output), 0);
    assert_int_equal(size_of(fd), 8);
    assert_int_equal(output_write(&output, "abc", 3), -EFBIG);
    assert_int_equal(output_write(&output, "ab", 2), 0);
    assert_int_equal(output_pad(&output), -EFBIG);
    assert_int_equal(output_begin(&output, -1, 10), -EBADF);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_output)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
