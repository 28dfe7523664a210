// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/api/console.h"

static const struct husk_rate no_rate;

static void fill(int fd, size_t bytes)
{
    char block[1024];

    memset(block, 'x', sizeof(block));
    for (size_t n = 0; n < bytes; n += sizeof(block))
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
}

static size_t drain(int fd)
{
    char block[4096];
    size_t total = 0;
    ssize_t n;

    while ((n = read(fd, block, sizeof(block))) > 0)
        total += (size_t)n;
    return total;
}

static void test_passes_on(void **state)
{
    struct api_console console;
    struct pollfd fd;
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(console_open(&console, ends[1], no_rate), 0);
    assert_int_not_equal(console_vm_fd(&console), ends[1]);
    fill(console_vm_fd(&console), 20480);
    console_poll(&console, &fd);
    assert_int_equal(poll(&fd, 1, 0), 1);
    console_run(&console);
    assert_int_equal(console_timeout_ms(&console), -1);
    assert_int_equal(drain(ends[0]), 20480);
    console_close(&console);
    close(ends[0]);
}

/* A regular file never keeps anybody waiting. */
static void test_file_directly(void **state)
{
    char path[] = "/tmp/husk-console-XXXXXX";
    struct api_console console;
    struct pollfd wait;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(console_open(&console, fd, no_rate), 0);
    assert_int_equal(console_vm_fd(&console), fd);
    console_poll(&console, &wait);
    assert_int_equal(wait.fd, -1);
    console_close(&console);
    unlink(path);
}

static void test_slow_reader_loses_nothing_at_first(void **state)
{
    struct api_console console;
    struct pollfd fd;
    int ends[2];
    size_t total;

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(console_open(&console, ends[1], no_rate), 0);
    fill(console_vm_fd(&console), 61440);
    console_run(&console);
    fill(console_vm_fd(&console), 61440);
    console_run(&console);
    /* It waits for the reader, not for the guest. */
    console_poll(&console, &fd);
    assert_int_equal(fd.fd, ends[1]);
    assert_int_equal(fd.events, POLLOUT);
    assert_true(console_timeout_ms(&console) >= 0);
    total = drain(ends[0]);
    console_run(&console);
    total += drain(ends[0]);
    console_run(&console);
    total += drain(ends[0]);
    assert_int_equal(total, 122880);
    assert_int_equal(console.dropped_bytes, 0);
    console_close(&console);
    close(ends[0]);
}

static void test_reader_that_never_reads(void **state)
{
    struct api_console console;
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(console_open(&console, ends[1], no_rate), 0);
    fill(console_vm_fd(&console), 61440);
    console_run(&console);
    fill(console_vm_fd(&console), 61440);
    console_run(&console);
    /* Its time is up. */
    console.waiting_since_ns = 0;
    for (unsigned i = 0; i < 64; i++) {
        console_run(&console);
        fill(console_vm_fd(&console), 4096);
    }
    console_run(&console);
    assert_true(console.dropped_bytes > 0);
    assert_true(console.reader_gone);
    /* And then it reads again. */
    drain(ends[0]);
    fill(console_vm_fd(&console), 4096);
    console_run(&console);
    assert_true(drain(ends[0]) > 0);
    assert_false(console.reader_gone);
    console_close(&console);
    close(ends[0]);
}

static void test_reader_that_is_gone(void **state)
{
    struct api_console console;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(console_open(&console, ends[1], no_rate), 0);
    close(ends[0]);
    for (unsigned i = 0; i < 64; i++) {
        fill(console_vm_fd(&console), 4096);
        console_run(&console);
    }
    assert_int_equal(console.dropped_bytes, 64 * 4096);
    console_close(&console);
}

static void test_rate(void **state)
{
    struct api_console console;
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(
        console_open(&console, ends[1], (struct husk_rate){.per_second = 1, .burst = 8192}), 0);
    fill(console_vm_fd(&console), 40960);
    console_run(&console);
    assert_int_equal(drain(ends[0]), 8192);
    assert_int_equal(console.dropped_bytes, 32768);
    console_close(&console);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_on),
        cmocka_unit_test(test_file_directly),
        cmocka_unit_test(test_slow_reader_loses_nothing_at_first),
        cmocka_unit_test(test_reader_that_never_reads),
        cmocka_unit_test(test_reader_that_is_gone),
        cmocka_unit_test(test_rate),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
