// SPDX-License-Identifier: Apache-2.0
/* Descriptors of our own: non-blocking without others noticing, or sharing what must be shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

static void test_pipe(void **state)
{
    int ends[2], again;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    again = dup_nonblocking(ends[1], O_WRONLY);
    assert_true(again >= 0);
    assert_true(fcntl(again, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(again, F_GETFD) & FD_CLOEXEC);
    assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
    close(again);
    close(ends[0]);
    close(ends[1]);
}

/* A program's output and error in one file ("> file 2>&1") come one after the other. */
static void test_file_keeps_its_offset(void **state)
{
    char path[] = "/tmp/husk-test-XXXXXX", text[16] = "";
    int fd = mkostemp(path, O_CLOEXEC);
    int again = dup_nonblocking(fd, O_WRONLY);

    assert_true(fd >= 0 && again >= 0);
    unlink(path);
    assert_int_equal(write(fd, "one ", 4), 4);
    assert_int_equal(write(again, "two", 3), 3);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 7);
    assert_string_equal(text, "one two");
    close(again);
    close(fd);
}

static void test_socket(void **state)
{
    int ends[2], again;
    char byte;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    again = dup_nonblocking(ends[0], O_WRONLY);
    assert_true(again >= 0);
    assert_int_equal(write(again, "x", 1), 1);
    assert_int_equal(read(ends[1], &byte, 1), 1);
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    close(again);
    close(ends[0]);
    close(ends[1]);
}

/* No new terminal is made. */
static void test_terminal_master(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), again;
    char name[64], same[64];

    if (master < 0)
        skip();
    again = dup_nonblocking(master, O_WRONLY);
    assert_true(again >= 0);
    assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
    assert_int_equal(ptsname_r(again, same, sizeof(same)), 0);
    assert_string_equal(name, same);
    close(again);
    close(master);
}

static void test_nothing(void **state)
{
    assert_int_equal(dup_nonblocking(-1, O_RDONLY), -EBADF);
}

static void test_whole_file(void **state)
{
    char directory[] = "/tmp/husk-test-XXXXXX";
    char *bytes;
    size_t len;
    int dir, fd;

    assert_non_null(mkdtemp(directory));
    dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dir, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write_full(fd, "abc", 3), 0);
    close(fd);
    assert_int_equal(symlinkat("file", dir, "link"), 0);
    assert_int_equal(read_file_at(dir, "file", 3, &bytes, &len), 0);
    assert_int_equal(len, 3);
    assert_string_equal(bytes, "abc");
    free(bytes);
    assert_int_equal(read_file_at(dir, "file", 2, &bytes, &len), -EFBIG);
    assert_null(bytes);
    assert_int_equal(read_file_at(dir, "link", 3, &bytes, &len), -ELOOP);
    assert_int_equal(read_file_at(dir, ".", 3, &bytes, &len), -EINVAL);
    assert_int_equal(read_file_at(dir, "none", 3, &bytes, &len), -ENOENT);
    unlinkat(dir, "link", 0);
    unlinkat(dir, "file", 0);
    close(dir);
    rmdir(directory);
}

static void the_same_file_is_opened_again(void **state)
{
    char path[] = "/tmp/husk-io-XXXXXX", byte;
    int fd = mkstemp(path), again, named;

    assert_true(fd >= 0);
    named = open(path, O_PATH | O_CLOEXEC);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, "x", 1), 1);
    again = open_again(named, O_RDONLY);
    assert_true(again >= 0);
    assert_int_equal(read(again, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_not_equal(fcntl(again, F_GETFD) & FD_CLOEXEC, 0);
    close(again);
    close(named);
    close(fd);
    assert_int_equal(open_again(fd, O_RDONLY), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_file_is_opened_again),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_file_keeps_its_offset),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_terminal_master),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_whole_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
