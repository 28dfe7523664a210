// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile client of a container's control socket: the input is what it sends, in pieces. Whatever
 * that was, the server must still answer a good client.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "pod/control/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Answers everything with what it was asked; some of it late, some by an error. */
static void on_request(void *arg, struct ticket ticket, const char *method, const json_t *params)
{
    struct server *server = *(struct server **)arg;
    const struct husk_error error = {.code = 22, .where = "here", .what = "is wrong", .why = ""};

    if (!strcmp(method, "events"))
        server_subscribe(server, ticket);
    if (!strcmp(method, "refuse"))
        server_refuse(server, ticket, &error, 125);
    else if (strcmp(method, "wait") != 0)
        server_answer(server, ticket, json_deep_copy(params));
    server_tell(server, json_pack("{s:s}", "event", "asked"));
}

static void on_closed(void *arg, uint64_t connection, unsigned left)
{
    (void)arg;
    (void)connection;
    (void)left;
}

static void turn(struct event_loop *loop)
{
    for (int i = 0; i < 64 && event_loop_run_once(loop, 0) > 0; i++)
        ;
}

static void attack(struct server *server, struct event_loop *loop, const uint8_t *data, size_t size)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    server_adopt(server, pair[1]);
    while (size) {
        size_t part = (size_t)data[0] * 16 + 1;

        data++;
        size--;
        if (part > size)
            part = size;
        if (part && send(pair[0], data, part, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)part)
            break;
        data += part;
        size -= part;
        turn(loop);
    }
    close(pair[0]);
    turn(loop);
}

static void expect_answer(int fd, struct event_loop *loop)
{
    static const char hello[] = "\x1e\0\0\0{\"husk\":{\"major\":1,\"minor\":0}}";
    static const char request[] = "\x19\0\0\0{\"id\":7,\"method\":\"ping\"} ";
    char answer[512];
    ssize_t len;

    if (send(fd, hello, sizeof(hello) - 1, 0) < 0 || send(fd, request, sizeof(request) - 1, 0) < 0)
        abort();
    turn(loop);
    len = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
    if (len <= 8 ||
        !memmem(answer, (size_t)len, "\"id\":7", 6) && !memmem(answer, (size_t)len, "\"id\": 7", 7))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server *server = NULL;
    const struct server_callbacks callbacks = {
        .request = on_request, .closed = on_closed, .arg = &server};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];
    struct event_loop *loop;

    if (event_loop_create(&loop) ||
        server_open(loop, NULL, listener, json_pack("{s:s}", "container", "fuzz"), &callbacks,
                    &server))
        abort();
    attack(server, loop, data, size);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    server_adopt(server, pair[1]);
    expect_answer(pair[0], loop);
    close(pair[0]);
    server_close(server);
    event_loop_destroy(loop);
    return 0;
}
