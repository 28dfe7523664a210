// SPDX-License-Identifier: Apache-2.0
/* The whole agent over HTTP, with another library of pods: its threads, its socket, its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cli/node/frames.h"
#include "cli/node/node.h"
#include "fake_inside.h"

#define PATIENCE_MS 20000

struct fixture {
    char directory[64], manifests[96], socket[96];
    struct node_options options;
    pthread_t thread;
    int ret;
    bool ended;
};

static void *run(void *arg)
{
    struct fixture *f = arg;
    struct husk_error err = {0};

    f->ret = node_run(&f->options, &err);
    return NULL;
}

static int dial(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    for (int i = 0; connect(fd, (void *)&address, sizeof(address)); i++) {
        assert_true(i < PATIENCE_MS / 10);
        usleep(10000);
    }
    return fd;
}

static int send_request(struct fixture *f, const char *head, const char *body)
{
    char text[1024];
    int fd = dial(f);

    snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n\r\n%s",
             head, strlen(body),
             strstr(head, "exec") || strstr(head, "forward") || strstr(head, "attach")
                 ? "Connection: Upgrade\r\nUpgrade: x"
                 : "Connection: close",
             body);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    return fd;
}

/* Reads on until `until` is there, or NULL: to the end. */
static void read_until(int fd, char *got, size_t size, const char *until)
{
    size_t len = strlen(got);

    while (!until || !strstr(got, until)) {
        struct pollfd at = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&at, 1, PATIENCE_MS) != 1)
            fail_msg("no %s after: %s", until ? until : "end", got);
        n = recv(fd, got + len, size - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        got[len] = '\0';
    }
    if (until && !strstr(got, until))
        fail_msg("no %s in: %s", until, got);
}

static void ask(struct fixture *f, const char *head, const char *body, const char *expected)
{
    char got[16384] = "";
    int fd = send_request(f, head, body);

    read_until(fd, got, sizeof(got), expected);
    close(fd);
}

/* Asks until it is so. */
static void wait_for(struct fixture *f, const char *head, const char *expected)
{
    char got[16384];

    for (int i = 0;; i++) {
        int fd = send_request(f, head, "");

        got[0] = '\0';
        read_until(fd, got, sizeof(got), NULL);
        close(fd);
        if (strstr(got, expected))
            return;
        if (i == PATIENCE_MS / 20)
            fail_msg("%s: never %s: %s", head, expected, got);
        usleep(20000);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char *words[] = {"husk-node", "--manifests", f->manifests, "--listen",
                     f->socket,   "--node-name", "host"};

    fake_reset();
    fake_lines = 3;
    fake_log_fd = eventfd_open();
    fake_watch_fd = eventfd_open();
    strcpy(f->directory, "/tmp/husk-node-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->manifests, sizeof(f->manifests), "%s/m", f->directory);
    snprintf(f->socket, sizeof(f->socket), "%s/s", f->directory);
    assert_int_equal(mkdir(f->manifests, 0700), 0);
    assert_int_equal(node_options_parse(7, words, &f->options, NULL), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
    *state = f;
    wait_for(f, "GET /healthz", "200 OK");
    return 0;
}

static void end(struct fixture *f)
{
    if (f->ended)
        return;
    kill(getpid(), SIGTERM);
    pthread_join(f->thread, NULL);
    f->ended = true;
    assert_int_equal(f->ret, 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    end(f);
    snprintf(command, sizeof(command), "rm -r %s", f->directory);
    assert_int_equal(system(command), 0);
    close(atomic_exchange(&fake_log_fd, -1));
    close_fd(&fake_watch_fd);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *name, const char *text)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", f->manifests, name);
    file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static void keeps_a_directory(void **state)
{
    struct fixture *f = *state;
    char path[160];

    put(f, "a.yaml", "pod web 1\n");
    wait_for(f, "GET /pods/web", "\"phase\":\"Running\"");
    wait_for(f, "GET /status", "\"phase\": \"Running\"");
    ask(f, "GET /metrics", "", "husk_node_pods{phase=\"Running\"} 1\n");
    ask(f, "GET /metrics", "",
        "husk_pod_memory_resident_bytes{namespace=\"default\",pod=\"web\"} 4096\n");
    ask(f, "POST /pods/web/stop", "", "is kept as a.yaml describes it");
    ask(f, "DELETE /pods/web", "", "HTTP/1.1 409");
    ask(f, "POST /pods", "pod web 5\n", "HTTP/1.1 409");
    put(f, "a.yaml", "nonsense\n");
    wait_for(f, "GET /status", "a.yaml: is no manifest");
    ask(f, "GET /pods/web", "", "\"phase\":\"Running\"");
    snprintf(path, sizeof(path), "%s/a.yaml", f->manifests);
    unlink(path);
    wait_for(f, "GET /pods/web", "HTTP/1.1 404");
    ask(f, "GET /events", "", "\"reason\":\"Removed\"");
}

static void verbs(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET /pods", "", "\"items\":[]");
    ask(f, "POST /pods", "pod web 1\npod db 1\n", "HTTP/1.1 200");
    ask(f, "GET /pods", "", "\"name\":\"db\"");
    ask(f, "POST /pods", "pod web 2\n", "HTTP/1.1 200");
    ask(f, "POST /pods", "pod db 1\npod web fixed\n", "applied before it: db");
    ask(f, "POST /pods", "nonsense\n", "HTTP/1.1 422");
    ask(f, "POST /pods", "object x y\n", "there is no pod in it");
    ask(f, "GET /pods/web/stats", "", "memory_resident_bytes");
    ask(f, "POST /pods/web/stop?gracePeriodSeconds=1", "", "HTTP/1.1 202");
    ask(f, "POST /pods/web/start", "", "HTTP/1.1 202");
    ask(f, "DELETE /pods/web", "", "\"status\":\"Success\"");
    fake.leaves_network = true;
    ask(f, "DELETE /pods/db?gracePeriodSeconds=0", "", "some of its network is left");
    ask(f, "GET /pods/web", "", "\"reason\":\"NotFound\"");
    ask(f, "GET /pods?labelSelector=%21", "", "HTTP/1.1 422");
    ask(f, "GET /version", "", HUSK_VERSION);
}

static void wrong_requests(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET /nowhere", "", "there is no such path");
    ask(f, "PUT /pods", "", "this path takes GET, POST");
    ask(f, "GET /pods?nonsense=1", "", "HTTP/1.1 400");
    ask(f, "GET /pods?labelSelector=%00", "", "HTTP/1.1 400");
    ask(f, "GET /pods/web/log", "", "HTTP/1.1 200"); /* the fake has all logs */
    ask(f, "POST /pods/web/exec", "", "command: is missing");
    ask(f, "POST /pods/web/portforward", "", "port: is missing");
    ask(f, "POST /pods/web/exec?command=none", "", "HTTP/1.1 404");
    ask(f, "POST /pods/web/portforward?port=81", "", "HTTP/1.1 503");
    /* Escapes in paths are no other spelling of them. */
    ask(f, "POST /pods/web/e%78ec", "", "HTTP/1.1 404");
}

static void logs(void **state)
{
    struct fixture *f = *state;
    char got[4096] = "";
    int fd;

    ask(f, "GET /pods/web/log?timestamps=true", "", "2026-11-29T02:00:00.000000000Z line 2\n");
    fd = send_request(f, "GET /pods/web/log?follow=true&tailLines=1", "");
    read_until(fd, got, sizeof(got), "line 2\n");
    assert_null(strstr(got, "line 1"));
    fake_log_add();
    read_until(fd, got, sizeof(got), "line 3\n");
    close(fd);
}

static void follows_events(void **state)
{
    struct fixture *f = *state;
    char got[8192] = "";
    int fd;

    /* It has tidied up first, which fails in this library. */
    wait_for(f, "GET /events", "\"reason\":\"FailedTidy\"");
    fd = send_request(f, "GET /events?follow=true", "");
    read_until(fd, got, sizeof(got), "AgentStarted");
    put(f, "a.yaml", "pod web 1\n");
    read_until(fd, got, sizeof(got), "\"reason\":\"Started\"");
    close(fd);
}

static void send_frame(int fd, unsigned char channel, const void *bytes, size_t len)
{
    unsigned char head[FRAME_HEAD_BYTES];

    frame_head(head, channel, (uint32_t)len);
    assert_int_equal(write_full(fd, head, sizeof(head)), 0);
    assert_int_equal(write_full(fd, bytes, len), 0);
}

static unsigned read_frame(int fd, char *bytes, size_t size)
{
    unsigned char head[FRAME_HEAD_BYTES];
    size_t len;

    assert_int_equal(recv(fd, head, sizeof(head), MSG_WAITALL), sizeof(head));
    len = (size_t)head[3] << 8 | head[4];
    assert_true(len < size);
    assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
    bytes[len] = '\0';
    return head[0];
}

/* Through the head of the answer, no byte further. */
static void pass_head(int fd)
{
    char head[1024] = "";
    size_t len = 0;

    while (!strstr(head, "\r\n\r\n")) {
        assert_true(len < sizeof(head) - 1);
        assert_int_equal(recv(fd, head + len++, 1, 0), 1);
    }
    if (!strstr(head, "HTTP/1.1 101"))
        fail_msg("%s", head);
}

static void runs_commands(void **state)
{
    struct fixture *f = *state;
    int fd = send_request(f, "POST /pods/web/exec?command=cat&stdin=true", "");
    char bytes[20000];

    pass_head(fd);
    send_frame(fd, FRAME_STDIN, "hello", 5);
    assert_int_equal(read_frame(fd, bytes, sizeof(bytes)), FRAME_STDOUT);
    assert_string_equal(bytes, "hello");
    send_frame(fd, FRAME_RESIZE, "{\"width\":80,\"height\":24}", 24);
    send_frame(fd, FRAME_CLOSE, "\0", 1);
    assert_int_equal(read_frame(fd, bytes, sizeof(bytes)), FRAME_STATUS);
    assert_non_null(strstr(bytes, "\"message\":\"7\""));
    assert_int_equal(recv(fd, bytes, 1, 0), 0);
    close(fd);
}

static void *write_much(void *arg)
{
    static char bytes[FRAME_BYTES_MAX];
    int fd = *(int *)arg;

    for (int i = 0; i < 200; i++)
        send_frame(fd, FRAME_STDIN, bytes, sizeof(bytes));
    send_frame(fd, FRAME_CLOSE, "\0", 1);
    return NULL;
}

/* More than all buffers hold, both ways at once. */
static void copies_much(void **state)
{
    struct fixture *f = *state;
    int fd = send_request(f, "POST /pods/web/exec?command=cat&stdin=true", "");
    size_t total = 0;
    char bytes[20000];
    pthread_t thread;

    pass_head(fd);
    pthread_create(&thread, NULL, write_much, &fd);
    for (;;) {
        unsigned char head[FRAME_HEAD_BYTES];
        size_t len;

        assert_int_equal(recv(fd, head, sizeof(head), MSG_WAITALL), sizeof(head));
        len = (size_t)head[3] << 8 | head[4];
        assert_true(len < sizeof(bytes));
        assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
        if (head[0] == FRAME_STATUS)
            break;
        total += len;
    }
    assert_int_equal(total, 200 * FRAME_BYTES_MAX);
    pthread_join(thread, NULL);
    close(fd);
}

static void hostile_frames(void **state)
{
    struct fixture *f = *state;
    static const unsigned char wrong[][6] = {{FRAME_STDOUT, 0, 0, 0, 1, 'x'},
                                             {9, 0, 0, 0, 1, 'x'},
                                             {0, 255, 255, 255, 255, 'x'},
                                             {FRAME_CLOSE, 0, 0, 0, 1, 1}};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        int fd = send_request(f, "POST /pods/web/exec?command=cat&stdin=true", "");
        char byte;

        pass_head(fd);
        assert_int_equal(write_full(fd, wrong[i], 6), 0);
        assert_true(recv(fd, &byte, 1, 0) <= 0);
        close(fd);
    }
    ask(f, "GET /healthz", "", "ok");
}

static void forwards_ports(void **state)
{
    struct fixture *f = *state;
    int fd = send_request(f, "POST /pods/web/portforward?port=80", "");
    char bytes[8] = "";

    pass_head(fd);
    assert_int_equal(write_full(fd, "ping", 4), 0);
    assert_int_equal(recv(fd, bytes, 4, MSG_WAITALL), 4);
    assert_string_equal(bytes, "ping");
    shutdown(fd, SHUT_WR);
    assert_int_equal(recv(fd, bytes, 1, 0), 0); /* its end comes back */
    close(fd);
}

static void ends_with_clients(void **state)
{
    struct fixture *f = *state;
    int fds[] = {send_request(f, "GET /events?follow=true", ""),
                 send_request(f, "GET /pods/web/log?follow=true", ""),
                 send_request(f, "POST /pods/web/exec?command=cat&stdin=true", ""),
                 send_request(f, "POST /pods/web/portforward?port=80", ""),
                 send_request(f, "GET /he", "")};
    struct stat st;

    put(f, "a.yaml", "pod web 1\n");
    wait_for(f, "GET /pods/web", "Running");
    pass_head(fds[2]);
    pass_head(fds[3]);
    end(f);
    for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
        char got[16384] = "";

        read_until(fds[i], got, sizeof(got), NULL);
        close(fds[i]);
    }
    assert_int_equal(stat(f->socket, &st), -1);
    assert_non_null(fake_find("web")); /* which goes on */
    assert_string_equal(fake_find("web")->phase, "Running");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_a_directory), TEST(verbs),
        TEST(wrong_requests),    TEST(logs),
        TEST(follows_events),    TEST(runs_commands),
        TEST(copies_much),       TEST(hostile_frames),
        TEST(forwards_ports),    TEST(ends_with_clients),
    };
    sigset_t signals;

    /* The agent takes it by a descriptor. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
