// SPDX-License-Identifier: Apache-2.0
/* Removing what a stranger made: deep, with links, with the names that the removal uses itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/tree.h"

#define LEVELS 600

static void test_removes_everything(void **state)
{
    char base[] = "/tmp/husk-tree-XXXXXX", file[64];
    int top, at, next;

    assert_non_null(mkdtemp(base));
    top = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(openat(top, "keep", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(mkdirat(top, "gone", 0755), 0);
    at = openat(top, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat("../keep", at, "link"), 0);
    assert_int_equal(symlinkat("..", at, "up"), 0);
    mkdirat(at, ".moved-0", 0755);
    mkdirat(at, ".moved-0/x", 0755);
    close(openat(at, ".moved-1", O_CREAT | O_WRONLY | O_CLOEXEC, 0));
    for (int i = 0; i < LEVELS; i++) {
        assert_int_equal(mkdirat(at, "deeper", 0755), 0);
        close(openat(at, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        next = openat(at, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(tree_remove(base, "gone"), 0);
    assert_int_equal(faccessat(top, "gone", F_OK, 0), -1);
    assert_int_equal(faccessat(top, "keep", F_OK, 0), 0);
    assert_true(tree_remove(base, "gone") < 0);
    assert_true(tree_remove(base, "keep") < 0);
    close(top);
    strcpy(file, base);
    strcat(file, "/keep");
    unlink(file);
    assert_int_equal(rmdir(base), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_removes_everything)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
