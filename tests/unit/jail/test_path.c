// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "jail/path.h"

struct fixture {
    char dir[64];
    int fd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/husk-path-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return f->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    const char *name;
    int parent = path_open_parent(f->dir, &name), ret;

    ret = fstat(f->fd, &st) == 0 ? path_remove_tree(parent, name, &st) : -1;
    close_fd(&parent);
    close_fd(&f->fd);
    free(f);
    return ret;
}

static void make_file(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
}

static int close_and_tell(int fd)
{
    int ret = fd < 0 ? fd : 0;

    close_fd(&fd);
    return ret;
}

static void test_links_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];

    mkdirat(f->fd, "real", 0700);
    mkdirat(f->fd, "real/sub", 0700);
    make_file(f->fd, "real/sub/file");
    assert_int_equal(symlinkat("real", f->fd, "link"), 0);
    assert_int_equal(symlinkat("sub/file", f->fd, "real/filelink"), 0);

    snprintf(path, sizeof(path), "%s/real/sub", f->dir);
    assert_int_equal(close_and_tell(path_open_directory(path)), 0);
    snprintf(path, sizeof(path), "%s/link", f->dir);
    assert_int_equal(path_open_directory(path), -ELOOP);
    snprintf(path, sizeof(path), "%s/link/sub", f->dir);
    assert_int_equal(path_open_directory(path), -ELOOP);
    assert_int_equal(path_open_directory("relative"), -EINVAL);
    assert_int_equal(path_open_directory("/proc/self/fd/0"), -ELOOP);

    assert_int_equal(close_and_tell(path_open_below(f->fd, "real/sub/file", O_RDONLY, 0)), 0);
    assert_int_equal(path_open_below(f->fd, "link/sub/file", O_RDONLY, 0), -ELOOP);
    assert_int_equal(path_open_below(f->fd, "real/filelink", O_RDONLY, 0), -ELOOP);
    assert_int_equal(path_open_below(f->fd, "../x", O_RDONLY, 0), -EXDEV);
    assert_int_equal(path_open_below(f->fd, "/etc/passwd", O_RDONLY, 0), -EXDEV);
    assert_int_equal(path_open_below(f->fd, "real/filelink", O_WRONLY | O_CREAT | O_EXCL, 0600),
                     -EEXIST);
}

static void test_parents(void **state)
{
    struct fixture *f = *state;
    char path[128], resolved[PATH_BYTES_MAX], expected[128];
    const char *name;

    assert_int_equal(path_open_parent("/", &name), -EINVAL);
    assert_int_equal(path_open_parent("/tmp/", &name), -EINVAL);
    assert_int_equal(path_open_parent("/tmp/..", &name), -EINVAL);
    assert_int_equal(path_open_parent("relative", &name), -EINVAL);
    assert_int_equal(close_and_tell(path_open_parent("/x", &name)), 0);
    assert_string_equal(name, "x");

    mkdirat(f->fd, "real", 0700);
    assert_int_equal(symlinkat("real", f->fd, "link"), 0);
    snprintf(path, sizeof(path), "%s/link/new", f->dir);
    snprintf(expected, sizeof(expected), "%s/real/new", f->dir);
    assert_int_equal(path_resolve_parent(path, resolved, sizeof(resolved)), 0);
    assert_string_equal(resolved, expected);
    assert_int_equal(path_resolve_parent("/x", resolved, sizeof(resolved)), 0);
    assert_string_equal(resolved, "/x");
    assert_int_equal(path_resolve_parent("here", resolved, sizeof(resolved)), 0);
    assert_true(resolved[0] == '/' && strlen(resolved) > 5);
    assert_int_equal(path_resolve_parent(path, resolved, 8), -ENAMETOOLONG);
    snprintf(path, sizeof(path), "%s/nowhere/new", f->dir);
    assert_int_equal(path_resolve_parent(path, resolved, sizeof(resolved)), -ENOENT);
    assert_int_equal(path_resolve_parent("", resolved, sizeof(resolved)), -EINVAL);
}

static void test_remove_tree(void **state)
{
    struct fixture *f = *state;
    struct stat st, other;

    mkdirat(f->fd, "keep", 0700);
    make_file(f->fd, "keep/file");
    mkdirat(f->fd, "tree", 0700);
    mkdirat(f->fd, "tree/a", 0700);
    mkdirat(f->fd, "tree/a/b", 0700);
    make_file(f->fd, "tree/a/b/file");
    assert_int_equal(mkfifoat(f->fd, "tree/fifo", 0600), 0);
    assert_int_equal(symlinkat("../keep", f->fd, "tree/link"), 0);
    assert_int_equal(symlinkat("../../keep", f->fd, "tree/a/link"), 0);
    assert_int_equal(linkat(f->fd, "keep/file", f->fd, "tree/hard", 0), 0);

    assert_int_equal(fstatat(f->fd, "keep", &other, 0), 0);
    assert_int_equal(fstatat(f->fd, "tree", &st, 0), 0);
    assert_int_equal(path_remove_tree(f->fd, "tree", &other), -ESTALE);
    assert_int_equal(path_remove_tree(f->fd, "tree", &st), 0);
    assert_int_equal(faccessat(f->fd, "tree", F_OK, 0), -1);
    assert_int_equal(faccessat(f->fd, "keep/file", F_OK, 0), 0);
    assert_int_equal(path_remove_tree(f->fd, "tree", &st), -ENOENT);

    assert_int_equal(symlinkat("keep", f->fd, "link"), 0);
    assert_int_equal(path_remove_tree(f->fd, "link", &other), -ELOOP);
    assert_int_equal(faccessat(f->fd, "keep/file", F_OK, 0), 0);
}

static void test_remove_tree_is_bounded(void **state)
{
    struct fixture *f = *state;
    char path[256] = "deep";
    struct stat st;

    for (unsigned depth = 0; depth < 20; depth++) {
        assert_int_equal(mkdirat(f->fd, path, 0700), 0);
        strcat(path, "/d");
    }
    assert_int_equal(fstatat(f->fd, "deep", &st, 0), 0);
    assert_int_equal(path_remove_tree(f->fd, "deep", &st), -E2BIG);
    for (unsigned depth = 20; depth-- > 0;) {
        *strrchr(path, '/') = '\0';
        assert_int_equal(unlinkat(f->fd, path, AT_REMOVEDIR), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_links_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove_tree_is_bounded, setup, teardown),
    };

    return cmocka_run_group_tests_name("jail/path", tests, NULL, NULL);
}
