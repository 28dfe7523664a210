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
#include <sys/socket.h>
#include <unistd.h>

#include "cli/pod/relay.h"

/* Local ends (ours to write to and read from) and remote ones of a relay. */
struct fixture {
    struct relay *relay;
    int keys, screen;      /* other ends of standard input and output */
    int remote_in, remote; /* the process's ends */
};

static void set_up(struct fixture *f, bool duplex)
{
    int in[2], out[2], a[2], b[2];

    f->relay = calloc(1, sizeof(*f->relay));
    assert_non_null(f->relay);
    relay_init(f->relay);
    detach_keys_parse("ctrl-p,ctrl-q", &f->relay->filter);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
    assert_int_equal(relay_add(f->relay, RELAY_IN, in[0], duplex ? dup(a[0]) : a[0], duplex), 0);
    assert_int_equal(relay_add(f->relay, RELAY_OUT, out[1], duplex ? a[0] : b[0], duplex), 0);
    close(in[0]);
    close(out[1]);
    if (duplex) {
        close(b[0]);
        close(b[1]);
    }
    f->keys = in[1];
    f->screen = out[0];
    f->remote_in = a[1];
    f->remote = duplex ? a[1] : b[1];
}

static void tear_down(struct fixture *f)
{
    relay_close(f->relay);
    free(f->relay);
    close(f->keys);
    close(f->screen);
    close(f->remote_in);
    if (f->remote != f->remote_in)
        close(f->remote);
}

/* Works until there is nothing to do. */
static void turn(struct relay *relay)
{
    struct pollfd polls[RELAY_POLLS];

    for (;;) {
        relay_poll(relay, polls);
        if (poll(polls, RELAY_POLLS, 50) == 0)
            return;
        relay_work(relay, polls);
    }
}

static void test_both_ways(void **state)
{
    struct fixture f;
    char text[16] = "";

    set_up(&f, false);
    assert_int_equal(write(f.keys, "in", 2), 2);
    assert_int_equal(write(f.remote, "out", 3), 3);
    turn(f.relay);
    assert_int_equal(read(f.remote_in, text, sizeof(text)), 2);
    assert_memory_equal(text, "in", 2);
    assert_int_equal(read(f.screen, text, sizeof(text)), 3);
    assert_memory_equal(text, "out", 3);
    assert_false(relay_output_ended(f.relay));
    tear_down(&f);
}

static void test_half_close(void **state)
{
    struct pollfd polled;
    struct fixture f;
    char text[16];

    set_up(&f, false);
    assert_int_equal(write(f.keys, "last", 4), 4);
    close(f.keys);
    f.keys = -1;
    turn(f.relay);
    assert_int_equal(read(f.remote_in, text, sizeof(text)), 4);
    assert_int_equal(read(f.remote_in, text, sizeof(text)), 0);
    /* An orderly end, not a connection that has broken. */
    polled = (struct pollfd){.fd = f.remote_in, .events = POLLRDHUP};
    assert_int_equal(poll(&polled, 1, 0), 1);
    assert_true((polled.revents & POLLRDHUP) && !(polled.revents & (POLLHUP | POLLERR)));
    /* Output goes on, to its own end. */
    assert_int_equal(write(f.remote, "sum", 3), 3);
    shutdown(f.remote, SHUT_WR);
    turn(f.relay);
    assert_int_equal(read(f.screen, text, sizeof(text)), 3);
    assert_int_equal(read(f.screen, text, sizeof(text)), 0);
    assert_true(relay_output_ended(f.relay));
    tear_down(&f);
}

static void test_terminal_outlives_input(void **state)
{
    struct fixture f;
    char text[16];

    set_up(&f, true);
    close(f.keys);
    f.keys = -1;
    turn(f.relay);
    assert_int_equal(recv(f.remote, text, sizeof(text), MSG_DONTWAIT), -1);
    assert_int_equal(write(f.remote, "still", 5), 5);
    turn(f.relay);
    assert_int_equal(read(f.screen, text, sizeof(text)), 5);
    tear_down(&f);
}

static void test_slow_reader_holds_the_writer(void **state)
{
    static char block[64 << 10];
    struct fixture f;
    size_t sent = 0, got = 0;
    ssize_t n;

    set_up(&f, false);
    memset(block, 'x', sizeof(block));
    for (unsigned i = 0; i < 64; i++) {
        n = send(f.remote, block, sizeof(block), MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        turn(f.relay);
    }
    assert_true(sent < 64 * sizeof(block)); /* it had to stop */
    shutdown(f.remote, SHUT_WR);
    fcntl(f.screen, F_SETFL, O_NONBLOCK);
    while (!relay_output_ended(f.relay)) {
        struct pollfd polls[RELAY_POLLS];

        while ((n = read(f.screen, block, sizeof(block))) > 0)
            got += (size_t)n;
        relay_poll(f.relay, polls);
        assert_true(poll(polls, RELAY_POLLS, 5000) > 0);
        relay_work(f.relay, polls);
    }
    while ((n = read(f.screen, block, sizeof(block))) > 0)
        got += (size_t)n;
    assert_int_equal(got, sent);
    tear_down(&f);
}

static void test_no_reader(void **state)
{
    struct fixture f;

    set_up(&f, false);
    close(f.screen);
    f.screen = -1;
    assert_int_equal(write(f.remote, "lost", 4), 4);
    turn(f.relay);
    assert_int_equal(f.relay->write_error, EPIPE);
    /* What writes is not held up: the rest is thrown away, and the end is seen. */
    assert_int_equal(write(f.remote, "lost", 4), 4);
    shutdown(f.remote, SHUT_WR);
    turn(f.relay);
    assert_true(relay_output_ended(f.relay));
    tear_down(&f);
}

static void test_process_that_does_not_read(void **state)
{
    struct fixture f;

    set_up(&f, false);
    close(f.remote_in);
    f.remote_in = -1;
    assert_int_equal(write(f.keys, "in", 2), 2);
    turn(f.relay);
    assert_true(f.relay->flows[RELAY_IN].ended);
    assert_int_equal(f.relay->write_error, 0);
    tear_down(&f);
}

static void test_detach(void **state)
{
    struct fixture f;
    char text[16];

    set_up(&f, true);
    assert_int_equal(write(f.keys, "a\x10\x11z", 4), 4);
    turn(f.relay);
    assert_true(f.relay->detached);
    assert_int_equal(recv(f.remote, text, sizeof(text), MSG_DONTWAIT), 1);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_terminal_outlives_input),
        cmocka_unit_test(test_slow_reader_holds_the_writer),
        cmocka_unit_test(test_no_reader),
        cmocka_unit_test(test_process_that_does_not_read),
        cmocka_unit_test(test_detach),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
