// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "devices/backend/block_engine.h"

#define DISK_BYTES 65536u

static int setup(void **state)
{
    int fd = memfd_create("disk", MFD_CLOEXEC);
    uint8_t pattern[DISK_BYTES];

    for (unsigned i = 0; i < DISK_BYTES; i++)
        pattern[i] = (uint8_t)(i % 251);
    if (fd < 0 || pwrite(fd, pattern, sizeof(pattern), 0) != (ssize_t)sizeof(pattern))
        return -1;
    *state = (void *)(intptr_t)fd;
    return 0;
}

static int teardown(void **state)
{
    close((int)(intptr_t)*state);
    return 0;
}

static int run(void **state, const struct block_request *request, uint64_t *done)
{
    struct block_task task = {.request = (struct block_request *)request, .done_bytes = *done};
    int rc = block_task_execute((int)(intptr_t)*state, false, &task);

    *done = task.done_bytes;
    return rc;
}

/* Scattered buffers, and every possible point at which somebody else stopped. */
static void test_goes_on_where_a_transfer_stopped(void **state)
{
    uint8_t a[100], b[1], c[411];
    const struct iovec iov[] = {{a, sizeof(a)}, {b, sizeof(b)}, {c, sizeof(c)}};
    const struct block_request read = {
        .op = BLOCK_READ, .offset_bytes = 1024, .len_bytes = 512, .iov = iov, .iov_count = 3};

    for (uint64_t stop = 0; stop <= 512; stop++) {
        uint64_t done = stop;

        memset(a, 0xee, sizeof(a));
        memset(b, 0xee, sizeof(b));
        memset(c, 0xee, sizeof(c));
        assert_int_equal(run(state, &read, &done), 0);
        assert_int_equal(done, 512);
        for (unsigned i = 0; i < 512; i++) {
            uint8_t got = i < 100 ? a[i] : i < 101 ? b[0] : c[i - 101];

            /* bytes before the stop are not touched again */
            assert_int_equal(got, i < stop ? 0xee : (1024 + i) % 251);
        }
    }
}

static void test_more_buffers_than_one_call_takes(void **state)
{
    enum { COUNT = 3000 };
    static uint8_t data[COUNT * 8];
    static struct iovec iov[COUNT];
    const struct block_request read = {.op = BLOCK_READ,
                                       .offset_bytes = 512,
                                       .len_bytes = sizeof(data),
                                       .iov = iov,
                                       .iov_count = COUNT};
    uint64_t done = 0;

    for (unsigned i = 0; i < COUNT; i++)
        iov[i] = (struct iovec){&data[(COUNT - 1 - i) * 8], 8};
    assert_int_equal(run(state, &read, &done), 0);
    for (unsigned i = 0; i < sizeof(data); i++)
        assert_int_equal(data[(COUNT - 1 - i / 8) * 8 + i % 8], (512 + i) % 251);
}

static void test_truncated_file_is_an_error(void **state)
{
    uint8_t data[2048];
    const struct iovec iov = {data, sizeof(data)};
    const struct block_request read = {.op = BLOCK_READ,
                                       .offset_bytes = DISK_BYTES - 2048,
                                       .len_bytes = 2048,
                                       .iov = &iov,
                                       .iov_count = 1};
    uint64_t done = 0;

    assert_int_equal(ftruncate((int)(intptr_t)*state, DISK_BYTES - 1000), 0);
    assert_int_equal(run(state, &read, &done), -EIO);
    assert_int_equal(done, 1048);
}

/* A full disk, played by a limit on the file size: what was written before is reported as done. */
static void test_error_after_a_partial_write(void **state)
{
    uint8_t data[2048];
    const struct iovec iov = {data, sizeof(data)};
    const struct block_request write = {.op = BLOCK_WRITE,
                                        .offset_bytes = DISK_BYTES,
                                        .len_bytes = 2048,
                                        .iov = &iov,
                                        .iov_count = 1};
    struct rlimit old, limit;
    uint64_t done = 0;
    uint8_t back[1024];

    memset(data, 0x5a, sizeof(data));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = DISK_BYTES + 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = run(state, &write, &done);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(rc, -EFBIG);
    assert_int_equal(done, 1024);
    assert_int_equal(pread((int)(intptr_t)*state, back, sizeof(back), DISK_BYTES), 1024);
    assert_memory_equal(back, data, sizeof(back));
}

static void expect_zeroes(void **state, uint64_t from, uint64_t to)
{
    uint8_t all[DISK_BYTES];

    assert_int_equal(pread((int)(intptr_t)*state, all, DISK_BYTES, 0), DISK_BYTES);
    for (uint64_t i = 0; i < DISK_BYTES; i++)
        assert_int_equal(all[i], i >= from && i < to ? 0 : i % 251);
}

/* memfd (tmpfs) punches holes but has no ZERO_RANGE: both ways and the fallback are taken here. */
static void test_write_zeroes(void **state)
{
    struct block_request zero = {
        .op = BLOCK_WRITE_ZEROES, .offset_bytes = 512, .len_bytes = 8192 + 512, .may_unmap = true};
    uint64_t done = 0;

    assert_int_equal(run(state, &zero, &done), 0);
    expect_zeroes(state, 512, 512 + 8192 + 512);

    zero.may_unmap = false;
    zero.stable = true;
    zero.len_bytes = DISK_BYTES - 1024;
    assert_int_equal(run(state, &zero, &done), 0);
    expect_zeroes(state, 512, DISK_BYTES - 512);
}

static void test_write_zeroes_on_a_file_system(void **state)
{
    char path[] = "husk-io-XXXXXX";
    int fd = mkstemp(path);
    struct block_request zero = {.op = BLOCK_WRITE_ZEROES, .offset_bytes = 512, .len_bytes = 1024};
    struct block_task task = {.request = &zero};
    uint8_t data[4096];

    assert_true(fd >= 0);
    unlink(path);
    memset(data, 0xff, sizeof(data));
    assert_int_equal(pwrite(fd, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(block_task_execute(fd, false, &task), 0);
    assert_int_equal(pread(fd, data, sizeof(data), 0), sizeof(data));
    for (unsigned i = 0; i < sizeof(data); i++)
        assert_int_equal(data[i], i >= 512 && i < 1536 ? 0 : 0xff);
    close(fd);
}

static void test_discard(void **state)
{
    int fd = (int)(intptr_t)*state;
    const struct block_request discard = {
        .op = BLOCK_DISCARD, .offset_bytes = 4096, .len_bytes = 8192};
    uint64_t done = 0;

    assert_true(block_can_discard(fd, false));
    expect_zeroes(state, 0, 0); /* asking changes nothing */
    assert_int_equal(lseek(fd, 0, SEEK_END), DISK_BYTES);
    assert_int_equal(run(state, &discard, &done), 0);
    expect_zeroes(state, 4096, 4096 + 8192);

    assert_false(block_can_discard(STDIN_FILENO, true));
}

static void test_flush(void **state)
{
    const struct block_request request = {.op = BLOCK_FLUSH};
    uint64_t done = 0;

    assert_int_equal(run(state, &request, &done), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on_where_a_transfer_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_buffers_than_one_call_takes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_file_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_after_a_partial_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_zeroes, setup, teardown),
        cmocka_unit_test(test_write_zeroes_on_a_file_system),
        cmocka_unit_test_setup_teardown(test_discard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
