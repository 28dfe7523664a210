// SPDX-License-Identifier: Apache-2.0
/* The control socket from both ends: server.c in a thread, control_client.c here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "pod/control/client.h"
#include "pod/control/server.h"

struct fixture {
    struct event_loop *loop;
    struct server *server;
    pthread_t thread;
    struct ticket late; /* asked "wait" */
    unsigned closed, left;
    int listener;
};

static void answer_with_streams(struct fixture *f, struct ticket ticket)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    server_answer_fds(f->server, ticket, json_pack("{s:[s, s]}", "streams", "a", "b"), pair, 2);
}

static void on_request(void *arg, struct ticket ticket, const char *method, const json_t *params)
{
    struct fixture *f = arg;
    struct husk_error error;

    if (!strcmp(method, "wait")) {
        f->late = ticket;
    } else if (!strcmp(method, "go")) {
        server_answer(f->server, ticket, json_object());
        server_answer(f->server, f->late, json_pack("{s:i}", "status", 3));
    } else if (!strcmp(method, "refuse")) {
        error_set(&error, ENOENT, "args[0]", "is not there", "at all");
        server_refuse(f->server, ticket, &error, 127);
    } else if (!strcmp(method, "events")) {
        server_subscribe(f->server, ticket);
        server_tell(f->server, json_pack("{s:s}", "event", "first"));
        server_answer(f->server, ticket, json_object());
    } else if (!strcmp(method, "exec")) {
        answer_with_streams(f, ticket);
    } else {
        server_answer(f->server, ticket, json_deep_copy(params));
    }
}

static void on_closed(void *arg, uint64_t connection, unsigned left)
{
    struct fixture *f = arg;

    (void)connection;
    f->closed++;
    f->left = left;
}

static void *run(void *arg)
{
    (void)event_loop_run(((struct fixture *)arg)->loop);
    return NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct server_callbacks callbacks = {
        .request = on_request, .closed = on_closed, .arg = f};
    const struct sockaddr_un any = {.sun_family = AF_UNIX};

    *state = f;
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The kernel chooses a name that is in no directory: unix(7), autobind. */
    if (bind(f->listener, (const struct sockaddr *)&any, sizeof(any.sun_family)) ||
        listen(f->listener, SOMAXCONN) || event_loop_create(&f->loop) ||
        server_open(f->loop, NULL, f->listener,
                    json_pack("{s:s, s:s}", "container", "web", "container_id", "0123"), &callbacks,
                    &f->server))
        return -1;
    event_loop_expect_run(f->loop, true);
    return pthread_create(&f->thread, NULL, run, f);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    event_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    server_close(f->server);
    event_loop_destroy(f->loop);
    free(f);
    return 0;
}

struct adoption {
    struct fixture *f;
    int fd;
};

static void adopt(void *arg)
{
    struct adoption *adoption = arg;

    server_adopt(adoption->f->server, adoption->fd);
}

static int connection(struct fixture *f)
{
    struct adoption adoption = {.f = f};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    adoption.fd = pair[1];
    event_loop_call(f->loop, adopt, &adoption);
    return pair[0];
}

static struct control_client *client_of(struct fixture *f)
{
    struct control_client *client = NULL;

    assert_int_equal(control_client_open(connection(f), &client, NULL), 0);
    return client;
}

static void asks_and_hears(void **state)
{
    struct control_client *client = client_of(*state);
    struct control_message message;

    assert_int_equal(
        control_client_call(client, "echo", json_pack("{s:i}", "n", 5), &message, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(message.body, "n")), 5);
    control_message_clear(&message);
    assert_int_equal(control_client_call(client, "echo", NULL, NULL, NULL), 0);
    control_client_close(client);
}

static void is_refused(void **state)
{
    struct control_client *client = client_of(*state);
    struct control_message message;
    struct husk_error error;

    assert_int_equal(control_client_call(client, "refuse", NULL, &message, &error), -ENOENT);
    assert_int_equal(message.status, 127);
    assert_string_equal(error.where, "args[0]");
    assert_string_equal(error.what, "is not there");
    assert_string_equal(error.why, "at all");
    control_message_clear(&message);
    control_client_close(client);
}

static void answers_in_their_own_order(void **state)
{
    struct control_client *client = client_of(*state);
    struct control_message message;
    uint64_t id;

    assert_int_equal(control_client_send(client, "wait", NULL, &id, NULL), 0);
    assert_int_equal(control_client_call(client, "events", NULL, NULL, NULL), 0);
    assert_int_equal(control_client_call(client, "go", NULL, NULL, NULL), 0);
    assert_true(control_client_has_kept(client)); /* the event, which came in between */
    assert_int_equal(control_client_receive(client, true, &message, NULL), 1);
    assert_true(message.is_event);
    assert_string_equal(json_string_value(json_object_get(message.body, "event")), "first");
    control_message_clear(&message);
    assert_int_equal(control_client_receive(client, true, &message, NULL), 1);
    assert_int_equal(message.id, id);
    assert_int_equal(json_integer_value(json_object_get(message.body, "status")), 3);
    control_message_clear(&message);
    assert_int_equal(control_client_receive(client, false, &message, NULL), 0);
    control_client_close(client);
}

static void descriptors_come_along(void **state)
{
    struct control_client *client = client_of(*state);
    struct control_message message;
    char byte = 'x';

    for (int i = 0; i < 3; i++) {
        assert_int_equal(control_client_call(client, "exec", NULL, &message, NULL), 0);
        assert_int_equal(message.fd_count, 2);
        assert_int_equal(write(message.fds[0], &byte, 1), 1); /* the two are a pair */
        byte = 0;
        assert_int_equal(read(message.fds[1], &byte, 1), 1);
        assert_int_equal(byte, 'x');
        control_message_clear(&message);
    }
    control_client_close(client);
}

static void too_many_at_once(void **state)
{
    struct control_client *client = client_of(*state);
    struct husk_error error;
    uint64_t id;

    for (int i = 0; i < CONTROL_REQUESTS_MAX; i++)
        assert_int_equal(control_client_send(client, "wait", NULL, &id, NULL), 0);
    assert_int_equal(control_client_call(client, "echo", NULL, NULL, &error), -ENOSPC);
    control_client_close(client);
}

static void no_supervisor(void **state)
{
    struct control_client *client;
    struct husk_error error;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[1]);
    assert_int_equal(control_client_open(pair[0], &client, &error), -ECONNRESET);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[1], "\x02\0\0\0{}", 6), 6);
    assert_int_equal(control_client_open(pair[0], &client, &error), -EPROTO);
    close(pair[1]);
}

/* What a supervisor says that could not even begin, before it ends. */
static void start_up_errors(void **state)
{
    static const char text[] = "{\"error\":{\"code\":\"not-found\",\"where\":\"kernel\",\"what\":"
                               "\"is not there\",\"why\":\"\"}}";
    uint32_t len = sizeof(text) - 1;
    struct control_client *client;
    struct husk_error error;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[1], &len, sizeof(len)), sizeof(len));
    assert_int_equal(write(pair[1], text, len), len);
    close(pair[1]);
    assert_int_equal(control_client_open(pair[0], &client, &error), -ENOENT);
    assert_string_equal(error.where, "kernel");
}

static void count(void *arg)
{
    (void)arg; /* the loop has had a turn */
}

static void the_end_of_a_client_is_told(void **state)
{
    struct fixture *f = *state;
    struct control_client *one = client_of(f), *two = client_of(f);

    control_client_close(one);
    for (unsigned i = 0; i < 1000 && f->closed == 0; i++) {
        event_loop_call(f->loop, count, NULL);
        usleep(1000);
    }
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->left, 1);
    assert_int_equal(control_client_call(two, "echo", NULL, NULL, NULL), 0);
    control_client_close(two);
}

static int connect_to(const struct fixture *f)
{
    struct sockaddr_un name;
    socklen_t len = sizeof(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&name, &len), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, len), 0);
    return fd;
}

/* Whoever comes while all places are taken is not refused: the others may have gone, unnoticed. */
static void waits_for_a_place(void **state)
{
    static const char hello[] = "{\"husk\":{\"major\":1,\"minor\":0}}";
    struct pollfd late = {.events = POLLIN};
    uint32_t len = sizeof(hello) - 1;
    struct fixture *f = *state;
    int fds[CONTROL_CONNECTIONS_MAX];
    struct control_client *client;

    for (unsigned i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        fds[i] = connect_to(f);
    late.fd = connect_to(f);
    assert_int_equal(write(late.fd, &len, sizeof(len)), sizeof(len));
    assert_int_equal(write(late.fd, hello, len), len);
    assert_int_equal(poll(&late, 1, 200), 0);
    for (unsigned i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        close(fds[i]);
    assert_int_equal(poll(&late, 1, 60000), 1);
    assert_int_equal(read(late.fd, &len, sizeof(len)), sizeof(len));
    close(late.fd);

    assert_int_equal(control_client_open(connect_to(f), &client, NULL), 0);
    assert_int_equal(control_client_call(client, "echo", NULL, NULL, NULL), 0);
    control_client_close(client);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(asks_and_hears),
        WITH_SERVER(is_refused),
        WITH_SERVER(answers_in_their_own_order),
        WITH_SERVER(descriptors_come_along),
        WITH_SERVER(too_many_at_once),
        WITH_SERVER(the_end_of_a_client_is_told),
        WITH_SERVER(waits_for_a_place),
        cmocka_unit_test(no_supervisor),
        cmocka_unit_test(start_up_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
