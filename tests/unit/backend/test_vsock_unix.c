// SPDX-License-Identifier: Apache-2.0
/* Unix sockets as the host side of virtio sockets: the CONNECT line, half-open clients, connecting
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "base/io.h"
#include "devices/backend/vsock_listen.h"
#include "devices/backend/vsock_unix.h"

static struct {
    struct event_loop *loop;
    struct vsock_unix *backend;
    char directory[64], path[80];
    unsigned incoming;
    uint32_t port;
    bool take;
    struct vsock_stream *stream;
} t;

static bool incoming(void *device, struct vsock_stream *stream, uint32_t guest_port)
{
    t.incoming++;
    t.port = guest_port;
    t.stream = t.take ? stream : NULL;
    return t.take;
}

static const struct vsock_frontend_ops ops = {.incoming = incoming};

static int setup(void **state)
{
    uint64_t device, inode;
    int fd;

    memset(&t, 0, sizeof(t));
    t.take = true;
    strcpy(t.directory, "/tmp/husk-vsock-XXXXXX");
    assert_non_null(mkdtemp(t.directory));
    snprintf(t.path, sizeof(t.path), "%s/v", t.directory);
    assert_int_equal(event_loop_create(&t.loop), 0);
    fd = vsock_listen(t.path, &device, &inode, NULL);
    assert_true(fd >= 0);
    assert_int_equal(vsock_unix_create(t.loop, fd, t.path, &ops, NULL, &t.backend), 0);
    return 0;
}

static int teardown(void **state)
{
    vsock_stream_close(t.stream);
    vsock_unix_destroy(t.backend);
    event_loop_destroy(t.loop);
    unlink(t.path);
    rmdir(t.directory);
    return 0;
}

static void settle(void)
{
    while (event_loop_run_once(t.loop, 0) > 0)
        ;
}

static int open_client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", t.path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    settle();
}

/* Whether the backend has closed the client's connection. */
static bool is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static void test_connect_line(void **state)
{
    static const struct {
        const char *line;
        uint32_t port;
    } good[] = {{"CONNECT 0\n", 0}, {"CONNECT 52\n", 52}, {"CONNECT 4294967295\n", UINT32_MAX}};

    for (unsigned i = 0; i < 3; i++) {
        int fd = open_client();

        say(fd, good[i].line, strlen(good[i].line));
        assert_int_equal(t.incoming, i + 1);
        assert_int_equal(t.port, good[i].port);
        assert_false(is_closed(fd));
        vsock_stream_close(t.stream);
        t.stream = NULL;
        assert_true(is_closed(fd));
        close_fd(&fd);
    }
}

static void test_bad_lines(void **state)
{
#define LINE(text)             \
    {                          \
        text, sizeof(text) - 1 \
    }
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {
        LINE("\n"),
        LINE("CONNECT\n"),
        LINE("CONNECT \n"),
        LINE("CONNECT  52\n"),
        LINE("CONNECT 52 \n"),
        LINE("CONNECT 52\r\n"),
        LINE("CONNECT +52\n"),
        LINE("CONNECT -1\n"),
        LINE("CONNECT 0x10\n"),
        LINE("connect 52\n"),
        LINE(" CONNECT 52\n"),
        LINE("CONNECT 4294967296\n"),
        LINE("CONNECT 52\0junk\n"),
        LINE("CONNECT 52\0\n"),
        LINE("CONNECT 00000000052\n"),
        LINE("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = open_client();

        say(fd, bad[i].text, bad[i].len);
        if (!is_closed(fd) || t.incoming)
            fail_msg("line %u: %s", i, bad[i].text);
        close_fd(&fd);
    }
}

/* Byte by byte, and with bytes for the guest right behind it. */
static void test_line_in_pieces(void **state)
{
    static const char line[] = "CONNECT 1234\nfor the guest";
    char bytes[64];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    int fd = open_client();

    for (unsigned i = 0; i < 12; i++) {
        say(fd, line + i, 1);
        assert_int_equal(t.incoming, 0);
    }
    say(fd, line + 12, strlen(line) - 12);
    assert_int_equal(t.incoming, 1);
    assert_int_equal(t.port, 1234);
    assert_int_equal(vsock_stream_read(t.stream, &iov, 1), 13);
    assert_memory_equal(bytes, "for the guest", 13);
    close_fd(&fd);
}

static void test_line_without_end(void **state)
{
    int fd = open_client();

    say(fd, "CONNECT 1234", 12);
    shutdown(fd, SHUT_WR);
    settle();
    assert_true(is_closed(fd));
    assert_int_equal(t.incoming, 0);
    close_fd(&fd);
}

static void test_answer(void **state)
{
    char bytes[64] = "";
    int fd = open_client();

    say(fd, "CONNECT 1\n", 10);
    assert_int_equal(vsock_unix_answer(t.stream, UINT32_MAX), 0);
    assert_int_equal(vsock_stream_delivered(t.stream), 0);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 14);
    assert_string_equal(bytes, "OK 4294967295\n");
    close_fd(&fd);
    assert_int_not_equal(vsock_unix_answer(t.stream, 1), 0);
}

static void test_refused(void **state)
{
    int fd = open_client();

    t.take = false;
    say(fd, "CONNECT 1\n", 10);
    assert_int_equal(t.incoming, 1);
    assert_true(is_closed(fd));
    close_fd(&fd);
}

static void test_slow_client(void **state)
{
    int fd = open_client();

    say(fd, "CONNECT", 7);
    for (unsigned turn = 0; turn < 100 && !is_closed(fd); turn++)
        event_loop_run_once(t.loop, 1000);
    assert_true(is_closed(fd));
    assert_int_equal(t.incoming, 0);
    close_fd(&fd);
}

static void test_many_clients(void **state)
{
    int fds[VSOCK_CLIENTS_MAX], late;

    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        fds[i] = open_client();
        say(fds[i], "C", 1);
    }
    late = open_client();
    say(late, "CONNECT 9\n", 10);
    assert_int_equal(t.incoming, 0); /* it waits, */
    close_fd(&fds[5]);
    settle();
    assert_int_equal(t.incoming, 1); /* until one has left */
    assert_int_equal(t.port, 9);
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        close_fd(&fds[i]);
    close_fd(&late);
}

static void test_pause(void **state)
{
    int before = open_client(), during;

    say(before, "CONNECT", 7);
    vsock_unix_pause(t.backend);
    during = open_client();
    say(during, "CONNECT 2\n", 10);
    say(before, " 1\n", 3);
    assert_int_equal(t.incoming, 0);
    vsock_unix_resume(t.backend);
    t.take = false;
    settle();
    assert_int_equal(t.incoming, 2);
    assert_true(is_closed(before) && is_closed(during));
    close_fd(&before);
    close_fd(&during);
}

static void test_connect_out(void **state)
{
    struct iovec iov = {.iov_base = (char[]){'x'}, .iov_len = 1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
    char byte;

    assert_int_equal(vsock_unix_connect(t.backend, 77, &t.stream), -ENOENT);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s_77", t.path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(vsock_unix_connect(t.backend, 77, &t.stream), -ECONNREFUSED);
    assert_null(t.stream);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(vsock_unix_connect(t.backend, 77, &t.stream), 0);
    assert_int_equal(vsock_stream_write(t.stream, &iov, 1), 0);
    fd = accept(listener, NULL, NULL);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close_fd(&fd);
    close_fd(&listener);
    unlink(address.sun_path);
}

/* Nothing is left open behind it, however it finds things. */
static void test_destroy_with_clients(void **state)
{
    int fd = open_client();

    say(fd, "CONN", 4);
    vsock_unix_destroy(t.backend);
    t.backend = NULL;
    assert_true(is_closed(fd));
    close_fd(&fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connect_line),
        TEST(test_bad_lines),
        TEST(test_line_in_pieces),
        TEST(test_line_without_end),
        TEST(test_answer),
        TEST(test_refused),
        TEST(test_slow_client),
        TEST(test_many_clients),
        TEST(test_pause),
        TEST(test_connect_out),
        TEST(test_destroy_with_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
