// SPDX-License-Identifier: Apache-2.0
/*
 * Processes of "exec" and of archives: see exec.h.
 *
 *     asked --pid--> dialing its streams --all there--> answered --exit--> forgotten
 *
 * One that goes while the agent has not answered a request about it lives on, in no list, until
 * that answer.
 */
#include "pod/stdio/exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/control/status.h"
#include "pod/stdio/hub.h"

#define STREAM_TIMEOUT_MS 30000u
#define NAME_BYTES        16u

struct exec_stream {
    struct exec *exec;
    enum hub_stream stream;
    struct agent_dial *dial;
    int fd;
    struct event_source *source; /* of one whose output is thrown away */
};

struct exec {
    LIST_ENTRY(exec) next;
    struct exec_set *set;
    char name[NAME_BYTES];
    uint64_t connection; /* that made it; 0 when it is closed, or nobody's */
    struct ticket ticket;
    const char *method;      /* of the agent's */
    json_t *params;          /* for it, until it is asked */
    bool wants[HUB_STREAMS]; /* the streams that it will have */
    bool detached;
    int pid;
    struct exec_stream streams[CONTROL_FDS_MAX];
    unsigned stream_count, dialing;
    bool answered, ended;
    bool gone;      /* in no list any more */
    unsigned asked; /* requests about it that the agent has not answered */
    struct agent_exit exit;
    struct waiters waiters;
};

uint8_t exec_status_of(const struct husk_error *error)
{
    if (!strstr(error->where, "args[0]"))
        return STATUS_HUSK;
    return error->code == ENOENT ? STATUS_NOT_FOUND : STATUS_NO_EXECUTE;
}

static json_t *exit_json(const struct agent_exit *exit)
{
    return json_pack("{s:i, s:i, s:b}", "status", (int)exit->status, "signal", (int)exit->signal,
                     "oom", (int)exit->oom);
}

static void close_stream(struct exec_stream *stream)
{
    agent_dial_cancel(stream->dial);
    stream->dial = NULL;
    event_source_remove(stream->source);
    stream->source = NULL;
    close_fd(&stream->fd);
}

static void destroy(struct exec *exec)
{
    for (unsigned i = 0; i < exec->stream_count; i++)
        close_stream(&exec->streams[i]);
    exec->stream_count = 0;
    LIST_REMOVE(exec, next);
    exec->set->count--;
    json_decref(exec->params);
    free(exec->waiters.list);
    exec->gone = true;
    if (exec->asked == 0)
        free(exec);
}

/* The agent's answer to a request about it: whether it still means anything. */
static bool came_back(struct exec *exec)
{
    exec->asked--;
    if (exec->gone && exec->asked == 0) {
        free(exec);
        return false;
    }
    return !exec->gone;
}

void exec_destroy_all(struct exec_set *set)
{
    struct exec *exec;

    while ((exec = LIST_FIRST(&set->list))) {
        struct husk_error error;

        error_set(&error, ECANCELED, exec->name, "has ended", "with its container");
        if (!exec->answered)
            server_refuse(set->server, exec->ticket, &error, STATUS_HUSK);
        waiters_refuse(&exec->waiters, set->server, &error);
        destroy(exec);
    }
    set->ready = false;
}

struct exec *exec_find(struct exec_set *set, const char *name)
{
    struct exec *exec;

    for (exec = LIST_FIRST(&set->list); exec; exec = LIST_NEXT(exec, next)) {
        if (!strcmp(exec->name, name))
            return exec;
    }
    return NULL;
}

/* ---- the end ---- */

static void on_deleted(void *arg, const json_t *result, const struct husk_error *error)
{
    struct exec_set *set = arg;
    char text[512];

    (void)result;
    if (error && !set->over)
        log_warn(set->log, "supervisor", "%s", error_format(error, text, sizeof(text)));
}

/* Whom nobody asks for any more. */
static void forget(struct exec *exec)
{
    struct exec_set *set = exec->set;
    struct husk_error error;

    if (agent_client_call(
            set->agent, "delete",
            json_pack("{s:s, s:s}", "container", set->container, "process", exec->name),
            AGENT_CLIENT_TIMEOUT_MS, on_deleted, set, &error))
        on_deleted(set, NULL, &error);
    destroy(exec);
}

static bool has_open_stream(const struct exec *exec)
{
    for (unsigned i = 0; i < exec->stream_count; i++) {
        if (exec->streams[i].fd >= 0)
            return true;
    }
    return false;
}

static void forget_if_done(struct exec *exec)
{
    if (exec->ended && exec->answered && !exec->connection && !has_open_stream(exec))
        forget(exec);
}

static void on_process_exit(void *arg, const json_t *result, const struct husk_error *error)
{
    struct exec *exec = arg;
    struct exec_set *set = exec->set;
    struct husk_error wrong;
    json_t *exit;

    if (!came_back(exec))
        return;
    if (!error && agent_read_exit(result, "wait", &exec->exit, &wrong))
        error = &wrong;
    if (error) /* with the connection to the agent goes everything */
        return;
    exec->ended = true;
    exit = exit_json(&exec->exit);
    waiters_answer(&exec->waiters, set->server, exit);
    server_tell(set->server, json_pack("{s:s, s:s*, s:s, s:o}", "event", "exit", "container",
                                       set->name_container ? set->container : NULL, "process",
                                       exec->name, "exit", exit));
    forget_if_done(exec);
}

void exec_wait(struct exec *exec, struct ticket ticket)
{
    struct exec_set *set = exec->set;
    struct husk_error error;

    if (exec->ended) {
        server_answer(set->server, ticket, exit_json(&exec->exit));
    } else if (waiters_add(&exec->waiters, ticket)) {
        error_set(&error, ENOMEM, "wait", "is not possible", NULL);
        server_refuse(set->server, ticket, &error, 0);
    }
}

void exec_connection_closed(struct exec_set *set, uint64_t connection)
{
    struct exec *exec, *next;

    for (exec = LIST_FIRST(&set->list); exec; exec = next) {
        next = LIST_NEXT(exec, next);
        if (exec->connection != connection)
            continue;
        exec->connection = 0;
        forget_if_done(exec);
    }
}

/* ---- the beginning ---- */

/* It runs, but not for this client: its output goes nowhere. */
static void refuse(struct exec *exec, const struct husk_error *error)
{
    server_refuse(exec->set->server, exec->ticket, error, STATUS_HUSK);
    exec->answered = true;
    exec->connection = 0;
    for (unsigned i = 0; i < exec->stream_count; i++)
        close_stream(&exec->streams[i]);
    forget_if_done(exec);
}

static void on_discard(void *arg, uint32_t events)
{
    struct exec_stream *stream = arg;
    char bytes[16384];
    ssize_t len = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    (void)events;
    if (len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    close_stream(stream);
    forget_if_done(stream->exec);
}

static void discard(struct exec *exec)
{
    for (unsigned i = 0; i < exec->stream_count; i++) {
        struct exec_stream *stream = &exec->streams[i];

        if (event_loop_add(exec->set->loop, stream->fd, EPOLLIN, on_discard, stream,
                           &stream->source))
            close_stream(stream);
    }
}

static void answer(struct exec *exec)
{
    struct exec_set *set = exec->set;
    json_t *names = json_array(), *result;
    int fds[CONTROL_FDS_MAX];
    unsigned count = 0;

    for (; !exec->detached && count < exec->stream_count; count++) {
        json_array_append_new(names, json_string(hub_stream_name(exec->streams[count].stream)));
        fds[count] = exec->streams[count].fd;
        exec->streams[count].fd = -1;
    }
    result =
        json_pack("{s:s, s:i, s:o}", "process", exec->name, "pid", exec->pid, "streams", names);
    exec->answered = true;
    server_answer_fds(set->server, exec->ticket, result, fds, count);
    if (exec->detached)
        discard(exec);
    forget_if_done(exec);
}

static void on_stream(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct exec_stream *stream = arg;
    struct exec *exec = stream->exec;

    (void)hello;
    stream->dial = NULL;
    exec->dialing--;
    if (error) {
        refuse(exec, error);
        return;
    }
    stream->fd = fd;
    if (exec->dialing == 0)
        answer(exec);
}

static int dial(struct exec *exec, enum hub_stream which)
{
    struct exec_set *set = exec->set;
    struct exec_stream *stream = &exec->streams[exec->stream_count];
    int ret;

    *stream = (struct exec_stream){.exec = exec, .stream = which, .fd = -1};
    ret = agent_stream_open(set->loop, set->connector, set->container, exec->name,
                            hub_stream_name(which), STREAM_TIMEOUT_MS, on_stream, stream,
                            &stream->dial);
    if (ret)
        return ret;
    exec->stream_count++;
    exec->dialing++;
    return 0;
}

static int dial_all(struct exec *exec)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < HUB_STREAMS; i++) {
        if (exec->wants[i])
            ret = dial(exec, i);
    }
    return ret;
}

static void on_made(void *arg, const json_t *result, const struct husk_error *error)
{
    struct exec *exec = arg;
    struct exec_set *set = exec->set;
    struct husk_error wrong;
    int ret;

    if (!came_back(exec))
        return;
    if (!error && agent_read_pid(result, exec->method, &exec->pid, &wrong))
        error = &wrong;
    if (error) {
        server_refuse(set->server, exec->ticket, error, exec_status_of(error));
        destroy(exec);
        return;
    }
    ret = agent_client_call(
        set->agent, "wait",
        json_pack("{s:s, s:s}", "container", set->container, "process", exec->name), 0,
        on_process_exit, exec, &wrong);
    if (ret == 0) {
        exec->asked++;
        ret = dial_all(exec);
        if (ret)
            error_set(&wrong, -ret, exec->name, "has streams that cannot be reached", NULL);
    }
    if (ret)
        refuse(exec, &wrong);
}

/* Room for one more, if need be that of the oldest that has ended. */
static int make_room(struct exec_set *set)
{
    struct exec *exec, *oldest = NULL;

    if (set->count < CONTROL_PROCESSES_MAX)
        return 0;
    for (exec = LIST_FIRST(&set->list); exec; exec = LIST_NEXT(exec, next)) {
        if (exec->ended && exec->answered && !has_open_stream(exec))
            oldest = exec; /* the newest is at the head */
    }
    if (!oldest)
        return -ENOSPC;
    forget(oldest);
    return 0;
}

/* Reads what is the supervisor's of "exec"; the rest is for the agent to check. */
static int read_exec(struct exec *exec, const json_t *params, struct husk_error *err)
{
    const json_t *config = json_object_get(params, "config");
    const json_t *with_stdin = json_object_get(params, "stdin");
    const json_t *detach = json_object_get(params, "detach");
    bool terminal;

    if (!json_is_object(config))
        return error_set(err, EINVAL, "config", "is wrong", "an object as \"process\"");
    if (with_stdin && !json_is_boolean(with_stdin))
        return error_set(err, EINVAL, "stdin", "is wrong", "true or false");
    if (detach && !json_is_boolean(detach))
        return error_set(err, EINVAL, "detach", "is wrong", "true or false");
    terminal = json_is_true(json_object_get(config, "terminal"));
    exec->detached = json_is_true(detach);
    exec->wants[HUB_TERMINAL] = terminal;
    exec->wants[HUB_STDIN] = json_is_true(with_stdin) && !exec->detached && !terminal;
    exec->wants[HUB_STDOUT] = exec->wants[HUB_STDERR] = !terminal;
    return 0;
}

/* What the agent is asked. */
static int make_params(struct exec *exec, const json_t *params, struct husk_error *err)
{
    json_t *copy = exec->params = json_copy((json_t *)params);
    int ret = copy ? 0 : -ENOMEM;

    (void)json_object_del(copy, "detach");
    if (ret == 0)
        ret = json_object_set_new(copy, "container", json_string(exec->set->container));
    if (ret == 0)
        ret = json_object_set_new(copy, "process", json_string(exec->name));
    if (ret == 0 && !strcmp(exec->method, "exec"))
        ret = json_object_set_new(copy, "stdin", json_boolean(exec->wants[HUB_STDIN]));
    return ret ? error_set(err, ENOMEM, exec->method, "is not possible", NULL) : 0;
}

static void ask(struct exec *exec)
{
    struct exec_set *set = exec->set;
    struct husk_error error;
    json_t *params = exec->params;

    exec->params = NULL;
    if (agent_client_call(set->agent, exec->method, params, AGENT_CLIENT_TIMEOUT_MS, on_made, exec,
                          &error) == 0) {
        exec->asked++;
        return;
    }
    server_refuse(set->server, exec->ticket, &error, STATUS_HUSK);
    destroy(exec);
}

static struct exec *new_exec(struct exec_set *set, struct ticket ticket, const char *method)
{
    struct exec *exec = NULL;
    struct husk_error error;
    int ret = make_room(set);

    if (ret == 0) {
        exec = calloc(1, sizeof(*exec));
        ret = -ENOMEM;
    }
    if (!exec) {
        error_set(&error, -ret, method, "is not possible",
                  ret == -ENOSPC ? "there are %u processes beside the container's own" : NULL,
                  CONTROL_PROCESSES_MAX);
        server_refuse(set->server, ticket, &error, STATUS_HUSK);
        return NULL;
    }
    exec->set = set;
    exec->method = method;
    exec->ticket = ticket;
    exec->connection = ticket.connection;
    snprintf(exec->name, sizeof(exec->name), "e%llu",
             (unsigned long long)(++set->next % 1000000000));
    LIST_INSERT_HEAD(&set->list, exec, next);
    set->count++;
    return exec;
}

static void begin(struct exec *exec, const json_t *params, int ret, struct husk_error *error)
{
    struct exec_set *set = exec->set;

    if (ret == 0)
        ret = make_params(exec, params, error);
    if (ret) {
        server_refuse(set->server, exec->ticket, error, STATUS_HUSK);
        destroy(exec);
    } else if (set->ready) {
        ask(exec);
    } /* else when the container is there */
}

void exec_begin(struct exec_set *set, struct ticket ticket, const json_t *params)
{
    struct exec *exec = new_exec(set, ticket, "exec");
    struct husk_error error = {.code = 0};

    if (exec)
        begin(exec, params, read_exec(exec, params, &error), &error);
}

static void begin_archive(struct exec_set *set, struct ticket ticket, const json_t *params,
                          const char *method, enum hub_stream stream)
{
    struct exec *exec;
    struct husk_error error = {.code = 0};

    if (set->over) {
        error_set(&error, EBUSY, set->container, "is not running", "it has ended");
        server_refuse(set->server, ticket, &error, 0);
        return;
    }
    exec = new_exec(set, ticket, method);
    if (!exec)
        return;
    exec->wants[stream] = exec->wants[HUB_STDERR] = true;
    begin(exec, params, 0, &error);
}

void exec_archive_get(struct exec_set *set, struct ticket ticket, const json_t *params)
{
    begin_archive(set, ticket, params, "archive.get", HUB_STDOUT);
}

void exec_archive_put(struct exec_set *set, struct ticket ticket, const json_t *params)
{
    begin_archive(set, ticket, params, "archive.put", HUB_STDIN);
}

void exec_begin_all(struct exec_set *set)
{
    struct exec *exec, *next;

    set->ready = true;
    for (exec = LIST_FIRST(&set->list); exec; exec = next) {
        next = LIST_NEXT(exec, next);
        if (exec->params)
            ask(exec);
    }
}
