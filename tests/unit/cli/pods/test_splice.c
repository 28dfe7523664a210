// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/pods/splice.h"

struct fixture {
    int client, outer, inner, server; /* client-outer, inner-server */
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct fixture *f = arg;

    splice_sockets(f->outer, f->inner);
    close(f->outer);
    close(f->inner);
    return NULL;
}

static void begin(struct fixture *f)
{
    int a[2], b[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    *f = (struct fixture){.client = a[0], .outer = a[1], .inner = b[0], .server = b[1]};
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void expect(int fd, const char *text)
{
    char bytes[64];
    size_t len = strlen(text);

    assert_int_equal(recv(fd, bytes, len ? len : sizeof(bytes), MSG_WAITALL), len);
    assert_memory_equal(bytes, text, len);
}

/* The end of a question is passed on, and the answer still comes. */
static void test_half_close(void **state)
{
    struct fixture f;

    begin(&f);
    assert_int_equal(write(f.client, "question", 8), 8);
    assert_int_equal(shutdown(f.client, SHUT_WR), 0);
    expect(f.server, "question");
    expect(f.server, "");
    assert_int_equal(write(f.server, "answer", 6), 6);
    expect(f.client, "answer");
    close(f.server);
    expect(f.client, "");
    pthread_join(f.thread, NULL);
    close(f.client);
}

/* More than buffers hold goes through whole when it is read late. */
static void test_much(void **state)
{
    enum { SIZE = 4 << 20 };
    static char out[SIZE], in[SIZE];
    struct fixture f;
    size_t sent = 0, got = 0;

    begin(&f);
    for (unsigned i = 0; i < SIZE; i++)
        out[i] = (char)(i * 31 + i / 4096);
    while (got < SIZE) {
        ssize_t n = send(f.client, out + sent, SIZE - sent, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        n = recv(f.server, in + got, SIZE - got, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(in, out, SIZE);
    close(f.client);
    expect(f.server, "");
    close(f.server);
    pthread_join(f.thread, NULL);
}

/* A side that breaks ends the other. */
static void test_broken(void **state)
{
    struct fixture f;
    char byte;

    begin(&f);
    close(f.server);
    while (recv(f.client, &byte, 1, 0) > 0)
        ;
    close(f.client);
    pthread_join(f.thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
