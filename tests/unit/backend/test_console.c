// SPDX-License-Identifier: Apache-2.0
/* The host end of a console, over every kind of descriptor, with slow, stuck and vanished peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/backend/console.h"

#define RING CONSOLE_OUTPUT_RING_BYTES

/* The device: takes up to `room` bytes of input, counts everything. */
static struct test {
    struct event_loop *loop;
    struct console_backend *backend;
    size_t room;
    uint8_t input[1 << 16];
    size_t input_bytes, largest_input;
    unsigned closed, ready;
} t;

static size_t device_input_room(void *device)
{
    return t.room;
}

static void device_input(void *device, const uint8_t *data, size_t len)
{
    assert_true(len > 0 && len <= t.room);
    assert_true(t.input_bytes + len <= sizeof(t.input));
    memcpy(t.input + t.input_bytes, data, len);
    t.input_bytes += len;
    t.room -= len;
    if (len > t.largest_input)
        t.largest_input = len;
}

static void device_input_closed(void *device)
{
    t.closed++;
}

static void device_output_ready(void *device)
{
    t.ready++;
}

static const struct console_frontend_ops frontend = {
    .input_room = device_input_room,
    .input = device_input,
    .input_closed = device_input_closed,
    .output_ready = device_output_ready,
};

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    t.room = sizeof(t.input);
    return event_loop_create(&t.loop);
}

static int teardown(void **state)
{
    console_backend_destroy(t.backend, 0);
    event_loop_destroy(t.loop);
    return 0;
}

static void begin(int in_fd, int out_fd)
{
    assert_int_equal(console_backend_create(t.loop, in_fd, out_fd, &t.backend), 0);
    console_backend_set_frontend(t.backend, &frontend, &t);
}

/* The I/O thread has every signal blocked; here the test is that thread. */
static void settle(void)
{
    sigset_t pipe, before;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    for (unsigned turn = 0; turn < 100000; turn++) {
        const struct timespec no_wait = {0};

        if (event_loop_run_once(t.loop, 0) > 0)
            continue;
        sigtimedwait(&pipe, NULL, &no_wait);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return;
    }
    fail_msg("the loop spins");
}

static void end(unsigned drain_ms)
{
    console_backend_destroy(t.backend, drain_ms);
    t.backend = NULL;
}

static size_t put(const void *data, size_t len)
{
    return console_backend_write(t.backend, data, len);
}

/* Bytes that differ from their neighbours and from those a ring apart. */
static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static size_t put_pattern(size_t start, size_t len)
{
    static uint8_t bytes[4 * RING];

    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(start + i);
    return put(bytes, len);
}

static void assert_pattern(const uint8_t *bytes, size_t start, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != pattern(start + i))
            fail_msg("byte %zu differs", start + i);
    }
}

/* What a non-blocking descriptor has now. */
static size_t drain_fd(int fd, uint8_t *bytes, size_t max)
{
    size_t done = 0;
    ssize_t n;

    while (done < max && (n = read(fd, bytes + done, max - done)) > 0)
        done += (size_t)n;
    return done;
}

static void make_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
}

static void close_both(int fds[2])
{
    close_fd(&fds[0]);
    close_fd(&fds[1]);
}

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* ---- output ---- */

static void output_is_written_in_order(void **state)
{
    uint8_t bytes[16];
    int out[2];

    make_pipe(out);
    set_nonblocking(out[0]);
    begin(-1, out[1]);
    assert_int_equal(put("hello ", 6), 6);
    assert_int_equal(put("world", 5), 5);
    assert_int_equal(put("", 0), 0);
    settle();
    assert_int_equal(drain_fd(out[0], bytes, sizeof(bytes)), 11);
    assert_memory_equal(bytes, "hello world", 11);
    assert_int_equal(console_backend_output_room(t.backend), RING);
    assert_int_equal(t.ready, 0);
    end(0);
    close_both(out);
}

static void without_an_output_descriptor_it_is_swallowed(void **state)
{
    begin(-1, -1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(put_pattern(0, RING), RING);
        assert_int_equal(put("x", 1), 0);
        settle();
        assert_int_equal(t.ready, i + 1);
    }
    end(1000);
}

/* A reader that stops: what fits is kept, the rest is refused, and the device is told later. */
static void flood(int reader, int writer)
{
    static uint8_t bytes[16 * RING];
    size_t sent = 0, got = 0, taken;
    unsigned ready;

    begin(-1, writer);
    do {
        taken = put_pattern(sent, RING / 2 + 13);
        sent += taken;
        settle();
    } while (taken > 0 || console_backend_output_room(t.backend) > 0);
    assert_true(sent <= sizeof(bytes));
    ready = t.ready;
    /* Full, and it stays so however often the device tries. */
    assert_int_equal(put("x", 1), 0);
    settle();
    assert_int_equal(t.ready, ready);
    while (console_backend_output_room(t.backend) < RING) {
        size_t n = drain_fd(reader, bytes + got, sizeof(bytes) - got);

        assert_true(n > 0);
        got += n;
        settle();
    }
    got += drain_fd(reader, bytes + got, sizeof(bytes) - got);
    assert_int_equal(t.ready, ready + 1);
    assert_int_equal(got, sent);
    assert_pattern(bytes, 0, got);
    /* And it works as before. */
    assert_int_equal(put("again", 5), 5);
    settle();
    assert_int_equal(drain_fd(reader, bytes, sizeof(bytes)), 5);
    end(0);
}

static void a_pipe_pushes_back(void **state)
{
    int out[2];

    make_pipe(out);
    set_nonblocking(out[0]);
    flood(out[0], out[1]);
    assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
    close_both(out);
}

static void a_socket_pushes_back(void **state)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    set_nonblocking(ends[0]);
    flood(ends[0], ends[1]);
    assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
    close_both(ends);
}

static void one_socket_serves_both_ways_at_once(void **state)
{
    static uint8_t bytes[2 * RING];
    size_t sent = 0, got = 0, taken;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    set_nonblocking(ends[0]);
    begin(ends[1], ends[1]);
    settle();
    do {
        taken = put_pattern(sent, RING);
        sent += taken;
        settle();
    } while (taken > 0 || console_backend_output_room(t.backend) > 0);
    /* Blocked on output; input still flows. */
    assert_int_equal(write(ends[0], "typed", 5), 5);
    settle();
    assert_int_equal(t.input_bytes, 5);
    while (got < sent) {
        size_t n = drain_fd(ends[0], bytes, sizeof(bytes));

        assert_true(n > 0);
        assert_pattern(bytes, got, n);
        got += n;
        settle();
    }
    end(0);
    close_both(ends);
}

static void a_regular_file_keeps_offset_and_append(void **state)
{
    char path[] = "/tmp/husk-test-console-XXXXXX";
    uint8_t bytes[32];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write_full(fd, "before ", 7), 0);
    begin(-1, fd);
    assert_int_equal(put("console", 7), 7);
    settle();
    end(0);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 14);
    assert_memory_equal(bytes, "before console", 14);
    close(fd);
}

static void dev_null_swallows(void **state)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    begin(null, null);
    settle();
    assert_int_equal(t.closed, 1); /* its input ends at once */
    assert_int_equal(put_pattern(0, RING), RING);
    settle();
    assert_int_equal(console_backend_output_room(t.backend), RING);
    end(0);
    close(null);
}

static void dev_full_is_a_sink(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    begin(-1, full);
    assert_int_equal(put_pattern(0, RING), RING);
    settle();
    assert_int_equal(console_backend_output_room(t.backend), RING);
    end(1000);
    close(full);
}

static void a_reader_that_goes_away_makes_a_sink(void **state)
{
    int out[2], ends[2];

    make_pipe(out);
    begin(-1, out[1]);
    close_fd(&out[0]);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put_pattern(0, RING), RING);
        settle();
    }
    end(0);
    close_fd(&out[1]);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    begin(-1, ends[1]);
    close_fd(&ends[0]);
    assert_int_equal(put_pattern(0, RING), RING);
    settle();
    assert_int_equal(console_backend_output_room(t.backend), RING);
    end(0);
    close_fd(&ends[1]);
}

static void a_full_pipe_whose_reader_goes_away_is_no_block(void **state)
{
    int out[2];

    make_pipe(out);
    begin(-1, out[1]);
    do {
        put_pattern(0, RING);
        settle();
    } while (console_backend_output_room(t.backend) > 0);
    close_fd(&out[0]);
    settle();
    assert_int_equal(console_backend_output_room(t.backend), RING);
    assert_true(t.ready > 0);
    end(0);
    close_fd(&out[1]);
}

/* ---- the end ---- */

struct slow_reader {
    int fd;
    uint8_t bytes[4 * RING];
    size_t got;
};

static struct console_stats stats(void)
{
    struct console_stats now;

    console_backend_read_stats(t.backend, &now);
    return now;
}

static void bytes_are_counted(void **state)
{
    int out[2], in[2];

    make_pipe(out);
    make_pipe(in);
    begin(in[0], out[1]);
    assert_int_equal(put("hello", 5), 5);
    settle();
    assert_int_equal(write(in[1], "abc", 3), 3);
    settle();
    assert_int_equal(stats().tx_bytes, 5);
    assert_int_equal(stats().rx_bytes, 3);
    assert_int_equal(stats().dropped_bytes, 0);
    /* Nobody is left to read; then the device itself loses some. */
    close(out[0]);
    assert_int_equal(put("lost", 4), 4);
    settle();
    assert_int_equal(put("more", 4), 4);
    settle();
    console_backend_count_dropped(t.backend, 2);
    assert_int_equal(stats().tx_bytes, 13);
    assert_int_equal(stats().dropped_bytes, 10);
    end(0);
    close(out[1]);
    close_both(in);
}

static void *read_slowly(void *arg)
{
    struct slow_reader *reader = arg;
    ssize_t n;

    while ((n = read(reader->fd, reader->bytes + reader->got, 1000)) > 0) {
        const struct timespec pause = {.tv_nsec = 100000};

        reader->got += (size_t)n;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void the_end_waits_for_a_slow_reader(void **state)
{
    static struct slow_reader reader;
    pthread_t thread;
    size_t sent;
    int out[2];

    make_pipe(out);
    reader = (struct slow_reader){.fd = out[0]};
    begin(-1, out[1]);
    sent = put_pattern(0, RING);
    settle(); /* as much as the pipe takes */
    sent += put_pattern(sent, RING);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    end(60000);
    close_fd(&out[1]);
    pthread_join(thread, NULL);
    assert_int_equal(reader.got, sent);
    assert_pattern(reader.bytes, 0, sent);
    close_fd(&out[0]);
}

static void the_end_does_not_wait_for_ever(void **state)
{
    int out[2];

    make_pipe(out);
    begin(-1, out[1]);
    do {
        put_pattern(0, RING);
        settle();
    } while (console_backend_output_room(t.backend) > 0);
    end(20);
    close_both(out);
}

static void a_reader_gone_at_the_end_is_no_signal(void **state)
{
    struct sigaction before, standard = {.sa_handler = SIG_DFL};
    sigset_t mask, pending;
    int out[2];

    /* As in a program that embeds us and never thought of SIGPIPE: it would die here. */
    sigaction(SIGPIPE, &standard, &before);
    make_pipe(out);
    begin(-1, out[1]);
    put("bye", 3);
    close_fd(&out[0]);
    end(1000);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGPIPE));
    sigaction(SIGPIPE, &before, NULL);
    close_fd(&out[1]);
}

static void nothing_stays_open(void **state)
{
    int before = dup(0), after, out[2], ends[2];

    close(before);
    make_pipe(out);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    begin(out[0], out[1]);
    settle();
    end(0);
    begin(ends[0], ends[0]);
    settle();
    end(0);
    assert_int_equal(console_backend_create(t.loop, out[0], 100000, &t.backend), -EBADF);
    t.backend = NULL;
    assert_true(fcntl(ends[0], F_GETFD) >= 0); /* the caller's */
    close_both(out);
    close_both(ends);
    event_loop_run_once(t.loop, 0);
    after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

/* ---- input ---- */

static void input_reaches_the_device(void **state)
{
    int in[2];

    make_pipe(in);
    begin(in[0], -1);
    settle();
    assert_int_equal(t.input_bytes, 0);
    assert_int_equal(write(in[1], "line\n", 5), 5);
    settle();
    assert_int_equal(t.input_bytes, 5);
    assert_memory_equal(t.input, "line\n", 5);
    assert_false(fcntl(in[0], F_GETFL) & O_NONBLOCK);
    end(0);
    close_both(in);
}

static void input_waits_for_room(void **state)
{
    int in[2];

    make_pipe(in);
    t.room = 3;
    begin(in[0], -1);
    assert_int_equal(write(in[1], "abcdefgh", 8), 8);
    settle();
    assert_int_equal(t.input_bytes, 3);
    settle(); /* not watched: the loop is quiet though the pipe is readable */
    t.room = 2;
    console_backend_input_wanted(t.backend);
    settle();
    assert_int_equal(t.input_bytes, 5);
    t.room = 100;
    console_backend_input_wanted(t.backend);
    settle();
    assert_int_equal(t.input_bytes, 8);
    assert_memory_equal(t.input, "abcdefgh", 8);
    assert_int_equal(t.closed, 0);
    end(0);
    close_both(in);
}

static void a_flood_of_input_comes_in_pieces(void **state)
{
    static uint8_t bytes[RING];
    int ends[2];
    size_t sent;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    begin(ends[0], -1);
    sent = (size_t)send(ends[1], bytes, sizeof(bytes), 0);
    assert_true(sent > 0 && sent <= sizeof(bytes));
    settle();
    assert_int_equal(t.input_bytes, sent);
    assert_true(t.largest_input <= 4096);
    assert_pattern(t.input, 0, sent);
    end(0);
    close_both(ends);
}

static void the_end_of_input_is_told_once(void **state)
{
    int in[2];

    make_pipe(in);
    begin(in[0], -1);
    assert_int_equal(write(in[1], "last", 4), 4);
    close_fd(&in[1]);
    settle();
    assert_int_equal(t.input_bytes, 4);
    assert_int_equal(t.closed, 1);
    console_backend_input_wanted(t.backend);
    settle();
    assert_int_equal(t.closed, 1);
    end(0);
    close_both(in);
}

static void the_end_of_input_waits_for_room(void **state)
{
    int in[2];

    make_pipe(in);
    t.room = 0;
    begin(in[0], -1);
    assert_int_equal(write(in[1], "x", 1), 1);
    close_fd(&in[1]);
    settle();
    assert_int_equal(t.closed, 0);
    t.room = 10;
    console_backend_input_wanted(t.backend);
    settle();
    assert_int_equal(t.input_bytes, 1);
    assert_int_equal(t.closed, 1);
    end(0);
    close_both(in);
}

static void a_regular_file_is_read_to_its_end(void **state)
{
    static uint8_t bytes[10000];
    int fd = memfd_create("input", MFD_CLOEXEC);

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    assert_int_equal(write_full(fd, bytes, sizeof(bytes)), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    t.room = 6000;
    begin(fd, -1);
    settle();
    assert_int_equal(t.input_bytes, 6000);
    assert_int_equal(t.closed, 0);
    t.room = 6000;
    console_backend_input_wanted(t.backend);
    settle();
    assert_int_equal(t.input_bytes, sizeof(bytes));
    assert_pattern(t.input, 0, sizeof(bytes));
    assert_int_equal(t.closed, 1);
    end(0);
    close(fd);
}

static void input_that_cannot_be_read_is_at_its_end(void **state)
{
    int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    begin(directory, -1);
    settle();
    assert_int_equal(t.closed, 1);
    end(0);
    close(directory);
}

static void nothing_is_read_before_there_is_a_device(void **state)
{
    int in[2];

    make_pipe(in);
    assert_int_equal(console_backend_create(t.loop, in[0], -1, &t.backend), 0);
    assert_int_equal(write(in[1], "early", 5), 5);
    settle();
    assert_int_equal(t.input_bytes, 0);
    console_backend_set_frontend(t.backend, &frontend, &t);
    settle();
    assert_int_equal(t.input_bytes, 5);
    console_backend_set_frontend(t.backend, NULL, NULL);
    assert_int_equal(write(in[1], "late", 4), 4);
    close_fd(&in[1]);
    console_backend_input_wanted(t.backend);
    t.room = 0;
    for (unsigned i = 0; i < 10; i++)
        event_loop_run_once(t.loop, 0);
    assert_int_equal(t.input_bytes, 5);
    assert_int_equal(t.closed, 0);
    end(0);
    close_both(in);
}

/* ---- terminals ---- */

static int open_terminal(int *slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;

    if (master < 0 || grantpt(master) || unlockpt(master) ||
        (*slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        close_fd(&master);
        return -1;
    }
    assert_int_equal(tcgetattr(*slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(*slave, TCSANOW, &raw), 0);
    return master;
}

/* A terminal passes bytes on when the kernel gets round to it. */
static void await_input(size_t len)
{
    for (unsigned turn = 0; t.input_bytes < len && turn < 1000; turn++)
        event_loop_run_once(t.loop, 10);
    assert_int_equal(t.input_bytes, len);
}

static void await_bytes(int fd, const char *wanted)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    size_t len = strlen(wanted), got = 0;
    uint8_t bytes[64];

    while (got < len && poll(&poll_fd, 1, 10000) == 1) {
        ssize_t n = read(fd, bytes + got, len - got);

        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(got, len);
    assert_memory_equal(bytes, wanted, len);
}

/* Through `console`, while the test sits at `user`. */
static void type_and_read(int console, int user)
{
    begin(console, console);
    settle();
    assert_int_equal(put("login: ", 7), 7);
    settle();
    await_bytes(user, "login: ");
    assert_int_equal(write(user, "root\r", 5), 5);
    await_input(5);
    assert_memory_equal(t.input, "root\r", 5);
    assert_false(fcntl(console, F_GETFL) & O_NONBLOCK);
    end(0);
}

static void a_terminal_works(void **state)
{
    int slave = -1, master = open_terminal(&slave);

    if (master < 0)
        skip();
    type_and_read(slave, master);
    close_fd(&slave);
    close_fd(&master);
}

static void the_master_of_a_terminal_works(void **state)
{
    int slave = -1, master = open_terminal(&slave);

    if (master < 0)
        skip();
    type_and_read(master, slave);
    close_fd(&slave);
    close_fd(&master);
}

static void a_terminal_that_hangs_up_is_a_sink(void **state)
{
    int slave = -1, master = open_terminal(&slave);

    if (master < 0)
        skip();
    begin(slave, slave);
    settle();
    close_fd(&master);
    for (unsigned turn = 0; t.closed == 0 && turn < 1000; turn++)
        event_loop_run_once(t.loop, 10);
    assert_int_equal(t.closed, 1);
    assert_int_equal(put_pattern(0, RING), RING);
    settle();
    assert_int_equal(console_backend_output_room(t.backend), RING);
    end(1000);
    close_fd(&slave);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(output_is_written_in_order),
        TEST(without_an_output_descriptor_it_is_swallowed),
        TEST(a_pipe_pushes_back),
        TEST(a_socket_pushes_back),
        TEST(one_socket_serves_both_ways_at_once),
        TEST(a_regular_file_keeps_offset_and_append),
        TEST(dev_null_swallows),
        TEST(dev_full_is_a_sink),
        TEST(a_reader_that_goes_away_makes_a_sink),
        TEST(bytes_are_counted),
        TEST(a_full_pipe_whose_reader_goes_away_is_no_block),
        TEST(the_end_waits_for_a_slow_reader),
        TEST(the_end_does_not_wait_for_ever),
        TEST(a_reader_gone_at_the_end_is_no_signal),
        TEST(nothing_stays_open),
        TEST(input_reaches_the_device),
        TEST(input_waits_for_room),
        TEST(a_flood_of_input_comes_in_pieces),
        TEST(the_end_of_input_is_told_once),
        TEST(the_end_of_input_waits_for_room),
        TEST(a_regular_file_is_read_to_its_end),
        TEST(input_that_cannot_be_read_is_at_its_end),
        TEST(nothing_is_read_before_there_is_a_device),
        TEST(a_terminal_works),
        TEST(the_master_of_a_terminal_works),
        TEST(a_terminal_that_hangs_up_is_a_sink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
