// SPDX-License-Identifier: Apache-2.0
/* image/source.c: nothing outside the stretch. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "image/output.h"
#include "image/source.h"
#include "tests/harness/fat_image.h"

static void test_bounds(void **state)
{
    int fd = memory_file("0123456789", 10);
    struct image_source whole = {.fd = fd, .size = 10}, part, inner;
    char buf[8];

    assert_int_equal(image_part(&whole, 2, 6, &part), 0);
    assert_int_equal(image_read(&part, 0, buf, 6), 0);
    assert_memory_equal(buf, "234567", 6);
    assert_int_equal(image_read(&part, 1, buf, 6), -EIO);
    assert_int_equal(image_read(&part, UINT64_MAX, buf, 2), -EIO);
    assert_int_equal(image_part(&part, 4, 2, &inner), 0);
    assert_int_equal(image_read(&inner, 0, buf, 2), 0);
    assert_memory_equal(buf, "67", 2);
    assert_int_equal(image_part(&part, 5, 2, &inner), -EIO);
    assert_int_equal(image_part(&part, 1, UINT64_MAX, &inner), -EIO);
    /* A file that is shorter than it was said to be. */
    whole.size = 20;
    assert_int_equal(image_read(&whole, 8, buf, 4), -EIO);
    close(fd);
}

static void test_copy(void **state)
{
    static uint8_t large[200000];
    struct image_output output;
    struct image_source source;
    uint8_t last;
    int from, to = memory_file("", 0);

    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = 'y';
    from = memory_file(large, sizeof(large));
    source = (struct image_source){.fd = from, .size = sizeof(large)};
    assert_int_equal(output_begin(&output, to, sizeof(large)), 0);
    assert_int_equal(image_copy(&source, output_write, &output), 0);
    assert_int_equal(output.size, sizeof(large));
    assert_int_equal(pread(to, &last, 1, sizeof(large) - 1), 1);
    assert_int_equal(last, 'y');
    assert_int_equal(output_begin(&output, to, sizeof(large) - 1), 0);
    assert_int_equal(image_copy(&source, output_write, &output), -EFBIG);
    close(from);
    close(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds), cmocka_unit_test(test_copy)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
