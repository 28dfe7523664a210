// SPDX-License-Identifier: Apache-2.0
/* image/filesystem.c: what is held against any implementation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "image/filesystem.h"

/* One that says one size and gives another. */
static uint64_t said, given;

static int fake_size(struct image_filesystem *fs, const char *path, uint64_t *size)
{
    *size = said;
    return 0;
}

static int fake_read(struct image_filesystem *fs, const char *path, image_write_fn write, void *arg)
{
    static const char bytes[2] = "x";
    int ret = 0;

    for (uint64_t i = 0; !ret && i < given; i++)
        ret = write(arg, bytes + i % 2, 1);
    return ret;
}

static int fake_list(struct image_filesystem *fs, const char *path, image_entry_fn each, void *arg)
{
    for (;;) {
        if (!each(arg, ".") || !each(arg, "..") || !each(arg, "name"))
            return 0;
    }
}

static const struct image_filesystem_ops ops = {
    .size = fake_size, .list = fake_list, .read = fake_read};
static struct image_filesystem fake = {&ops};

static void test_text(void **state)
{
    char *text = NULL;

    said = given = 3;
    assert_int_equal(image_file_text(&fake, "/", &text), 0);
    assert_string_equal(text, "x x"); /* the zero byte is none */
    free(text);
    given = 2;
    assert_int_equal(image_file_text(&fake, "/", &text), -EIO);
    given = 4;
    assert_int_equal(image_file_text(&fake, "/", &text), -EIO);
    said = IMAGE_TEXT_MAX + 1;
    assert_int_equal(image_file_text(&fake, "/", &text), -EFBIG);
}

static bool count(void *arg, const char *name)
{
    unsigned *n = arg;

    assert_string_equal(name, "name");
    ++*n;
    return true;
}

static void test_endless_directory(void **state)
{
    unsigned n = 0;

    assert_int_equal(image_list(&fake, "/", count, &n), 0);
    assert_int_equal(n, IMAGE_ENTRIES_MAX);
}

static void test_kinds(void **state)
{
    struct image_source none = {.fd = -1};
    struct image_filesystem *fs;

    assert_true(image_filesystem_known("ext4") && image_filesystem_known("vfat"));
    assert_false(image_filesystem_known("xfs") || image_filesystem_known(""));
    assert_int_equal(image_filesystem_open(&none, "xfs", &fs), -EOPNOTSUPP);
    image_filesystem_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_endless_directory),
                                       cmocka_unit_test(test_kinds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
