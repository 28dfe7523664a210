// SPDX-License-Identifier: Apache-2.0
/*
 * pod/agent/ with a real agent: client SOCKET ROOT [vsock]. Runs one container to its end and
 * prints "ok"; says what went wrong and exits with 1 otherwise. With "vsock" the socket wants
 * CONNECT first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "pod/agent/client.h"

#define PATIENCE_NS     60000000000ull
#define OPEN_TIMEOUT_MS 30000

struct test {
    struct event_loop *loop;
    struct agent_connector connector;
    struct agent_client *client;
    int ready, lost;
    struct husk_error why;
    struct agent_event exit_event;
    /* The last request or stream: */
    int done;
    int ret; /* 0 or -errno */
    json_t *result;
    int fd;
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "client: %s\n", what);
    exit(1);
}

static void turn_until(struct test *test, const int *flag, const char *what)
{
    uint64_t end = monotonic_ns() + PATIENCE_NS;

    while (!*flag) {
        require(monotonic_ns() < end, what);
        require(event_loop_run_once(test->loop, 100) >= 0, "the loop");
    }
}

static void on_ready(void *arg, const struct agent_hello *hello)
{
    struct test *test = arg;

    require(hello->minor == HUSK_AGENT_MINOR && !hello->booted && hello->version[0], "the hello");
    test->ready = 1;
}

static void on_event(void *arg, const struct agent_event *event)
{
    struct test *test = arg;

    if (event->kind == AGENT_EVENT_EXIT && !strcmp(event->process, "init"))
        test->exit_event = *event;
}

static void on_lost(void *arg, const struct husk_error *why)
{
    struct test *test = arg;

    test->lost = 1;
    test->why = *why;
}

static void on_answer(void *arg, const json_t *result, const struct husk_error *error)
{
    struct test *test = arg;

    test->done = 1;
    test->ret = error ? -error->code : 0;
    json_decref(test->result);
    test->result = result ? json_deep_copy(result) : NULL;
}

static int call(struct test *test, const char *method, json_t *params)
{
    struct husk_error err;

    test->done = 0;
    require(!agent_client_call(test->client, method, params, 60000, on_answer, test, &err),
            "a request is not taken");
    turn_until(test, &test->done, method);
    return test->ret;
}

static void on_stream(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct test *test = arg;

    (void)hello;
    test->done = 1;
    test->fd = fd;
    test->ret = error ? -error->code : 0;
}

/* The descriptor, or -errno. */
static int open_stream(struct test *test, const char *container, const char *stream)
{
    struct agent_dial *dial;

    test->done = 0;
    require(!agent_stream_open(test->loop, &test->connector, container, "init", stream,
                               OPEN_TIMEOUT_MS, on_stream, test, &dial),
            "a stream is not begun");
    turn_until(test, &test->done, stream);
    return test->ret ? test->ret : test->fd;
}

/* To its end, which comes when everything has arrived. */
static void expect_stream(struct test *test, int fd, const char *expected)
{
    uint64_t end = monotonic_ns() + PATIENCE_NS;
    char text[4096];
    size_t len = 0;

    for (;;) {
        ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

        if (got == 0)
            break;
        require(got > 0 || errno == EAGAIN, "a stream broke");
        if (got < 0)
            require(event_loop_run_once(test->loop, 20) >= 0 && monotonic_ns() < end,
                    "a stream does not end");
        len += got > 0 ? (size_t)got : 0;
    }
    text[len] = '\0';
    require(!strcmp(text, expected), text);
    close(fd);
}

static json_t *container_config(const char *root, const char *command)
{
    return json_pack("{s:s, s:{s:s}, s:{s:[s,s,s,s], s:[s], s:s, s:{s:i, s:i}},"
                     " s:{s:[{s:s}, {s:s}]}}",
                     "ociVersion", "1.0.2", "root", "path", root, "process", "args", "/bin/busybox",
                     "sh", "-c", command, "env", "PATH=/bin", "cwd", "/", "user", "uid", 0, "gid",
                     0, "linux", "namespaces", "type", "mount", "type", "pid");
}

static json_t *named(const char *name)
{
    return json_pack("{s:s}", "container", name);
}

static void run_container(struct test *test, const char *root)
{
    static const char command[] = "read line; echo out $line $(id -u); echo err >&2; exit 7";
    struct husk_error err;
    struct agent_exit ended;
    int in, out, errors, pid;

    require(!call(test, "create",
                  json_pack("{s:s, s:o, s:b, s:s}", "container", "one", "config",
                            container_config(root, command), "stdin", 1, "user", "alice")),
            "create");
    require(!agent_read_pid(test->result, "create", &pid, &err), "the pid");
    in = open_stream(test, "one", "stdin");
    out = open_stream(test, "one", "stdout");
    errors = open_stream(test, "one", "stderr");
    require(in >= 0 && out >= 0 && errors >= 0, "streams");
    require(open_stream(test, "one", "stdout") == -EBUSY, "a stream's second connection");
    require(open_stream(test, "one", "terminal") == -ENOENT, "a stream that is not there");
    require(open_stream(test, "two", "stdout") == -ENOENT, "a container that is not there");
    require(!call(test, "start", named("one")), "start");
    require(call(test, "start", named("one")) == -EBUSY, "a second start");
    require(send(in, "line\n", 5, MSG_NOSIGNAL) == 5 && !shutdown(in, SHUT_WR), "standard input");
    close(in);
    expect_stream(test, out, "out line 1000\n");
    expect_stream(test, errors, "err\n");
    require(!call(test, "wait", named("one")), "wait");
    require(!agent_read_exit(test->result, "wait", &ended, &err) && ended.status == 7 &&
                !ended.signal && !ended.oom,
            "the exit");
    require(test->exit_event.exit.status == 7 && !strcmp(test->exit_event.container, "one"),
            "the event");
    require(!call(test, "delete", named("one")), "delete");
}

/* The descriptor, or -errno. */
static int open_port(struct test *test, const char *address, uint16_t port)
{
    struct agent_dial *dial;

    test->done = 0;
    require(!agent_port_open(test->loop, &test->connector, address, port, OPEN_TIMEOUT_MS,
                             on_stream, test, &dial),
            "a connection is not begun");
    turn_until(test, &test->done, address);
    return test->ret ? test->ret : test->fd;
}

static void wait_for_line(struct test *test, int fd)
{
    uint64_t end = monotonic_ns() + PATIENCE_NS;
    char byte = 0;

    while (byte != '\n') {
        if (recv(fd, &byte, 1, MSG_DONTWAIT) != 1)
            require(event_loop_run_once(test->loop, 20) >= 0 && monotonic_ns() < end, "no line");
    }
    close(fd);
}

static void into_the_pod(struct test *test, const char *root)
{
    int out, fd;

    require(!call(test, "network.set",
                  json_pack("{s:s, s:[s]}", "interface", "lo", "addresses", "127.0.0.1/8")),
            "network.set");
    require(!call(test, "create",
                  json_pack("{s:s, s:o}", "container", "server", "config",
                            container_config(root, "exec /bin/probe echo 7009"))),
            "create");
    out = open_stream(test, "server", "stdout");
    require(out >= 0 && !call(test, "start", named("server")), "start");
    wait_for_line(test, out);
    fd = open_port(test, "127.0.0.1", 7009);
    require(fd >= 0 && send(fd, "bytes ", 6, MSG_NOSIGNAL) == 6 && !shutdown(fd, SHUT_WR), "dial");
    expect_stream(test, fd, "bytes end");
    require(open_port(test, "127.0.0.1", 7010) == -EIO, "a port where nobody listens");
    require(open_port(test, "localhost", 7009) == -EINVAL, "a name");
    require(!call(test, "delete", json_pack("{s:s, s:b}", "container", "server", "force", 1)),
            "delete");
}

static void refusals(struct test *test, const char *root)
{
    json_t *config = container_config(root, "true");

    require(call(test, "fly", NULL) == -ENOTSUP, "a method that is not known");
    require(call(test, "state", named("one")) == -ENOENT, "a container that is gone");
    require(call(test, "state", named("a/b")) == -EINVAL, "a name");
    json_object_set_new(config, "hooks", json_pack("{s:[{s:s}]}", "poststop", "path", "/x"));
    require(call(test, "create", json_pack("{s:s, s:o}", "container", "x", "config", config)) ==
                -ENOTSUP,
            "hooks");
    require(!call(test, "list", NULL) &&
                json_array_size(json_object_get(test->result, "containers")) == 0,
            "something is left");
}

int main(int argc, char **argv)
{
    struct test test = {.fd = -1};
    const struct agent_client_callbacks callbacks = {
        .ready = on_ready, .event = on_event, .lost = on_lost, .arg = &test};
    struct husk_error err;

    require(argc >= 3, "client SOCKET ROOT [vsock]");
    test.connector = (struct agent_connector){
        .connect = agent_connector_path, .arg = argv[1], .vsock = argc > 3};
    require(!event_loop_create(&test.loop), "the loop");
    require(!agent_client_open(test.loop, &test.connector, OPEN_TIMEOUT_MS, &callbacks,
                               &test.client, &err),
            "the client");
    turn_until(&test, &test.ready, "hello");
    require(!call(&test, "info", NULL), "info");
    run_container(&test, argv[2]);
    into_the_pod(&test, argv[2]);
    refusals(&test, argv[2]);
    if (argc <= 3) {
        require(!call(&test, "shutdown", json_object()), "shutdown");
        turn_until(&test, &test.lost, "the end of the agent");
        require(test.why.code == ECONNRESET, "why the connection ended");
    }
    agent_client_close(test.client);
    json_decref(test.result);
    event_loop_destroy(test.loop);
    puts("ok");
    return 0;
}
