// SPDX-License-Identifier: Apache-2.0
/* A call on sockets: what call.c makes of bytes, here is how they come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe/exchange.h"

static struct {
    int plain[2], guest[2];
    struct call *call;
    pthread_t thread;
    enum probe_end end;
} t;

static void *run(void *arg)
{
    t.end = exchange_run(t.call, t.plain[1], t.guest[1]);
    return arg;
}

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
}

static void begin(const char *service)
{
    make_pair(t.plain);
    make_pair(t.guest);
    t.call = call_new(service, "10.0.0.7:1");
    assert_non_null(t.call);
    assert_int_equal(pthread_create(&t.thread, NULL, run, NULL), 0);
}

static enum probe_end end(void)
{
    assert_int_equal(pthread_join(t.thread, NULL), 0);
    call_free(t.call);
    for (unsigned i = 0; i < 2; i++) {
        close(t.plain[i]);
        close(t.guest[i]);
    }
    return t.end;
}

/* SETTINGS, and an answer of nothing but a head (RFC 9113, section 4.1; RFC 7541, section 6.2.2).
 */
#define STATUS "\x88" /* ":status: 200", of the static table */
#define TYPE           \
    "\0\x0c"           \
    "content-type\x10" \
    "application/grpc"
#define NO_SUCH       \
    "\0\x0b"          \
    "grpc-status\x01" \
    "5"
#define REFUSAL            \
    "\0\0\0\x04\0\0\0\0\0" \
    "\0\0\x2f\x01\x05\0\0\0\x01" STATUS TYPE NO_SUCH

static void an_answer_comes_in_pieces(void **state)
{
    static const char refusal[] = REFUSAL;
    char bytes[24];

    begin("");
    assert_int_equal(recv(t.guest[0], bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
    assert_memory_equal(bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", sizeof(bytes));
    for (size_t i = 0; i < sizeof(refusal) - 1; i++)
        assert_int_equal(write(t.guest[0], refusal + i, 1), 1);
    assert_int_equal(end(), PROBE_END_CODE + 5);
}

/* It may close before it has read: what it said counts. */
static void an_answer_before_the_end(void **state)
{
    begin("");
    assert_int_equal(write(t.guest[0], REFUSAL, sizeof(REFUSAL) - 1), sizeof(REFUSAL) - 1);
    shutdown(t.guest[0], SHUT_WR);
    assert_int_equal(end(), PROBE_END_CODE + 5);
}

static void an_end_without_an_answer(void **state)
{
    begin("web");
    shutdown(t.guest[0], SHUT_RDWR);
    assert_int_equal(end(), PROBE_END_SILENT);
}

static void it_ends_with_the_supervisor(void **state)
{
    begin("web");
    shutdown(t.plain[0], SHUT_RDWR);
    assert_int_equal(end(), PROBE_END_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_in_pieces),
        cmocka_unit_test(an_answer_before_the_end),
        cmocka_unit_test(an_end_without_an_answer),
        cmocka_unit_test(it_ends_with_the_supervisor),
    };

    signal(SIGPIPE, SIG_IGN); /* as main.c does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
