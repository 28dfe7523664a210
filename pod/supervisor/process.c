// SPDX-License-Identifier: Apache-2.0
/*
 * Processes of "exec" and of archives: see supervisor.h and protocol.h. The supervisor asks the
 * agent for the process and for its streams, hands the connected descriptors to the client, and
 * keeps nothing but the name and, later, how it ended. A detached one's output is read here and
 * thrown away.
 *
 *     asked --pid--> dialing its streams --all there--> answered --exit--> forgotten
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/supervisor/supervisor.h"

#define STREAM_TIMEOUT_MS 30000u
#define NAME_BYTES        16u

struct process_stream {
    struct process *process;
    enum hub_stream stream;
    struct agent_dial *dial;
    int fd;
    struct event_source *source; /* of one whose output is thrown away */
};

struct process {
    LIST_ENTRY(process) next;
    struct supervisor *s;
    char name[NAME_BYTES];
    uint64_t connection; /* that made it; 0 when it is closed, or nobody's */
    struct ticket ticket;
    const char *method;      /* of the agent's */
    json_t *params;          /* for it, until it is asked */
    bool wants[HUB_STREAMS]; /* the streams that it will have */
    bool detached;
    int pid;
    struct process_stream streams[CONTROL_FDS_MAX];
    unsigned stream_count, dialing;
    bool answered, ended;
    struct agent_exit exit;
    struct waiters waiters;
};

static json_t *exit_json(const struct agent_exit *exit)
{
    return json_pack("{s:i, s:i, s:b}", "status", (int)exit->status, "signal", (int)exit->signal,
                     "oom", (int)exit->oom);
}

static void close_stream(struct process_stream *stream)
{
    agent_dial_cancel(stream->dial);
    stream->dial = NULL;
    event_source_remove(stream->source);
    stream->source = NULL;
    close_fd(&stream->fd);
}

static void destroy(struct process *process)
{
    for (unsigned i = 0; i < process->stream_count; i++)
        close_stream(&process->streams[i]);
    LIST_REMOVE(process, next);
    process->s->process_count--;
    json_decref(process->params);
    free(process->waiters.list);
    free(process);
}

void process_destroy_all(struct supervisor *s)
{
    struct process *process;

    while ((process = LIST_FIRST(&s->processes))) {
        struct husk_error error;

        error_set(&error, ECANCELED, process->name, "has ended", "with its container");
        if (!process->answered)
            server_refuse(s->server, process->ticket, &error, STATUS_HUSK);
        for (unsigned i = 0; i < process->waiters.count; i++)
            server_refuse(s->server, process->waiters.list[i], &error, 0);
        destroy(process);
    }
}

struct process *process_find(struct supervisor *s, const char *name)
{
    struct process *process;

    for (process = LIST_FIRST(&s->processes); process; process = LIST_NEXT(process, next)) {
        if (!strcmp(process->name, name))
            return process;
    }
    return NULL;
}

/* ---- the end ---- */

static void on_deleted(void *arg, const json_t *result, const struct husk_error *error)
{
    struct supervisor *s = arg;
    char text[512];

    (void)result;
    if (error && s->phase < PHASE_DRAINING)
        log_warn(s->log, "supervisor", "%s", error_format(error, text, sizeof(text)));
}

/* Whom nobody asks for any more. */
static void forget(struct process *process)
{
    struct supervisor *s = process->s;
    struct husk_error error;

    if (agent_client_call(
            s->agent, "delete",
            json_pack("{s:s, s:s}", "container", s->record.name, "process", process->name),
            AGENT_CLIENT_TIMEOUT_MS, on_deleted, s, &error))
        on_deleted(s, NULL, &error);
    destroy(process);
}

static bool has_open_stream(const struct process *process)
{
    for (unsigned i = 0; i < process->stream_count; i++) {
        if (process->streams[i].fd >= 0)
            return true;
    }
    return false;
}

static void forget_if_done(struct process *process)
{
    if (process->ended && process->answered && !process->connection && !has_open_stream(process))
        forget(process);
}

static void on_process_exit(void *arg, const json_t *result, const struct husk_error *error)
{
    struct process *process = arg;
    struct supervisor *s = process->s;
    struct husk_error wrong;
    json_t *exit;

    if (!error && agent_read_exit(result, "wait", &process->exit, &wrong))
        error = &wrong;
    if (error) /* with the connection to the agent goes everything */
        return;
    process->ended = true;
    exit = exit_json(&process->exit);
    waiters_answer(&process->waiters, s->server, exit);
    server_tell(s->server, json_pack("{s:s, s:s, s:o}", "event", "exit", "process", process->name,
                                     "exit", exit));
    forget_if_done(process);
}

void process_wait(struct supervisor *s, struct process *process, struct ticket ticket)
{
    struct husk_error error;

    if (process->ended) {
        server_answer(s->server, ticket, exit_json(&process->exit));
    } else if (waiters_add(&process->waiters, ticket)) {
        error_set(&error, ENOMEM, "wait", "is not possible", NULL);
        server_refuse(s->server, ticket, &error, 0);
    }
}

void process_connection_closed(struct supervisor *s, uint64_t connection)
{
    struct process *process, *next;

    for (process = LIST_FIRST(&s->processes); process; process = next) {
        next = LIST_NEXT(process, next);
        if (process->connection != connection)
            continue;
        process->connection = 0;
        forget_if_done(process);
    }
}

/* ---- the beginning ---- */

/* It runs, but not for this client: its output goes nowhere. */
static void refuse(struct process *process, const struct husk_error *error)
{
    server_refuse(process->s->server, process->ticket, error, STATUS_HUSK);
    process->answered = true;
    process->connection = 0;
    for (unsigned i = 0; i < process->stream_count; i++)
        close_stream(&process->streams[i]);
    forget_if_done(process);
}

static void on_discard(void *arg, uint32_t events)
{
    struct process_stream *stream = arg;
    char bytes[16384];
    ssize_t len = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    (void)events;
    if (len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    close_stream(stream);
    forget_if_done(stream->process);
}

static void discard(struct process *process)
{
    for (unsigned i = 0; i < process->stream_count; i++) {
        struct process_stream *stream = &process->streams[i];

        if (event_loop_add(process->s->loop, stream->fd, EPOLLIN, on_discard, stream,
                           &stream->source))
            close_stream(stream);
    }
}

static void answer(struct process *process)
{
    struct supervisor *s = process->s;
    json_t *names = json_array(), *result;
    int fds[CONTROL_FDS_MAX];
    unsigned count = 0;

    for (; !process->detached && count < process->stream_count; count++) {
        json_array_append_new(names, json_string(hub_stream_name(process->streams[count].stream)));
        fds[count] = process->streams[count].fd;
        process->streams[count].fd = -1;
    }
    result = json_pack("{s:s, s:i, s:o}", "process", process->name, "pid", process->pid, "streams",
                       names);
    process->answered = true;
    server_answer_fds(s->server, process->ticket, result, fds, count);
    if (process->detached)
        discard(process);
    forget_if_done(process);
}

static void on_stream(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct process_stream *stream = arg;
    struct process *process = stream->process;

    (void)hello;
    stream->dial = NULL;
    process->dialing--;
    if (error) {
        refuse(process, error);
        return;
    }
    stream->fd = fd;
    if (process->dialing == 0)
        answer(process);
}

static int dial(struct process *process, enum hub_stream which)
{
    struct supervisor *s = process->s;
    struct process_stream *stream = &process->streams[process->stream_count];
    int ret;

    *stream = (struct process_stream){.process = process, .stream = which, .fd = -1};
    ret = agent_stream_open(s->loop, s->ops->connector(s->machine), s->record.name, process->name,
                            hub_stream_name(which), STREAM_TIMEOUT_MS, on_stream, stream,
                            &stream->dial);
    if (ret)
        return ret;
    process->stream_count++;
    process->dialing++;
    return 0;
}

static int dial_all(struct process *process)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < HUB_STREAMS; i++) {
        if (process->wants[i])
            ret = dial(process, i);
    }
    return ret;
}

static void on_made(void *arg, const json_t *result, const struct husk_error *error)
{
    struct process *process = arg;
    struct supervisor *s = process->s;
    struct husk_error wrong;
    int ret;

    if (!error && agent_read_pid(result, process->method, &process->pid, &wrong))
        error = &wrong;
    if (error) {
        server_refuse(s->server, process->ticket, error, life_status_of(error));
        destroy(process);
        return;
    }
    ret = agent_client_call(
        s->agent, "wait",
        json_pack("{s:s, s:s}", "container", s->record.name, "process", process->name), 0,
        on_process_exit, process, &wrong);
    if (ret == 0) {
        ret = dial_all(process);
        if (ret)
            error_set(&wrong, -ret, process->name, "has streams that cannot be reached", NULL);
    }
    if (ret)
        refuse(process, &wrong);
}

/* Room for one more, if need be that of the oldest that has ended. */
static int make_room(struct supervisor *s)
{
    struct process *process, *oldest = NULL;

    if (s->process_count < CONTROL_PROCESSES_MAX)
        return 0;
    for (process = LIST_FIRST(&s->processes); process; process = LIST_NEXT(process, next)) {
        if (process->ended && process->answered && !has_open_stream(process))
            oldest = process; /* the newest is at the head */
    }
    if (!oldest)
        return -ENOSPC;
    forget(oldest);
    return 0;
}

/* Reads what is the supervisor's of "exec"; the rest is for the agent to check. */
static int read_exec(struct process *process, const json_t *params, struct husk_error *err)
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
    process->detached = json_is_true(detach);
    process->wants[HUB_TERMINAL] = terminal;
    process->wants[HUB_STDIN] = json_is_true(with_stdin) && !process->detached && !terminal;
    process->wants[HUB_STDOUT] = process->wants[HUB_STDERR] = !terminal;
    return 0;
}

/* What the agent is asked. */
static int make_params(struct process *process, const json_t *params, struct husk_error *err)
{
    json_t *copy = process->params = json_copy((json_t *)params);
    int ret = copy ? 0 : -ENOMEM;

    (void)json_object_del(copy, "detach");
    if (ret == 0)
        ret = json_object_set_new(copy, "container", json_string(process->s->record.name));
    if (ret == 0)
        ret = json_object_set_new(copy, "process", json_string(process->name));
    if (ret == 0 && !strcmp(process->method, "exec"))
        ret = json_object_set_new(copy, "stdin", json_boolean(process->wants[HUB_STDIN]));
    return ret ? error_set(err, ENOMEM, process->method, "is not possible", NULL) : 0;
}

static void ask(struct process *process)
{
    struct supervisor *s = process->s;
    struct husk_error error;
    json_t *params = process->params;

    process->params = NULL;
    if (agent_client_call(s->agent, process->method, params, AGENT_CLIENT_TIMEOUT_MS, on_made,
                          process, &error) == 0)
        return;
    server_refuse(s->server, process->ticket, &error, STATUS_HUSK);
    destroy(process);
}

static struct process *new_process(struct supervisor *s, struct ticket ticket, const char *method)
{
    struct process *process = NULL;
    struct husk_error error;
    int ret = make_room(s);

    if (ret == 0) {
        process = calloc(1, sizeof(*process));
        ret = -ENOMEM;
    }
    if (!process) {
        error_set(&error, -ret, method, "is not possible",
                  ret == -ENOSPC ? "there are %u processes beside the container's own" : NULL,
                  CONTROL_PROCESSES_MAX);
        server_refuse(s->server, ticket, &error, STATUS_HUSK);
        return NULL;
    }
    process->s = s;
    process->method = method;
    process->ticket = ticket;
    process->connection = ticket.connection;
    snprintf(process->name, sizeof(process->name), "e%llu",
             (unsigned long long)(++s->next_process % 1000000000));
    LIST_INSERT_HEAD(&s->processes, process, next);
    s->process_count++;
    return process;
}

static void begin(struct process *process, const json_t *params, int ret, struct husk_error *error)
{
    struct supervisor *s = process->s;

    if (ret == 0)
        ret = make_params(process, params, error);
    if (ret) {
        server_refuse(s->server, process->ticket, error, STATUS_HUSK);
        destroy(process);
    } else if (s->phase >= PHASE_READY) {
        ask(process);
    } /* else when the container is there */
}

void process_exec(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    struct process *process = new_process(s, ticket, "exec");
    struct husk_error error = {.code = 0};

    if (process)
        begin(process, params, read_exec(process, params, &error), &error);
}

static void begin_archive(struct supervisor *s, struct ticket ticket, const json_t *params,
                          const char *method, enum hub_stream stream)
{
    struct process *process;
    struct husk_error error = {.code = 0};

    if (s->phase >= PHASE_DRAINING) {
        error_set(&error, EBUSY, s->record.name, "is not running", "it has ended");
        server_refuse(s->server, ticket, &error, 0);
        return;
    }
    process = new_process(s, ticket, method);
    if (!process)
        return;
    process->wants[stream] = process->wants[HUB_STDERR] = true;
    begin(process, params, 0, &error);
}

void process_archive_get(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    begin_archive(s, ticket, params, "archive.get", HUB_STDOUT);
}

void process_archive_put(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    begin_archive(s, ticket, params, "archive.put", HUB_STDIN);
}

void process_begin_all(struct supervisor *s)
{
    struct process *process, *next;

    for (process = LIST_FIRST(&s->processes); process; process = next) {
        next = LIST_NEXT(process, next);
        if (process->params)
            ask(process);
    }
}
