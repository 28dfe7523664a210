// SPDX-License-Identifier: Apache-2.0
/*
 * A control connection: see client.h.
 *
 * Invariants:
 *  1. `requests` holds what has been asked and not been answered, oldest first: at most
 *     AGENT_CLIENT_REQUESTS_MAX. Each is taken out before its callback is made.
 *  2. Once `lost` or `closed` is set there is no descriptor, no source and no request.
 *  3. Callbacks are made with `busy` raised; the client is freed when it is closed and not busy.
 */
#include "pod/agent/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/agent/frame.h"

#define FRAMES_A_TURN 16
#define METHOD_SIZE   32
#define NS_PER_MS     1000000ull

static const char peer[] = "the agent";
static const char broken[] = "does not keep to the protocol";

struct request {
    struct request *next;
    int64_t id;
    char method[METHOD_SIZE];
    uint32_t timeout_ms;
    uint64_t deadline_ns; /* 0: none runs */
    agent_answer_fn fn;
    void *arg;
};

struct agent_client {
    struct event_loop *loop;
    struct agent_client_callbacks callbacks;
    struct agent_dial *dial; /* while opening */
    struct agent_hello hello;
    bool ready, lost, closed, suspended;
    unsigned busy;
    int fd;
    struct event_source *source;
    struct event_timer *timer; /* the earliest deadline */
    struct frame_reader reader;
    struct frame_writer writer;
    struct request *requests;
    unsigned request_count;
    int64_t last_id;
};

/* ---- endings ---- */

static void disconnect(struct agent_client *client)
{
    agent_dial_cancel(client->dial);
    client->dial = NULL;
    event_source_remove(client->source);
    client->source = NULL;
    close_fd(&client->fd);
    frame_reader_clear(&client->reader);
    frame_writer_clear(&client->writer);
}

static void leave(struct agent_client *client)
{
    if (--client->busy > 0 || !client->closed)
        return;
    event_timer_remove(client->timer);
    free(client);
}

static void answer(struct agent_client *client, struct request **at, const json_t *result,
                   const struct husk_error *error)
{
    struct request *request = *at;

    *at = request->next;
    client->request_count--;
    request->fn(request->arg, result, error);
    free(request);
}

/* A callback may close the client, which then answers the rest itself. */
static void answer_all(struct agent_client *client, const struct husk_error *error)
{
    while (client->requests)
        answer(client, &client->requests, NULL, error);
}

static void lose(struct agent_client *client, const struct husk_error *error)
{
    const struct husk_error why = *error;

    if (client->lost || client->closed)
        return;
    client->lost = true;
    client->busy++;
    disconnect(client);
    event_timer_disarm(client->timer);
    /* First the cause, then what follows from it. */
    if (client->callbacks.lost)
        client->callbacks.lost(client->callbacks.arg, &why);
    if (!client->closed)
        answer_all(client, &why);
    leave(client);
}

void agent_client_close(struct agent_client *client)
{
    struct husk_error error;

    if (!client || client->closed)
        return;
    client->closed = true;
    client->busy++;
    disconnect(client);
    error_set(&error, ECANCELED, peer, "is not asked any more", "%s", "");
    answer_all(client, &error);
    leave(client);
}

/* ---- deadlines ---- */

static void arm(struct agent_client *client)
{
    uint64_t first = UINT64_MAX, now = monotonic_ns();

    for (const struct request *at = client->requests; at; at = at->next) {
        if (at->deadline_ns && at->deadline_ns < first)
            first = at->deadline_ns;
    }
    if (first == UINT64_MAX)
        event_timer_disarm(client->timer);
    else
        event_timer_arm(client->timer, first > now ? first - now : 0);
}

static bool time_runs(const struct agent_client *client)
{
    return client->ready && !client->suspended;
}

static void restart_deadlines(struct agent_client *client)
{
    uint64_t now = monotonic_ns();

    for (struct request *at = client->requests; at; at = at->next)
        at->deadline_ns =
            at->timeout_ms && time_runs(client) ? now + at->timeout_ms * NS_PER_MS : 0;
    arm(client);
}

static void on_timer(void *arg)
{
    struct agent_client *client = arg;
    uint64_t now = monotonic_ns();

    for (const struct request *at = client->requests; at; at = at->next) {
        struct husk_error error;

        if (!at->deadline_ns || at->deadline_ns > now)
            continue;
        error_set(&error, ETIMEDOUT, peer, "did not answer in time", "\"%s\" within %u ms",
                  at->method, at->timeout_ms);
        lose(client, &error);
        return;
    }
    arm(client);
}

void agent_client_suspend(struct agent_client *client, bool suspended)
{
    if (client->suspended == suspended)
        return;
    client->suspended = suspended;
    if (!client->lost && !client->closed)
        restart_deadlines(client);
}

/* ---- what comes in ---- */

/* Answers come in any order: what is slow holds up nothing else (husk/agent.h, "Order"). */
static struct request **find(struct agent_client *client, int64_t id)
{
    struct request **at = &client->requests;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static int take_answer(struct agent_client *client, const json_t *message, struct husk_error *err)
{
    const json_t *id = json_object_get(message, "id");
    const json_t *result = json_object_get(message, "result");
    const json_t *error = json_object_get(message, "error");
    struct husk_error told = {.code = 0};
    struct request **at;

    if (!json_is_integer(id))
        return error_set(err, EPROTO, peer, broken, "a message that is no answer and no event");
    at = find(client, json_integer_value(id));
    if (!*at)
        return error_set(err, EPROTO, peer, broken, "an answer to %lld, which it was not asked",
                         (long long)json_integer_value(id));
    if (!json_is_object(result) == !error)
        return error_set(err, EPROTO, peer, broken,
                         "its answer to \"%s\" is neither a result nor an error", (*at)->method);
    if (error && agent_read_error(error, &told) == -EPROTO) {
        *err = told;
        return -EPROTO;
    }
    answer(client, at, error ? NULL : result, error ? &told : NULL);
    if (!client->closed)
        arm(client);
    return 0;
}

static int take_message(struct agent_client *client, const json_t *message, struct husk_error *err)
{
    struct agent_event event;
    int ret;

    if (!json_object_get(message, "event"))
        return take_answer(client, message, err);
    ret = agent_read_event(message, &event, err);
    if (!ret && event.kind != AGENT_EVENT_UNKNOWN && client->callbacks.event)
        client->callbacks.event(client->callbacks.arg, &event);
    return ret;
}

static int watch(struct agent_client *client)
{
    return event_source_watch(client->source,
                              EPOLLIN | (frame_waiting(&client->writer) ? EPOLLOUT : 0u));
}

/* 0, or -errno: the end of the connection. */
static int receive(struct agent_client *client, struct husk_error *err)
{
    int ret = 1;

    for (int i = 0; i < FRAMES_A_TURN && ret > 0 && !client->closed && !client->lost; i++) {
        json_t *message = NULL;

        ret = frame_read(&client->reader, client->fd, peer, &message, err);
        if (ret > 0) {
            int taken = take_message(client, message, err);

            json_decref(message);
            ret = taken ? taken : 1;
        }
    }
    return ret < 0 ? ret : 0;
}

static void on_ready(void *arg, uint32_t events)
{
    struct agent_client *client = arg;
    struct husk_error error = {.code = 0};
    int ret = 0;

    client->busy++;
    if (events & EPOLLOUT) {
        ret = frame_flush(&client->writer, client->fd);
        if (ret)
            error_set(&error, -ret, peer, "the connection broke", NULL);
    }
    if (!ret && events & ~(uint32_t)EPOLLOUT)
        ret = receive(client, &error);
    if (!ret && !client->closed && !client->lost) {
        ret = watch(client);
        if (ret)
            error_set(&error, -ret, peer, "cannot be watched", NULL);
    }
    if (!ret || client->closed) {
        leave(client);
        return;
    }
    /* Whatever broke it: the agent, or the way to it, is gone. */
    if (error.code != EPROTO && error.code != ENOMEM)
        error.code = ECONNRESET;
    client->busy--;
    lose(client, &error);
}

/* ---- opening ---- */

static void on_dialled(void *arg, int fd, const struct agent_hello *hello,
                       const struct husk_error *error)
{
    struct agent_client *client = arg;
    struct husk_error problem;
    int ret;

    client->dial = NULL;
    if (error) {
        lose(client, error);
        return;
    }
    client->fd = fd;
    client->hello = *hello;
    client->ready = true;
    ret = event_loop_add(client->loop, fd, EPOLLIN | EPOLLOUT, on_ready, client, &client->source);
    if (ret) {
        error_set(&problem, -ret, peer, "cannot be watched", NULL);
        lose(client, &problem);
        return;
    }
    restart_deadlines(client);
    client->busy++;
    if (client->callbacks.ready)
        client->callbacks.ready(client->callbacks.arg, &client->hello);
    leave(client);
}

int agent_client_open(struct event_loop *loop, const struct agent_connector *connector,
                      uint32_t timeout_ms, const struct agent_client_callbacks *callbacks,
                      struct agent_client **out, struct husk_error *err)
{
    struct agent_client *client = calloc(1, sizeof(*client));
    int ret;

    if (!client)
        return error_set(err, ENOMEM, peer, "cannot be connected to", NULL);
    *client = (struct agent_client){
        .loop = loop,
        .callbacks = *callbacks,
        .fd = -1,
        .reader = {.limit = HUSK_AGENT_FRAME_MAX},
        .writer = {.limit = AGENT_CLIENT_OUTPUT_MAX},
    };
    ret = event_loop_add_timer(loop, on_timer, client, &client->timer);
    if (!ret)
        ret = agent_dial_start(loop, connector, json_pack("{s:s}", "role", "control"), timeout_ms,
                               on_dialled, client, &client->dial);
    if (ret) {
        event_timer_remove(client->timer);
        free(client);
        return error_set(err, -ret, peer, "cannot be connected to", NULL);
    }
    *out = client;
    return 0;
}

const struct agent_hello *agent_client_hello(const struct agent_client *client)
{
    return client->ready ? &client->hello : NULL;
}

/* ---- requests ---- */

static int queue(struct agent_client *client, struct request *request, json_t *params,
                 struct husk_error *err)
{
    json_t *message = json_pack("{s:I, s:s, s:O}", "id", (json_int_t)request->id, "method",
                                request->method, "params", params);
    int ret = frame_queue(&client->writer, message, HUSK_AGENT_FRAME_MAX);

    json_decref(message);
    if (ret == -EMSGSIZE)
        return error_set(err, EMSGSIZE, request->method, "is too long for the agent",
                         "more than %u bytes of JSON", HUSK_AGENT_FRAME_MAX);
    if (ret == -ENOBUFS)
        return error_set(err, ENOBUFS, request->method, "cannot be asked",
                         "the agent does not read: %zu bytes wait", frame_waiting(&client->writer));
    if (!ret && client->source)
        ret = watch(client);
    return ret ? error_set(err, -ret, request->method, "cannot be asked", NULL) : 0;
}

static void append(struct agent_client *client, struct request *request)
{
    struct request **tail = &client->requests;

    while (*tail)
        tail = &(*tail)->next;
    *tail = request;
    client->request_count++;
    if (request->timeout_ms && time_runs(client)) {
        request->deadline_ns = monotonic_ns() + request->timeout_ms * NS_PER_MS;
        arm(client);
    }
}

int agent_client_call(struct agent_client *client, const char *method, json_t *params,
                      uint32_t timeout_ms, agent_answer_fn fn, void *arg, struct husk_error *err)
{
    struct request *request = NULL;
    int ret = 0;

    if (!params)
        params = json_object();
    if (client->lost || client->closed)
        ret = error_set(err, ENOTCONN, method, "cannot be asked", "the agent's connection is lost");
    else if (client->request_count >= AGENT_CLIENT_REQUESTS_MAX)
        ret = error_set(err, ENOBUFS, method, "cannot be asked", "%u requests are open",
                        AGENT_CLIENT_REQUESTS_MAX);
    else if (strlen(method) >= METHOD_SIZE || !json_is_object(params))
        ret = error_set(err, EINVAL, method, "cannot be asked", "no method with parameters");
    else
        request = calloc(1, sizeof(*request));
    if (request) {
        *request = (struct request){
            .id = client->last_id + 1, .timeout_ms = timeout_ms, .fn = fn, .arg = arg};
        snprintf(request->method, sizeof(request->method), "%s", method);
        ret = queue(client, request, params, err);
        if (ret) {
            free(request);
        } else {
            client->last_id++;
            append(client, request);
        }
    } else if (!ret) {
        ret = error_set(err, ENOMEM, method, "cannot be asked", NULL);
    }
    json_decref(params);
    return ret;
}
