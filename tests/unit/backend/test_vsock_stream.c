// SPDX-License-Identifier: Apache-2.0
/* One host program: nothing lost, nothing twice, nothing beyond the buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "base/io.h"
#include "devices/backend/vsock_stream.h"

static struct {
    struct event_loop *loop;
    struct vsock_stream *stream;
    int program;
    uint32_t events;
} t;

static void on_events(void *owner, uint32_t events)
{
    t.events |= events;
}

static int setup(void **state)
{
    int ends[2];

    memset(&t, 0, sizeof(t));
    assert_int_equal(event_loop_create(&t.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(vsock_stream_create(t.loop, ends[0], &t.stream), 0);
    vsock_stream_set_owner(t.stream, on_events, NULL);
    t.program = ends[1];
    return 0;
}

static int teardown(void **state)
{
    vsock_stream_close(t.stream);
    event_loop_destroy(t.loop);
    close_fd(&t.program);
    return 0;
}

static int write_bytes(const void *data, size_t len)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = len};

    return vsock_stream_write(t.stream, &iov, 1);
}

static ssize_t read_bytes(void *data, size_t len)
{
    struct iovec iov = {.iov_base = data, .iov_len = len};

    return vsock_stream_read(t.stream, &iov, 1);
}

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 16);
}

/* Write the pattern in pieces until the buffer refuses; how many bytes. */
static uint32_t fill_up(uint32_t piece)
{
    static uint8_t bytes[VSOCK_STREAM_BUFFER_BYTES];
    uint32_t written = 0;
    int ret;

    for (;;) {
        for (uint32_t i = 0; i < piece; i++)
            bytes[i] = pattern(written + i);
        ret = write_bytes(bytes, piece);
        if (ret)
            break;
        written += piece;
    }
    assert_int_equal(ret, -ENOBUFS);
    assert_true(vsock_stream_buffered(t.stream) > VSOCK_STREAM_BUFFER_BYTES - piece);
    assert_int_equal(vsock_stream_delivered(t.stream) + vsock_stream_buffered(t.stream), written);
    return written;
}

/* The program reads everything, `piece` bytes at a time, the stream flushing in between. */
static void assert_reads_pattern(uint32_t total, size_t piece)
{
    static uint8_t bytes[16384];
    uint32_t at = 0;

    while (at < total) {
        ssize_t n = recv(t.program, bytes, piece, 0);

        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], pattern(at + (uint32_t)i));
        at += (uint32_t)n;
        vsock_stream_flush(t.stream);
    }
    assert_int_equal(recv(t.program, bytes, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(vsock_stream_buffered(t.stream), 0);
    assert_int_equal(vsock_stream_delivered(t.stream), total);
}

static void test_partial_writes(void **state)
{
    static const uint32_t pieces[] = {1000, 4096, 7777, 65536};

    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        uint32_t written = fill_up(pieces[i]);

        assert_reads_pattern(written, 3000 + i);
        teardown(state);
        setup(state);
    }
}

/* Several buffers of which the socket takes an odd part. */
static void test_vectors(void **state)
{
    static uint8_t bytes[60000];
    uint32_t written = 0;

    for (;;) {
        struct iovec iov[4] = {
            {bytes, 1}, {bytes + 1, 20000}, {bytes + 20001, 0}, {bytes + 20001, 39999}};

        for (uint32_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = pattern(written + i);
        if (vsock_stream_write(t.stream, iov, 4))
            break;
        written += sizeof(bytes);
    }
    assert_true(written > 0);
    assert_reads_pattern(written, 5000);
}

static void test_too_much_at_once(void **state)
{
    static uint8_t bytes[VSOCK_STREAM_BUFFER_BYTES + 1];

    assert_int_equal(write_bytes(bytes, sizeof(bytes)), -ENOBUFS);
    assert_int_equal(vsock_stream_delivered(t.stream), 0);
}

static void test_deaf(void **state)
{
    uint32_t written = fill_up(4096);

    close_fd(&t.program);
    vsock_stream_flush(t.stream);
    assert_true(vsock_stream_is_deaf(t.stream));
    assert_int_equal(vsock_stream_buffered(t.stream), 0);
    assert_int_equal(vsock_stream_delivered(t.stream), written);
    assert_int_equal(write_bytes("more", 4), 0);
    assert_int_equal(vsock_stream_delivered(t.stream), written + 4);
}

/* What it wrote before it went is read; that it left something unread is said then. */
static void test_last_words_then_reset(void **state)
{
    char bytes[8];

    assert_int_equal(write_bytes("unread", 6), 0);
    assert_int_equal(send(t.program, "bye", 3, 0), 3);
    close_fd(&t.program);
    assert_int_equal(write_bytes("more", 4), 0); /* the stream notices here */
    assert_true(vsock_stream_is_deaf(t.stream));
    assert_int_equal(read_bytes(bytes, sizeof(bytes)), 3);
    assert_int_equal(read_bytes(bytes, sizeof(bytes)), -ECONNRESET);
}

static void test_end_of_file(void **state)
{
    char bytes[8];

    assert_int_equal(read_bytes(bytes, sizeof(bytes)), -EAGAIN);
    assert_int_equal(send(t.program, "bye", 3, 0), 3);
    shutdown(t.program, SHUT_WR);
    assert_int_equal(read_bytes(bytes, 2), 2);
    assert_int_equal(read_bytes(bytes, 2), 1);
    assert_int_equal(read_bytes(bytes, 2), 0);
    assert_int_equal(write_bytes("still", 5), 0);
    assert_int_equal(recv(t.program, bytes, sizeof(bytes), 0), 5);
    assert_false(vsock_stream_is_deaf(t.stream));
}

/* Descriptors that a program passes along stay nowhere. */
static void test_passed_descriptors(void **state)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = (char[]){'x'}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    int pipe_ends[2], next, after;
    char byte;

    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    memset(&control, 0, sizeof(control));
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &pipe_ends[1], sizeof(int));
    assert_int_equal(sendmsg(t.program, &message, 0), 1);
    next = dup(0);
    close(next);
    assert_int_equal(read_bytes(&byte, 1), 1);
    after = dup(0);
    assert_int_equal(after, next);
    close(after);
    close(pipe_ends[1]);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* nobody else has the other end */
    close(pipe_ends[0]);
}

static void test_watch(void **state)
{
    assert_int_equal(send(t.program, "x", 1, 0), 1);
    event_loop_run_once(t.loop, 0);
    assert_int_equal(t.events, 0);
    vsock_stream_watch(t.stream, EPOLLIN);
    event_loop_run_once(t.loop, 0);
    assert_int_equal(t.events, EPOLLIN);
    t.events = 0;
    vsock_stream_watch(t.stream, EPOLLERR); /* nothing but the end */
    event_loop_run_once(t.loop, 0);
    assert_int_equal(t.events, 0);
    close_fd(&t.program);
    event_loop_run_once(t.loop, 0);
    assert_true(t.events & EPOLLHUP);
    t.events = 0;
    vsock_stream_watch(t.stream, 0);
    event_loop_run_once(t.loop, 0);
    assert_int_equal(t.events, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_partial_writes),        TEST(test_vectors),
        TEST(test_too_much_at_once),      TEST(test_deaf),
        TEST(test_last_words_then_reset), TEST(test_end_of_file),
        TEST(test_passed_descriptors),    TEST(test_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
