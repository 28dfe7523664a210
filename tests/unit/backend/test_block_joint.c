// SPDX-License-Identifier: Apache-2.0
/* Several files as one disk, by both engines: what is read where, and what cannot be done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "devices/backend/block.h"

#define PARTS 5u
#define DEPTH 8u

/* In bytes; the last has no whole number of pages. */
static const unsigned sizes[PARTS] = {4096, 512, 12288, 1024, 2048 + 512};
#define DISK_BYTES (4096u + 512 + 12288 + 1024 + 2048 + 512)

struct fixture {
    struct block_backend *backend;
    struct block_part parts[PARTS];
    uint8_t expected[DISK_BYTES];
};

struct request {
    struct block_request io;
    bool delivered;
    int result;
};

static void request_done(struct block_request *io, int result)
{
    struct request *request = container_of(io, struct request, io);

    request->delivered = true;
    request->result = result;
}

static int set_up(void **state, enum block_engine engine)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct husk_error err;
    unsigned at = 0;

    *state = f;
    for (unsigned i = 0; i < PARTS; i++) {
        f->parts[i].fd = memfd_create("part", MFD_CLOEXEC);
        f->parts[i].size_bytes = sizes[i];
        for (unsigned byte = 0; byte < sizes[i]; byte++, at++)
            f->expected[at] = (uint8_t)(at * 7 + i);
        if (pwrite(f->parts[i].fd, f->expected + at - sizes[i], sizes[i], 0) != sizes[i])
            return -1;
        /* What is behind a part in its file is not on the disk. */
        if (pwrite(f->parts[i].fd, "behind", 6, sizes[i]) != 6)
            return -1;
    }
    if (block_backend_create_joined(f->parts, PARTS, engine, DEPTH, &f->backend, &err) == 0)
        return 0;
    if (engine != BLOCK_ENGINE_URING)
        return -1;
    print_message("io_uring is not available here (%s): its tests are skipped\n", err.why);
    return 0;
}

static int set_up_threads(void **state)
{
    return set_up(state, BLOCK_ENGINE_THREADS);
}

static int set_up_uring(void **state)
{
    return set_up(state, BLOCK_ENGINE_URING);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    block_backend_destroy(f->backend);
    free(f);
    return 0;
}

static int run(struct block_backend *backend, struct request *request)
{
    request->io.done = request_done;
    request->delivered = false;
    assert_int_equal(block_backend_submit(backend, &request->io), 0);
    block_backend_kick(backend);
    block_backend_drain(backend);
    assert_true(request->delivered);
    return request->result;
}

/* Reads into two buffers, the first of which has `cut` bytes. */
static int read_range(struct block_backend *backend, uint8_t *out, uint64_t offset, unsigned len,
                      unsigned cut)
{
    struct iovec iov[] = {{out, cut}, {out + cut, len - cut}};
    struct request request = {.io = {.op = BLOCK_READ,
                                     .offset_bytes = offset,
                                     .len_bytes = len,
                                     .iov = iov,
                                     .iov_count = 2}};

    return run(backend, &request);
}

/* Every range of whole sectors: inside one file, across one border, across several. */
static void reads_any_range(void **state)
{
    struct fixture *f = *state;
    uint8_t got[DISK_BYTES];

    if (!f->backend)
        skip();
    for (unsigned from = 0; from < DISK_BYTES; from += 512) {
        for (unsigned to = from + 512; to <= DISK_BYTES; to += 512) {
            memset(got, 0xee, sizeof(got));
            assert_int_equal(read_range(f->backend, got, from, to - from, (to - from) / 3 + 1), 0);
            assert_memory_equal(got, f->expected + from, to - from);
        }
    }
}

static void reads_into_many_buffers(void **state)
{
    struct fixture *f = *state;
    static struct iovec iov[DISK_BYTES / 16];
    static uint8_t got[DISK_BYTES];
    struct request request = {
        .io = {
            .op = BLOCK_READ, .len_bytes = DISK_BYTES, .iov = iov, .iov_count = DISK_BYTES / 16}};

    if (!f->backend)
        skip();
    for (unsigned i = 0; i < DISK_BYTES / 16; i++)
        iov[i] = (struct iovec){got + 16 * i, 16};
    assert_int_equal(run(f->backend, &request), 0);
    assert_memory_equal(got, f->expected, DISK_BYTES);
}

static void is_read_only(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[512] = {0};
    struct iovec iov = {bytes, sizeof(bytes)};
    static const enum block_op ops[] = {BLOCK_WRITE, BLOCK_DISCARD, BLOCK_WRITE_ZEROES};

    if (!f->backend)
        skip();
    assert_false(block_backend_can_discard(f->backend));
    assert_false(block_backend_is_file(f->backend, f->parts[0].fd));
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        struct request request = {
            .io = {.op = ops[i], .len_bytes = 512, .iov = &iov, .iov_count = 1}};

        assert_int_equal(run(f->backend, &request), -EROFS);
    }
    assert_int_equal(read_range(f->backend, bytes, 0, 512, 1), 0);
    assert_memory_equal(bytes, f->expected, 512);
}

/* A file that shrinks gives errors, and only what lies in it. */
static void reports_what_is_gone(void **state)
{
    struct fixture *f = *state;
    uint8_t got[DISK_BYTES];

    if (!f->backend)
        skip();
    assert_int_equal(ftruncate(f->parts[2].fd, 4096), 0);
    assert_int_equal(read_range(f->backend, got, 4096 + 512, 4096, 512), 0);
    assert_int_equal(read_range(f->backend, got, 4096 + 512 + 4096, 512, 1), -EIO);
    assert_int_equal(read_range(f->backend, got, 0, DISK_BYTES, 512), -EIO);
    assert_int_equal(read_range(f->backend, got, DISK_BYTES - 512, 512, 1), 0);
    assert_int_equal(read_range(f->backend, got, DISK_BYTES - 512, 1024, 1), -EIO); /* the end */
}

static void refuses_what_is_no_disk(void **state)
{
    struct block_part parts[BLOCK_PARTS_MAX + 1];
    struct block_backend *backend;
    int fd = memfd_create("part", MFD_CLOEXEC);

    for (unsigned i = 0; i <= BLOCK_PARTS_MAX; i++)
        parts[i] = (struct block_part){.fd = fd, .size_bytes = 512};
    assert_int_equal(
        block_backend_create_joined(parts, 0, BLOCK_ENGINE_THREADS, DEPTH, &backend, NULL),
        -EINVAL);
    assert_int_equal(block_backend_create_joined(parts, BLOCK_PARTS_MAX + 1, BLOCK_ENGINE_THREADS,
                                                 DEPTH, &backend, NULL),
                     -EINVAL);
    parts[1].size_bytes = UINT64_MAX;
    assert_int_equal(
        block_backend_create_joined(parts, 2, BLOCK_ENGINE_THREADS, DEPTH, &backend, NULL),
        -EOVERFLOW);
    parts[1].size_bytes = 512;
    assert_int_equal(block_backend_create_joined(parts, 2, BLOCK_ENGINE_THREADS, 0, &backend, NULL),
                     -EINVAL);
    assert_true(fcntl(fd, F_GETFD) >= 0); /* still ours */
    close(fd);
}

#define BOTH(test)                                              \
    {#test ", threads", test, set_up_threads, tear_down, NULL}, \
    {                                                           \
#test ", io_uring", test, set_up_uring, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(reads_any_range),
        BOTH(reads_into_many_buffers),
        BOTH(is_read_only),
        BOTH(reports_what_is_gone),
        cmocka_unit_test(refuses_what_is_no_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
