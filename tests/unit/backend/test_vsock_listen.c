// SPDX-License-Identifier: Apache-2.0
/* Making the listening socket: what may be replaced, and what not. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "devices/backend/vsock_listen.h"

static struct {
    char directory[64], path[80];
    uint64_t device, inode;
    struct husk_error err;
} t;

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    strcpy(t.directory, "/tmp/husk-vsock-XXXXXX");
    assert_non_null(mkdtemp(t.directory));
    snprintf(t.path, sizeof(t.path), "%s/v", t.directory);
    return 0;
}

static int teardown(void **state)
{
    unlink(t.path);
    assert_int_equal(rmdir(t.directory), 0);
    return 0;
}

static int listen_there(void)
{
    return vsock_listen(t.path, &t.device, &t.inode, &t.err);
}

static void test_new(void **state)
{
    struct stat info;
    int fd = listen_there();

    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(lstat(t.path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_true(info.st_dev == t.device && info.st_ino == t.inode);
    close_fd(&fd);
}

static void test_in_use(void **state)
{
    int fd = listen_there();

    assert_int_equal(listen_there(), -EADDRINUSE);
    assert_string_equal(t.err.where, t.path);
    assert_string_equal(t.err.why, "another process listens there");
    assert_int_equal(access(t.path, F_OK), 0);
    close_fd(&fd);
}

static void test_stale(void **state)
{
    int fd = listen_there();

    close_fd(&fd);
    fd = listen_there();
    assert_true(fd >= 0);
    close_fd(&fd);
}

static void test_other_file(void **state)
{
    struct stat info;
    int fd = open(t.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    close_fd(&fd);
    assert_int_equal(listen_there(), -EEXIST);
    assert_string_equal(t.err.why, "a file of this name exists");
    assert_int_equal(lstat(t.path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
}

/* Never through a link, dangling or not. */
static void test_link(void **state)
{
    assert_int_equal(symlink("elsewhere", t.path), 0);
    assert_int_equal(listen_there(), -EEXIST);
}

static void test_bad_paths(void **state)
{
    char longer[200];
    uint64_t device, inode;

    memset(longer, 'x', sizeof(longer));
    longer[108] = '\0';
    assert_int_equal(vsock_listen(longer, &device, &inode, &t.err), -ENAMETOOLONG);
    snprintf(longer, sizeof(longer), "%s/none/v", t.directory);
    assert_int_equal(vsock_listen(longer, &device, &inode, &t.err), -ENOENT);
    assert_string_equal(t.err.where, longer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new),        TEST(test_in_use), TEST(test_stale),
        TEST(test_other_file), TEST(test_link),   TEST(test_bad_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
