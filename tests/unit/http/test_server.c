// SPDX-License-Identifier: Apache-2.0
/* What answers that come later, streams and upgrades add to the server; the rest of it is tested
 * through the control socket (tests/e2e/api). The loop is a thread here, the client is main(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "http/server.h"

#define PATIENCE_MS 20000

struct fixture {
    struct http_server *server;
    char directory[64];
    struct sockaddr_un address;
    int listen_fd, wake_fd;
    pthread_t thread;
    atomic_bool stop;
    /* What the handler keeps for the test. */
    _Atomic(struct http_exchange *) held;
    atomic_int stream_fd; /* our end of the stream; -1 */
    atomic_int taken_fd;  /* -2: not yet */
    char early[64];
    char parameters[256];
};

static struct http_response text_response(int status, const char *text)
{
    struct http_response response = HTTP_RESPONSE_INIT;

    response.status = status;
    response.content_type = "text/plain";
    response.body = strdup(text);
    response.body_len = strlen(text);
    return response;
}

static bool note_parameter(void *arg, const char *name, const char *value)
{
    struct fixture *f = arg;
    size_t len = strlen(f->parameters);

    snprintf(f->parameters + len, sizeof(f->parameters) - len, "[%s:%s]", name, value);
    return true;
}

static void take(void *arg, int fd, const void *early, size_t early_len)
{
    struct fixture *f = arg;

    snprintf(f->early, sizeof(f->early), "%.*s", (int)early_len, (const char *)early);
    f->taken_fd = fd;
}

static void handle(void *arg, struct http_exchange *exchange, const struct http_request *request)
{
    struct fixture *f = arg;
    struct http_response response = HTTP_RESPONSE_INIT;
    int pair[2];

    if (!strcmp(request->path, "/later")) {
        f->held = exchange;
        return;
    }
    if (!strcmp(request->path, "/stream")) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        response.status = 200;
        response.content_type = "text/plain";
        response.stream_fd = pair[0];
        f->stream_fd = pair[1];
    } else if (!strcmp(request->path, "/upgrade")) {
        response.status = 101;
        response.upgrade =
            (struct http_upgrade){.protocol = request->upgrade, .take = take, .arg = f};
    } else if (!strcmp(request->path, "/parameters")) {
        response =
            text_response(http_parameters(exchange, note_parameter, f) ? 200 : 400, f->parameters);
    } else {
        char body[1001] = "nothing";

        if (request->body_len)
            snprintf(body, sizeof(body), "%.*s", (int)request->body_len, request->body);
        response = text_response(200, body);
    }
    http_answer(exchange, &response);
}

static void refuse_size(void *arg, uint64_t bytes, size_t max_bytes, struct http_response *response)
{
    *response = text_response(413, "too large");
}

static void *loop(void *arg)
{
    struct fixture *f = arg;

    while (!f->stop) {
        struct pollfd fds[] = {{.fd = http_server_fd(f->server), .events = POLLIN},
                               {.fd = f->wake_fd, .events = POLLIN}};

        poll(fds, 2, http_server_timeout_ms(f->server));
        http_server_run(f->server);
    }
    return NULL;
}

static int setup(void **state)
{
    static const struct http_options options = {.body_max_bytes = 1000, .later = true};
    struct fixture *f = calloc(1, sizeof(*f));
    struct http_handler handler = {.arg = f, .handle = handle, .refuse_size = refuse_size};

    assert_non_null(f);
    f->stream_fd = -1;
    f->taken_fd = -2;
    strcpy(f->directory, "/tmp/husk-http-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->address.sun_family = AF_UNIX;
    snprintf(f->address.sun_path, sizeof(f->address.sun_path), "%s/socket", f->directory);
    f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listen_fd, (void *)&f->address, sizeof(f->address)), 0);
    assert_int_equal(listen(f->listen_fd, 64), 0);
    f->wake_fd = eventfd_open();
    assert_int_equal(http_server_create(&handler, &options, f->listen_fd, &f->server), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, loop, f), 0);
    *state = f;
    return 0;
}

static void end_loop(struct fixture *f)
{
    if (f->stop)
        return;
    f->stop = true;
    eventfd_signal(f->wake_fd);
    pthread_join(f->thread, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int stream_fd = f->stream_fd, taken_fd = f->taken_fd;

    end_loop(f);
    http_server_destroy(f->server);
    close_fd(&stream_fd);
    close_fd(&taken_fd);
    close_fd(&f->listen_fd);
    close_fd(&f->wake_fd);
    unlink(f->address.sun_path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static int ask(struct fixture *f, const char *text)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (void *)&f->address, sizeof(f->address)), 0);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    return fd;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};

    return poll(&at, 1, timeout_ms) == 1;
}

/* Reads until `until` has come, or with NULL until the end. */
static void expect(int fd, char *got, size_t size, const char *until)
{
    size_t len = strlen(got);

    while (!until || !strstr(got, until)) {
        ssize_t n;

        if (!readable(fd, PATIENCE_MS))
            fail_msg("nothing more after: %s", got);
        n = recv(fd, got + len, size - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        got[len] = '\0';
    }
    if (until && !strstr(got, until))
        fail_msg("no %s in: %s", until, got);
}

static void wait_until(atomic_int *value, int other_than)
{
    for (int i = 0; *value == other_than; i++) {
        assert_true(i < PATIENCE_MS);
        usleep(1000);
    }
}

static struct http_exchange *wait_held(struct fixture *f)
{
    for (int i = 0; !f->held; i++) {
        assert_true(i < PATIENCE_MS);
        usleep(1000);
    }
    return f->held;
}

static void answers_later(void **state)
{
    struct fixture *f = *state;
    int slow = ask(f, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"), quick;
    struct http_exchange *held = wait_held(f);
    struct http_response response = text_response(200, "at last");
    char got[1024] = "";

    /* Others are served meanwhile. */
    quick = ask(f, "PUT /now HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    expect(quick, got, sizeof(got), "body");
    assert_false(readable(slow, 0));
    http_answer(held, &response);
    got[0] = '\0';
    expect(slow, got, sizeof(got), "at last");
    /* And the connection goes on. */
    assert_int_equal(write_full(slow, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n", 30), 0);
    expect(slow, got, sizeof(got), "nothing");
    close(slow);
    close(quick);
}

static void answers_who_has_gone(void **state)
{
    struct fixture *f = *state;
    int slow = ask(f, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    struct http_exchange *held = wait_held(f);
    struct http_response response = text_response(200, "to nobody");
    char got[1024] = "";

    close(slow);
    slow = ask(f, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(slow, got, sizeof(got), "nothing");
    http_answer(held, &response);
    close(slow);
}

static void streams(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    char got[4096] = "";

    wait_until(&f->stream_fd, -1);
    for (int i = 0; i < 3; i++) {
        char line[16];

        snprintf(line, sizeof(line), "line %d\n", i);
        assert_int_equal(write_full(f->stream_fd, line, strlen(line)), 0);
        expect(fd, got, sizeof(got), line);
    }
    assert_non_null(strstr(got, "chunked"));
    close(atomic_exchange(&f->stream_fd, -1));
    expect(fd, got, sizeof(got), "0\r\n\r\n");
    close(fd);
}

static void stream_ends_with_its_client(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    char got[4096] = "";

    wait_until(&f->stream_fd, -1);
    expect(fd, got, sizeof(got), "\r\n\r\n");
    close(fd);
    assert_true(readable(f->stream_fd, PATIENCE_MS));
    assert_int_equal(recv(f->stream_fd, got, 1, 0), 0);
}

static void upgrades(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "POST /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: talk\r\n"
                    "Content-Length: 0\r\n\r\nearly");
    char got[4096] = "";
    int ours;

    wait_until(&f->taken_fd, -2);
    ours = f->taken_fd;
    assert_true(ours >= 0);
    expect(fd, got, sizeof(got), "\r\n\r\n");
    assert_non_null(strstr(got, "HTTP/1.1 101"));
    assert_non_null(strstr(got, "Upgrade: talk"));
    /* What came early may come in either way. */
    if (!f->early[0])
        assert_int_equal(recv(ours, f->early, 5, MSG_WAITALL), 5);
    assert_string_equal(f->early, "early");
    assert_int_equal(write_full(ours, "pong", 4), 0);
    got[0] = '\0';
    expect(fd, got, sizeof(got), "pong");
    assert_int_equal(write_full(fd, "ping", 4), 0);
    assert_int_equal(recv(ours, got, 4, MSG_WAITALL), 4);
    /* It lives longer than the server. */
    end_loop(f);
    http_server_destroy(f->server);
    f->server = NULL;
    assert_int_equal(write_full(fd, "more", 4), 0);
    assert_int_equal(recv(ours, got, 4, MSG_WAITALL), 4);
    close(fd);
    assert_int_equal(recv(ours, got, 1, 0), 0);
}

static void ends_with_streams(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    char got[4096] = "";

    wait_until(&f->stream_fd, -1);
    expect(fd, got, sizeof(got), "\r\n\r\n");
    end_loop(f);
    http_server_destroy(f->server);
    f->server = NULL;
    expect(fd, got, sizeof(got), NULL);
    close(fd);
}

static void more_clients_than_places(void **state)
{
    struct fixture *f = *state;
    int fds[200];
    char got[4096] = "";

    for (int i = 0; i < 200; i++)
        fds[i] = ask(f, i % 2 ? "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /now HT");
    fds[0] = (close(fds[0]), ask(f, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n"));
    expect(fds[0], got, sizeof(got), "nothing");
    for (int i = 0; i < 200; i++)
        close(fds[i]);
}

/* A place is free again however a stream ended in it: of its own (HTTP/1.0 has no chunks, where the
 * end of the connection is the end of the body), or with its client. */
static void streams_leave_their_places(void **state)
{
    struct fixture *f = *state;
    int idle = ask(f, "GET /now HT"), fd; /* which makes the others not the oldest */
    char got[4096] = "";

    for (int i = 0; i < 200; i++) {
        int stream_fd;

        f->stream_fd = -1;
        fd = ask(f, i % 2 ? "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
                          : "GET /stream HTTP/1.0\r\n\r\n");
        wait_until(&f->stream_fd, -1);
        stream_fd = f->stream_fd;
        got[0] = '\0';
        expect(fd, got, sizeof(got), "\r\n\r\n");
        if (i % 4 < 2)
            close_fd(&fd);
        else
            shutdown(stream_fd, SHUT_WR);
        assert_true(readable(stream_fd, PATIENCE_MS));
        assert_int_equal(recv(stream_fd, got, 1, 0), 0);
        close(stream_fd);
        close_fd(&fd);
    }
    f->stream_fd = -1;
    fd = ask(f, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    got[0] = '\0';
    expect(fd, got, sizeof(got), "nothing");
    close(fd);
    close(idle);
}

static void gives_parameters(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "GET /parameters?a=1&b=%2F+x&c&a= HTTP/1.1\r\nHost: x\r\n\r\n");
    char got[4096] = "";

    expect(fd, got, sizeof(got), "[a:1][b:/ x][c:][a:]");
    close(fd);
    got[0] = '\0';
    fd = ask(f, "GET /parameters?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, got, sizeof(got), "HTTP/1.1 400");
    close(fd);
}

static void refuses_large_bodies(void **state)
{
    struct fixture *f = *state;
    char body[1200], got[4096] = "";
    int fd = ask(f, "PUT /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1200\r\n\r\n");

    memset(body, 'x', sizeof(body));
    assert_int_equal(write_full(fd, body, sizeof(body)), 0);
    expect(fd, got, sizeof(got), "too large");
    assert_non_null(strstr(got, "HTTP/1.1 413"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_later, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_who_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(streams, setup, teardown),
        cmocka_unit_test_setup_teardown(stream_ends_with_its_client, setup, teardown),
        cmocka_unit_test_setup_teardown(upgrades, setup, teardown),
        cmocka_unit_test_setup_teardown(ends_with_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(more_clients_than_places, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_leave_their_places, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_large_bodies, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
