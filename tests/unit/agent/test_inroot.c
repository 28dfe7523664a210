// SPDX-License-Identifier: Apache-2.0
/* Paths below a hostile directory: whatever links are in it, everything stays below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/inroot.h"
#include "guest/agent/tree.h"

static char directory[] = "/tmp/husk-inroot-XXXXXX";
static int outer, root;

static int set_up(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    outer = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(outer, "root", 0755);
    mkdirat(outer, "outside", 0755);
    root = openat(outer, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (symlinkat("../../../../../../outside", root, "climb"))
        return -1;
    if (symlinkat("/inside", root, "absolute"))
        return -1;
    if (symlinkat("nowhere", root, "dangling"))
        return -1;
    if (symlinkat("loop", root, "loop"))
        return -1;
    return mkdirat(root, "inside", 0755);
}

static int tear_down(void **state)
{
    int ret;

    close(root);
    close(outer);
    ret = tree_remove("/tmp", directory + strlen("/tmp/"));
    return ret || access(directory, F_OK) == 0 ? -1 : 0;
}

static bool is_there(int at, const char *path)
{
    struct stat info;

    return fstatat(at, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_directories_stay_inside(void **state)
{
    int fd = inroot_directory(root, "/climb/a/b");

    assert_int_equal(fd,
                     -ENOENT); /* "outside" of the root's own is not there, and no link is made */
    fd = inroot_directory(root, "absolute/a/b/");
    assert_true(fd >= 0);
    close(fd);
    assert_true(is_there(root, "inside/a/b"));
    fd = inroot_directory(root, "/../../up");
    assert_true(fd >= 0);
    close(fd);
    assert_true(is_there(root, "up"));
    assert_false(is_there(outer, "outside/a"));
    assert_false(is_there(outer, "up"));
}

static void test_files(void **state)
{
    int fd = inroot_file(root, "/new/dir/file");

    assert_true(fd >= 0);
    close(fd);
    assert_true(is_there(root, "new/dir/file"));
    fd = inroot_file(root, "/new/dir/file");
    assert_true(fd >= 0);
    close(fd);
    assert_true(inroot_file(root, "/new/dir/file/below") < 0);
}

static void test_refusals(void **state)
{
    char longest[5000];
    const char *name;

    assert_int_equal(inroot_directory(root, "loop/x"), -ELOOP);
    assert_true(inroot_directory(root, "dangling/x") < 0);
    assert_int_equal(inroot_parent(root, "a/..", &name), -EINVAL);
    assert_int_equal(inroot_parent(root, "a/", &name), -EINVAL);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(inroot_directory(root, longest), -ENAMETOOLONG);
    longest[300] = '\0';
    assert_int_equal(inroot_directory(root, longest), -ENAMETOOLONG);
}

/* Links of /proc lead out of any root. */
static void test_magic_links(void **state)
{
    int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(inroot_open(slash, "proc/self/root/tmp", O_PATH), -ELOOP);
    assert_int_equal(inroot_open(slash, "proc/self/cwd", O_PATH), -ELOOP);
    close(slash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directories_stay_inside),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_magic_links),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
