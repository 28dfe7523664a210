// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sysfs.h"

static char root[] = "/tmp/husk-sysfs-XXXXXX";

static void in_root(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", root, name);
}

static int make_tree(void **state)
{
    char path[256];
    FILE *file;

    if (!mkdtemp(root))
        return -1;
    in_root(path, "device0");
    if (mkdir(path, 0700))
        return -1;
    in_root(path, "device0/class");
    file = fopen(path, "w");
    if (!file || fputs("0x020000\nmore\n", file) < 0 || fclose(file))
        return -1;
    in_root(path, "device0/driver");
    return symlink("../../bus/pci/drivers/igbvf", path);
}

static int remove_tree(void **state)
{
    static const char *const names[] = {"device0/class", "device0/driver"};
    char path[256];

    for (unsigned i = 0; i < 2; i++) {
        in_root(path, names[i]);
        unlink(path);
    }
    in_root(path, "device0");
    rmdir(path);
    return rmdir(root);
}

static void test_attribute(void **state)
{
    char text[16] = "as before";
    char few[5];

    assert_int_equal(sysfs_read(root, text, sizeof(text), "device%u/%s", 1, "class"), -ENOENT);
    assert_int_equal(sysfs_read(root, text, sizeof(text), "device0"), -EISDIR);
    assert_string_equal(text, "as before");
    assert_int_equal(sysfs_read(root, text, sizeof(text), "device%u/%s", 0, "class"), 0);
    assert_string_equal(text, "0x020000");
    assert_int_equal(sysfs_read(root, few, sizeof(few), "device0/class"), 0);
    assert_string_equal(few, "0x02");
}

static void test_link(void **state)
{
    char name[8];
    char few[4];

    assert_int_equal(sysfs_link(root, name, sizeof(name), "device%u/driver", 0), 0);
    assert_string_equal(name, "igbvf");
    assert_int_equal(sysfs_link(root, few, sizeof(few), "device0/driver"), -ENAMETOOLONG);
    assert_int_equal(sysfs_link(root, name, sizeof(name), "device0/class"), -EINVAL);
    assert_int_equal(sysfs_link(root, name, sizeof(name), "device1/driver"), -ENOENT);
}

static void test_exists(void **state)
{
    char *long_name = calloc(1, PATH_MAX + 1);

    assert_non_null(long_name);
    memset(long_name, 'x', PATH_MAX);
    assert_true(sysfs_exists(root, "device%u", 0));
    assert_false(sysfs_exists(root, "device%u", 1));
    assert_false(sysfs_exists(root, "%s", long_name));
    assert_int_equal(sysfs_link(root, long_name, PATH_MAX, "%s", long_name), -ENAMETOOLONG);
    free(long_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attribute),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_exists),
    };

    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
