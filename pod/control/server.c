// SPDX-License-Identifier: Apache-2.0
/* The control socket: see server.h. */
#include "pod/control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/agent/answer.h"
#include "pod/agent/frame.h"

#define PEER          "a client"
#define FRAMES_A_TURN 16
#define ACCEPT_A_TURN 16
#define HELLO_MAX     4096u

struct connection {
    LIST_ENTRY(connection) next;
    struct server *server;
    uint64_t serial; /* from 1 */
    int fd;
    struct event_source *source;
    struct event_timer *hello_timer;
    bool greeted, subscribed;
    bool lost; /* goes on its next turn, which the hang-up brings */
    unsigned unanswered;
    struct frame_reader reader;
    struct frame_writer writer;
};

struct server {
    struct event_loop *loop;
    const struct log *log;
    struct log_limit complaints;
    int listener;
    struct event_source *source;
    json_t *hello;
    struct server_callbacks callbacks;
    LIST_HEAD(connection_list, connection) connections;
    unsigned count;
    uint64_t next_serial;
};

static void release(struct connection *connection)
{
    LIST_REMOVE(connection, next);
    connection->server->count--;
    event_source_remove(connection->source);
    event_timer_remove(connection->hello_timer);
    frame_reader_clear(&connection->reader);
    frame_writer_clear(&connection->writer);
    close_fd(&connection->fd);
    free(connection);
}

static void destroy(struct connection *connection)
{
    struct server *server = connection->server;
    uint64_t serial = connection->serial;

    release(connection);
    if (server->source && event_source_watch(server->source, EPOLLIN))
        log_error(server->log, "supervisor", "the control socket takes no connections any more");
    server->callbacks.closed(server->callbacks.arg, serial, server->count);
}

/* ---- output ---- */

static void watch(struct connection *connection)
{
    uint32_t events = 0;

    if (frame_waiting(&connection->writer) < CONTROL_OUTPUT_MAX)
        events |= EPOLLIN;
    if (frame_waiting(&connection->writer))
        events |= EPOLLOUT;
    if (event_source_watch(connection->source, events))
        connection->lost = true;
    if (connection->lost)
        shutdown(connection->fd, SHUT_RDWR);
}

static void flush(struct connection *connection)
{
    if (frame_flush(&connection->writer, connection->fd))
        connection->lost = true;
}

static void send_json(struct connection *connection, const json_t *json, const int *fds,
                      unsigned fd_count)
{
    int ret;

    if (!json)
        ret = -ENOMEM;
    else if (fd_count)
        ret = frame_queue_fds(&connection->writer, json, CONTROL_FRAME_MAX, fds, fd_count);
    else
        ret = frame_queue(&connection->writer, json, CONTROL_FRAME_MAX);
    if (ret) {
        log_limited(connection->server->log, &connection->server->complaints, LOG_LEVEL_WARN,
                    "supervisor", "a client's connection ends: %s", error_text(-ret));
        connection->lost = true;
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
    } else {
        flush(connection);
    }
    watch(connection);
}

static struct connection *find(struct server *server, uint64_t serial)
{
    struct connection *at;

    for (at = LIST_FIRST(&server->connections); at; at = LIST_NEXT(at, next)) {
        if (at->serial == serial)
            return at;
    }
    return NULL;
}

void server_answer_fds(struct server *server, struct ticket ticket, json_t *result, const int *fds,
                       unsigned fd_count)
{
    struct connection *connection = find(server, ticket.connection);
    json_t *answer =
        result ? json_pack("{s:I, s:o}", "id", (json_int_t)ticket.id, "result", result) : NULL;

    if (connection && !connection->lost) {
        connection->unanswered--;
        send_json(connection, answer, fds, fd_count);
    } else {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
    }
    json_decref(answer);
}

void server_answer(struct server *server, struct ticket ticket, json_t *result)
{
    server_answer_fds(server, ticket, result, NULL, 0);
}

json_t *server_error_json(const struct husk_error *error, int status)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "code", agent_error_code(error->code), "where",
                             error->where, "what", error->what, "why", error->why);

    if (json && status)
        json_object_set_new(json, "status", json_integer(status));
    return json;
}

void server_refuse(struct server *server, struct ticket ticket, const struct husk_error *error,
                   int status)
{
    struct connection *connection = find(server, ticket.connection);
    json_t *answer;

    if (!connection || connection->lost)
        return;
    answer = json_pack("{s:I, s:o}", "id", (json_int_t)ticket.id, "error",
                       server_error_json(error, status));
    connection->unanswered--;
    send_json(connection, answer, NULL, 0);
    json_decref(answer);
}

void server_subscribe(struct server *server, struct ticket ticket)
{
    struct connection *connection = find(server, ticket.connection);

    if (connection)
        connection->subscribed = true;
}

void server_tell(struct server *server, json_t *event)
{
    struct connection *at;

    for (at = LIST_FIRST(&server->connections); at; at = LIST_NEXT(at, next)) {
        if (event && at->subscribed && !at->lost)
            send_json(at, event, NULL, 0);
    }
    json_decref(event);
}

void server_stop_listening(struct server *server)
{
    event_source_remove(server->source);
    server->source = NULL;
    close_fd(&server->listener);
}

unsigned server_count(const struct server *server)
{
    return server->count;
}

bool server_is_idle(const struct server *server)
{
    const struct connection *at;

    for (at = LIST_FIRST(&server->connections); at; at = LIST_NEXT(at, next)) {
        if (!at->lost && frame_waiting(&at->writer))
            return false;
    }
    return true;
}

/* ---- input ---- */

static void end_with_error(struct connection *connection, const struct husk_error *error)
{
    json_t *answer = json_pack("{s:o}", "error", server_error_json(error, 0));

    send_json(connection, answer, NULL, 0);
    json_decref(answer);
    connection->lost = true;
}

static void take_hello(struct connection *connection, const json_t *message)
{
    const json_t *major = json_object_get(json_object_get(message, "husk"), "major");
    struct husk_error error = {.code = 0};
    json_t *answer;

    if (!json_is_integer(major))
        error_set(&error, EINVAL, "husk.major", "is no number", "a hello begins a connection");
    else if (json_integer_value(major) != CONTROL_MAJOR)
        error_set(&error, EPROTONOSUPPORT, "husk.major", "is another version",
                  "the client speaks %lld, this supervisor %d",
                  (long long)json_integer_value(major), CONTROL_MAJOR);
    if (error.code) {
        end_with_error(connection, &error);
        return;
    }
    connection->greeted = true;
    connection->reader.limit = CONTROL_FRAME_MAX;
    event_timer_disarm(connection->hello_timer);
    answer = json_pack("{s:{s:i, s:i}}", "husk", "major", CONTROL_MAJOR, "minor", CONTROL_MINOR);
    if (answer && json_object_update(answer, connection->server->hello)) {
        json_decref(answer);
        answer = NULL;
    }
    send_json(connection, answer, NULL, 0);
    json_decref(answer);
}

static bool only_known_members(const json_t *message)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)message, key, value)
    {
        if (strcmp(key, "id") != 0 && strcmp(key, "method") != 0 && strcmp(key, "params") != 0)
            return false;
    }
    return true;
}

/* A message that is no request at all is the connection's end. */
static void take_request(struct connection *connection, const json_t *message)
{
    struct server *server = connection->server;
    const json_t *id = json_object_get(message, "id"), *params = json_object_get(message, "params");
    const char *method = json_string_value(json_object_get(message, "method"));
    struct ticket ticket = {.connection = connection->serial, .id = json_integer_value(id)};
    json_t *empty = params ? NULL : json_object();
    struct husk_error error;

    if (!json_is_integer(id) || ticket.id < 0 || ticket.id > INT64_C(1) << 53 || !method ||
        !json_is_object(params ? params : empty) || !only_known_members(message)) {
        connection->lost = true;
    } else {
        connection->unanswered++;
        if (connection->unanswered > CONTROL_REQUESTS_MAX) {
            error_set(&error, ENOSPC, method, "is one request too many",
                      "%u of this connection are not answered yet", CONTROL_REQUESTS_MAX);
            server_refuse(server, ticket, &error, 0);
        } else {
            server->callbacks.request(server->callbacks.arg, ticket, method,
                                      params ? params : empty);
        }
    }
    json_decref(empty);
}

static void complain(struct connection *connection, const struct husk_error *error)
{
    char text[512];

    log_limited(connection->server->log, &connection->server->complaints, LOG_LEVEL_WARN,
                "supervisor", "%s", error_format(error, text, sizeof(text)));
}

static void on_ready(void *arg, uint32_t events)
{
    struct connection *connection = arg;
    struct husk_error error = {.code = 0};
    int ret = 1;

    if (events & EPOLLOUT)
        flush(connection);
    for (unsigned frames = 0; frames < FRAMES_A_TURN && ret > 0 && !connection->lost &&
                              frame_waiting(&connection->writer) < CONTROL_OUTPUT_MAX;
         frames++) {
        json_t *message;

        ret = frame_read(&connection->reader, connection->fd, PEER, &message, &error);
        if (ret <= 0)
            break;
        if (connection->greeted)
            take_request(connection, message);
        else
            take_hello(connection, message);
        json_decref(message);
    }
    if (ret < 0 && ret != -ENODATA && ret != -ECONNRESET)
        complain(connection, &error);
    if (ret < 0 || connection->lost)
        destroy(connection);
    else
        watch(connection);
}

static void on_late(void *arg)
{
    destroy(arg);
}

/* ---- connections ---- */

void server_adopt(struct server *server, int fd)
{
    struct connection *connection = NULL;
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && server->count < CONTROL_CONNECTIONS_MAX &&
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)
        connection = calloc(1, sizeof(*connection));
    if (!connection) {
        close(fd);
        return;
    }
    connection->server = server;
    connection->serial = ++server->next_serial;
    connection->fd = fd;
    connection->reader.limit = HELLO_MAX;
    connection->writer.limit = 2 * (size_t)CONTROL_OUTPUT_MAX;
    LIST_INSERT_HEAD(&server->connections, connection, next);
    server->count++;
    if (event_loop_add(server->loop, fd, EPOLLIN, on_ready, connection, &connection->source) ||
        event_loop_add_timer(server->loop, on_late, connection, &connection->hello_timer)) {
        release(connection);
        return;
    }
    event_timer_arm(connection->hello_timer, CONTROL_HELLO_TIMEOUT_MS * UINT64_C(1000000));
}

/* Whoever may write to the socket's directory could have connected: look all the same. */
static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* Beyond CONTROL_CONNECTIONS_MAX clients wait in the socket's backlog: some of those that are held
 * may have hung up already, unnoticed yet, and nobody is to be refused because of them. */
static void on_connect(void *arg, uint32_t events)
{
    struct server *server = arg;

    (void)events;
    for (unsigned i = 0; i < ACCEPT_A_TURN; i++) {
        int fd;

        if (server->count >= CONTROL_CONNECTIONS_MAX) {
            (void)event_source_watch(server->source, 0);
            return;
        }
        fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            /* Without descriptors the next turn would find the same again at once. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                (void)event_source_watch(server->source, 0);
            return;
        }
        if (is_allowed(fd))
            server_adopt(server, fd);
        else
            close(fd);
    }
}

int server_open(struct event_loop *loop, const struct log *log, int listener, json_t *hello,
                const struct server_callbacks *callbacks, struct server **out)
{
    struct server *server = hello ? calloc(1, sizeof(*server)) : NULL;
    int ret;

    if (!server) {
        json_decref(hello);
        close_fd(&listener);
        return -ENOMEM;
    }
    server->loop = loop;
    server->log = log;
    server->listener = listener;
    server->hello = hello;
    server->callbacks = *callbacks;
    LIST_INIT(&server->connections);
    ret = event_loop_add(loop, listener, EPOLLIN, on_connect, server, &server->source);
    if (ret) {
        close_fd(&server->listener);
        json_decref(hello);
        free(server);
        return ret;
    }
    *out = server;
    return 0;
}

void server_close(struct server *server)
{
    struct connection *at, *next;

    if (!server)
        return;
    for (at = LIST_FIRST(&server->connections); at; at = next) {
        next = LIST_NEXT(at, next);
        release(at);
    }
    server_stop_listening(server);
    json_decref(server->hello);
    free(server);
}
