// SPDX-License-Identifier: Apache-2.0
/* Connections: see connection.h. All are in the agent's list. */
#include "guest/agent/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "guest/agent/container.h"
#include "guest/agent/hello.h"
#include "guest/agent/pending.h"
#include "guest/agent/relay.h"
#include "guest/agent/request.h"
#include "guest/agent/stream.h"
#include "husk/agent.h"

#define HEADER_SIZE   4
#define FIRST_SPACE   4096
#define HELLO_MAX     4096
#define FRAMES_A_TURN 16

struct connection {
    struct connection *next;
    struct agent *agent;
    int fd;
    struct event_source *source;
    struct event_timer *hello_timer;
    bool is_control;
    bool lost;            /* goes at the end of this turn */
    bool in_order;        /* a host of a minor below 2: one request after the other */
    unsigned held;        /* requests that are to be answered later */
    size_t waiting_bytes; /* of requests that wait (pending.h) */
    uint8_t header[HEADER_SIZE];
    size_t header_len;
    char *body;
    size_t body_len, body_size, body_space;
    char *output;
    size_t output_start, output_len, output_space;
};

static void destroy(struct connection *connection)
{
    struct agent *agent = connection->agent;
    struct connection **at = &agent->connections;

    while (*at && *at != connection)
        at = &(*at)->next;
    if (*at) {
        *at = connection->next;
        agent->connection_count--;
    }
    container_forget_waits(agent, connection);
    pending_forget(agent, connection);
    event_source_remove(connection->source);
    event_timer_remove(connection->hello_timer);
    close_fd(&connection->fd);
    free(connection->body);
    free(connection->output);
    free(connection);
}

/* ---- output ---- */

/* Whether more may be read. */
static bool may_speak(const struct connection *connection)
{
    return connection->output_len < HUSK_AGENT_OUTPUT_MAX &&
           connection->waiting_bytes <= HUSK_AGENT_QUEUE_MAX &&
           !(connection->in_order && (connection->held || connection->waiting_bytes));
}

static void watch(struct connection *connection)
{
    uint32_t events = 0;

    if (may_speak(connection))
        events |= EPOLLIN;
    if (connection->output_len)
        events |= EPOLLOUT;
    if (event_source_watch(connection->source, events))
        connection->lost = true;
    /* It is destroyed on its own turn, which the hang-up brings. */
    if (connection->lost)
        shutdown(connection->fd, SHUT_RDWR);
}

void connection_hold(struct connection *connection, int change)
{
    connection->held += (unsigned)change;
    watch(connection);
}

void connection_hold_request(struct connection *connection, size_t bytes)
{
    connection->waiting_bytes += bytes;
    watch(connection);
}

void connection_release_request(struct connection *connection, size_t bytes)
{
    connection->waiting_bytes -= bytes;
    watch(connection);
}

static int reserve(struct connection *connection, size_t len)
{
    size_t space = connection->output_start + connection->output_len + len;
    char *grown;

    if (connection->output_len + len > 2 * (size_t)HUSK_AGENT_OUTPUT_MAX)
        return -ENOSPC;
    if (space <= connection->output_space)
        return 0;
    if (connection->output_len)
        memmove(connection->output, connection->output + connection->output_start,
                connection->output_len);
    connection->output_start = 0;
    space = connection->output_len + len;
    if (space <= connection->output_space)
        return 0;
    grown = realloc(connection->output, space);
    if (!grown)
        return -ENOMEM;
    connection->output = grown;
    connection->output_space = space;
    return 0;
}

static void send_json(struct connection *connection, const json_t *json)
{
    size_t len = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    char *to;

    if (!len || len > HUSK_AGENT_FRAME_MAX || reserve(connection, HEADER_SIZE + len)) {
        connection->lost = true;
    } else {
        to = connection->output + connection->output_start + connection->output_len;
        put_le32(to, (uint32_t)len);
        if (json_dumpb(json, to + HEADER_SIZE, len, JSON_COMPACT) == len)
            connection->output_len += HEADER_SIZE + len;
        else
            connection->lost = true;
    }
    watch(connection);
}

void connection_answer(struct connection *connection, int64_t id, json_t *result)
{
    json_t *answer = json_pack("{s:I, s:o}", "id", (json_int_t)id, "result", result);

    send_json(connection, answer);
    json_decref(answer);
}

void connection_refuse(struct connection *connection, int64_t id, const struct husk_error *error)
{
    json_t *answer =
        json_pack("{s:I, s:o}", "id", (json_int_t)id, "error", request_error_json(error));

    send_json(connection, answer);
    json_decref(answer);
}

void connection_tell_all(struct agent *agent, const json_t *event)
{
    for (struct connection *at = agent->connections; at; at = at->next) {
        if (at->is_control && !at->lost)
            send_json(at, event);
    }
}

static void flush(struct connection *connection)
{
    ssize_t len;

    if (!connection->output_len)
        return;
    len = send(connection->fd, connection->output + connection->output_start,
               connection->output_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (len < 0) {
        connection->lost |= errno != EAGAIN && errno != EINTR;
        return;
    }
    connection->output_start += (size_t)len;
    connection->output_len -= (size_t)len;
    if (!connection->output_len) {
        connection->output_start = 0;
        free(connection->output);
        connection->output = NULL;
        connection->output_space = 0;
    }
}

void connection_flush_all(struct agent *agent, unsigned patience_ms)
{
    uint64_t end = monotonic_ns() + patience_ms * 1000000ull;

    for (struct connection *at = agent->connections; at; at = at->next) {
        while (at->output_len && !at->lost && monotonic_ns() < end) {
            struct pollfd wait = {.fd = at->fd, .events = POLLOUT};

            (void)poll(&wait, 1, 20);
            flush(at);
        }
        shutdown(at->fd, SHUT_WR);
    }
}

/* ---- input ---- */

/* The first frame. Returns whether the connection still is one. */
static bool take_hello(struct connection *connection, const json_t *message)
{
    struct agent *agent = connection->agent;
    struct husk_error error = {.code = 0};
    struct hello hello = {.role = HELLO_CONTROL};
    int ret = hello_read(agent, message, &hello, &error);

    event_timer_disarm(connection->hello_timer);
    /* A connection that becomes another's leaves the loop before. */
    if (!ret && hello.role != HELLO_CONTROL) {
        event_source_remove(connection->source);
        connection->source = NULL;
    }
    if (!ret && hello.role == HELLO_DIAL) {
        ret = relay_begin(agent, connection->fd, &hello.address, &error);
        connection->fd = ret ? connection->fd : -1;
    }
    /* A relay says hello itself. */
    if (connection->fd >= 0 && hello_send(agent, connection->fd, ret ? &error : NULL))
        ret = -EPIPE;
    if (!ret && hello.role == HELLO_CONTROL) {
        connection->is_control = true;
        connection->in_order = hello.minor < 2;
        return true;
    }
    if (!ret && hello.role == HELLO_STREAM && stream_attach(hello.stream, connection->fd) == 0)
        connection->fd = -1;
    destroy(connection);
    return false;
}

static bool take_frame(struct connection *connection)
{
    struct husk_error error;
    json_t *message = json_parse_object(connection->body, connection->body_len, &error);
    size_t bytes = connection->body_len;
    bool alive = true;

    free(connection->body);
    connection->body = NULL;
    connection->body_len = connection->body_size = connection->body_space = 0;
    connection->header_len = 0;
    if (!message) {
        log_warn(connection->agent->log, "agent", "a connection's message: %s", error.why);
        destroy(connection);
        return false;
    }
    if (!connection->is_control)
        alive = take_hello(connection, message);
    else if (request_handle(connection->agent, connection, message, bytes))
        connection->lost = true;
    json_decref(message);
    return alive;
}

/* Space grows with what arrives, not with what is announced. */
static int make_space(struct connection *connection)
{
    size_t space = connection->body_space ? 2 * connection->body_space : FIRST_SPACE;
    char *grown;

    if (connection->body_len < connection->body_space)
        return 0;
    if (space > connection->body_size)
        space = connection->body_size;
    grown = realloc(connection->body, space);
    if (!grown)
        return -ENOMEM;
    connection->body = grown;
    connection->body_space = space;
    return 0;
}

/* 1: something came; 0: nothing now; -1: the connection is at its end. */
static int receive(struct connection *connection, void *to, size_t len)
{
    ssize_t got = recv(connection->fd, to, len, MSG_DONTWAIT);

    if (got > 0)
        return (int)got;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* A step of reading: a part of a header or a body. The same results; 1 with a whole frame in
 * *whole. */
static int read_step(struct connection *connection, bool *whole)
{
    size_t limit = connection->is_control ? HUSK_AGENT_FRAME_MAX : HELLO_MAX;
    int got;

    *whole = false;
    if (connection->header_len < HEADER_SIZE) {
        got = receive(connection, connection->header + connection->header_len,
                      HEADER_SIZE - connection->header_len);
        if (got <= 0)
            return got;
        connection->header_len += (size_t)got;
        if (connection->header_len < HEADER_SIZE)
            return 1;
        connection->body_size = get_le32(connection->header);
        return connection->body_size < 2 || connection->body_size > limit ? -1 : 1;
    }
    if (make_space(connection))
        return -1;
    got = receive(connection, connection->body + connection->body_len,
                  connection->body_space - connection->body_len);
    if (got <= 0)
        return got;
    connection->body_len += (size_t)got;
    *whole = connection->body_len == connection->body_size;
    return 1;
}

static void on_ready(void *arg, uint32_t events)
{
    struct connection *connection = arg;
    int frames = 0, got = 1;

    if (events & EPOLLOUT)
        flush(connection);
    while (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && got > 0 && frames < FRAMES_A_TURN &&
           !connection->lost && may_speak(connection)) {
        bool whole;

        got = read_step(connection, &whole);
        if (whole && !take_frame(connection))
            return;
        frames += whole;
    }
    if (got < 0 || connection->lost) {
        destroy(connection);
        return;
    }
    watch(connection);
}

static void on_late(void *arg)
{
    destroy(arg);
}

void connection_accept(struct agent *agent, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int flags = fcntl(fd, F_GETFL);

    if (!connection || flags < 0 || agent->connection_count >= HUSK_AGENT_CONNECTIONS_MAX ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        free(connection);
        close(fd);
        return;
    }
    connection->agent = agent;
    connection->fd = fd;
    connection->next = agent->connections;
    agent->connections = connection;
    agent->connection_count++;
    if (event_loop_add(agent->loop, fd, EPOLLIN, on_ready, connection, &connection->source) ||
        event_loop_add_timer(agent->loop, on_late, connection, &connection->hello_timer)) {
        destroy(connection);
        return;
    }
    event_timer_arm(connection->hello_timer, HUSK_AGENT_HELLO_TIMEOUT_MS * 1000000ull);
}

void connection_close_all(struct agent *agent)
{
    struct connection *next;

    for (struct connection *at = agent->connections; at; at = next) {
        next = at->next;
        destroy(at);
    }
}
