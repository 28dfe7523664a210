// SPDX-License-Identifier: Apache-2.0
/* The streams of a container's process between agent, log and clients. Covers hub.c, hub_input.c,
 * hub_client.c. The test is the agent's side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pod/stdio/hub.h"

struct fixture {
    struct event_loop *loop;
    struct log_file *log;
    struct hub *hub;
    unsigned drained;
    int agent[HUB_STREAMS]; /* the agent's ends */
};

static void on_drained(void *arg)
{
    ((struct fixture *)arg)->drained++;
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 1000 && event_loop_run_once(f->loop, 0) > 0; i++)
        ;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    *state = f;
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        f->agent[i] = -1;
    return event_loop_create(&f->loop) || log_file_open(-1, "log", 4096, 0, &f->log);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    hub_destroy(f->hub);
    log_file_close(f->log);
    event_loop_destroy(f->loop);
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        if (f->agent[i] >= 0)
            close(f->agent[i]);
    }
    free(f);
    return 0;
}

static void make(struct fixture *f, bool terminal, enum container_stdin mode)
{
    const struct hub_options options = {.terminal = terminal,
                                        .stdin_mode = mode,
                                        .log_file = f->log,
                                        .drained = on_drained,
                                        .arg = f};

    assert_int_equal(hub_create(f->loop, &options, &f->hub), 0);
}

static void connect_agent(struct fixture *f)
{
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        int pair[2];

        if (!hub_has(f->hub, i))
            continue;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                         0);
        f->agent[i] = pair[0];
        hub_connect(f->hub, i, pair[1]);
    }
}

static void agent_writes(struct fixture *f, enum hub_stream stream, const char *text)
{
    assert_int_equal(write(f->agent[stream], text, strlen(text)), strlen(text));
    turn(f);
}

static void agent_ends(struct fixture *f, enum hub_stream stream)
{
    close(f->agent[stream]);
    f->agent[stream] = -1;
    turn(f);
}

/* What can be read now, as a text; "" when nothing, "(end)" at the end. */
static const char *reads(int fd, char buf[64])
{
    ssize_t len = recv(fd, buf, 63, MSG_DONTWAIT);

    buf[len > 0 ? len : 0] = '\0';
    return len == 0 ? "(end)" : buf;
}

static unsigned attach(struct fixture *f, bool with_stdin, bool wait, int fds[3])
{
    enum hub_stream streams[3];
    unsigned count;

    assert_int_equal(hub_attach(f->hub, with_stdin, wait, fds, streams, &count, NULL), 0);
    return count;
}

static void close_all(const int *fds, unsigned count)
{
    while (count)
        close(fds[--count]);
}

static void output_goes_to_all(void **state)
{
    struct fixture *f = *state;
    int one[3], two[3];
    char buf[64];

    make(f, false, CONTAINER_STDIN_NONE);
    assert_int_equal(attach(f, true, false, one), 2); /* there is no stdin to have */
    connect_agent(f);
    agent_writes(f, HUB_STDOUT, "early");
    assert_int_equal(attach(f, false, true, two), 2);
    agent_writes(f, HUB_STDERR, "oops");
    assert_string_equal(reads(one[0], buf), "early");
    assert_string_equal(reads(two[0], buf), "");
    assert_string_equal(reads(one[1], buf), "oops");
    assert_string_equal(reads(two[1], buf), "oops");
    agent_ends(f, HUB_STDOUT);
    assert_string_equal(reads(one[0], buf), "(end)");
    assert_string_equal(reads(one[1], buf), "");
    assert_int_equal(f->drained, 0);
    agent_ends(f, HUB_STDERR);
    assert_string_equal(reads(two[1], buf), "(end)");
    assert_int_equal(f->drained, 1);
    assert_true(hub_drained(f->hub) && hub_flushed(f->hub));
    close_all(one, 2);
    close_all(two, 2);
}

static void too_late(void **state)
{
    struct fixture *f = *state;
    enum hub_stream streams[3];
    struct husk_error error;
    unsigned count;
    int fds[3];

    make(f, false, CONTAINER_STDIN_NONE);
    connect_agent(f);
    agent_ends(f, HUB_STDOUT);
    assert_int_equal(hub_attach(f->hub, false, false, fds, streams, &count, NULL), 0);
    assert_int_equal(count, 2); /* one of them has ended already */
    close_all(fds, 2);
    agent_ends(f, HUB_STDERR);
    assert_int_equal(hub_attach(f->hub, false, false, fds, streams, &count, &error), -EBUSY);
    assert_int_equal(count, 0);
}

static void too_many(void **state)
{
    struct fixture *f = *state;
    enum hub_stream streams[3];
    int fds[CONTROL_ATTACHED_MAX][3], more[3];
    struct husk_error error;
    unsigned count;

    make(f, true, CONTAINER_STDIN_OPEN);
    for (unsigned i = 0; i < CONTROL_ATTACHED_MAX; i++)
        assert_int_equal(attach(f, true, false, fds[i]), 1);
    assert_int_equal(hub_attach(f->hub, true, false, more, streams, &count, &error), -ENOSPC);
    close(fds[0][0]);
    turn(f);
    assert_int_equal(attach(f, true, false, fds[0]), 1);
    for (unsigned i = 0; i < CONTROL_ATTACHED_MAX; i++)
        close(fds[i][0]);
}

/* Sent before there is an agent, with its end right behind it: all of it arrives. */
static void input_waits_for_the_agent(void **state)
{
    struct fixture *f = *state;
    char buf[64];
    int fds[3];

    make(f, false, CONTAINER_STDIN_ONCE);
    assert_int_equal(attach(f, true, false, fds), 3);
    assert_int_equal(write(fds[0], "typed", 5), 5);
    close(fds[0]);
    turn(f);
    connect_agent(f);
    turn(f);
    assert_string_equal(reads(f->agent[HUB_STDIN], buf), "typed");
    assert_string_equal(reads(f->agent[HUB_STDIN], buf), "(end)");
    close_all(fds + 1, 2);
}

static void input_that_stays_open(void **state)
{
    struct fixture *f = *state;
    char buf[64];
    int fds[3];

    make(f, false, CONTAINER_STDIN_OPEN);
    connect_agent(f);
    for (int i = 0; i < 2; i++) {
        attach(f, true, false, fds);
        assert_int_equal(write(fds[0], "typed", 5), 5);
        close_all(fds, 3);
        turn(f);
        assert_string_equal(reads(f->agent[HUB_STDIN], buf), "typed");
        assert_string_equal(reads(f->agent[HUB_STDIN], buf), "");
    }
}

static void who_looks_on_types_nothing(void **state)
{
    struct fixture *f = *state;
    char buf[64];
    int one[3], two[3];

    make(f, true, CONTAINER_STDIN_OPEN);
    connect_agent(f);
    attach(f, true, false, one);
    attach(f, false, false, two);
    assert_int_equal(write(two[0], "no", 2), 2);
    turn(f);
    assert_string_equal(reads(f->agent[HUB_TERMINAL], buf), "");
    assert_int_equal(write(one[0], "yes", 3), 3);
    turn(f);
    assert_string_equal(reads(f->agent[HUB_TERMINAL], buf), "yes");
    agent_writes(f, HUB_TERMINAL, "echo");
    assert_string_equal(reads(two[0], buf), "echo");
    close(one[0]);
    close(two[0]);
}

/* How much the agent can write until it has to wait, at most 8 MiB. */
static size_t flood(struct fixture *f)
{
    char bytes[4096] = {0};
    size_t sum = 0;

    while (sum < 8u << 20) {
        ssize_t len = write(f->agent[HUB_STDOUT], bytes, sizeof(bytes));

        if (len < 0)
            break;
        sum += (size_t)len;
        turn(f);
    }
    return sum;
}

static void a_client_that_waits_holds_up(void **state)
{
    struct fixture *f = *state;
    size_t sent, got = 0;
    char bytes[65536];
    ssize_t len;
    int fds[3];

    make(f, false, CONTAINER_STDIN_NONE);
    connect_agent(f);
    attach(f, false, true, fds);
    sent = flood(f);
    assert_true(sent < 4u << 20);
    assert_false(hub_flushed(f->hub));
    while ((len = recv(fds[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        got += (size_t)len;
        turn(f);
    }
    assert_int_equal(got, sent);
    close_all(fds, 2);
}

static void another_is_dropped(void **state)
{
    struct fixture *f = *state;
    int slow[3];
    char bytes[65536];
    size_t got = 0;
    ssize_t len;

    make(f, false, CONTAINER_STDIN_NONE);
    connect_agent(f);
    attach(f, false, false, slow);
    assert_int_equal(flood(f), 8u << 20);
    while ((len = recv(slow[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        got += (size_t)len;
    assert_int_equal(len, 0); /* its stream has ended */
    assert_true(got > 0 && got < 8u << 20);
    assert_true(hub_flushed(f->hub));
    close_all(slow, 2);
}

static void abandoned(void **state)
{
    struct fixture *f = *state;
    char buf[64];
    int fds[3];

    make(f, false, CONTAINER_STDIN_ONCE);
    attach(f, true, true, fds);
    connect_agent(f);
    hub_abandon(f->hub);
    assert_int_equal(f->drained, 1);
    assert_string_equal(reads(fds[1], buf), "(end)");
    assert_string_equal(reads(fds[2], buf), "(end)");
    assert_true(send(fds[0], "x", 1, MSG_NOSIGNAL) < 0);
    hub_abandon(f->hub);
    assert_int_equal(f->drained, 1);
    close_all(fds, 3);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(output_goes_to_all),
        WITH_LOOP(too_late),
        WITH_LOOP(too_many),
        WITH_LOOP(input_waits_for_the_agent),
        WITH_LOOP(input_that_stays_open),
        WITH_LOOP(who_looks_on_types_nothing),
        WITH_LOOP(a_client_that_waits_holds_up),
        WITH_LOOP(another_is_dropped),
        WITH_LOOP(abandoned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
