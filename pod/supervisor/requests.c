// SPDX-License-Identifier: Apache-2.0
/*
 * What clients may ask (protocol.h): one table, one handler for each. Members that a request does
 * not have are refused here, and every value is checked for type and range before it is used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/control/params.h"
#include "pod/stdio/attach.h"
#include "pod/supervisor/supervisor.h"

#define PARAMS_MAX 5

struct request {
    const char *method;
    const char *params[PARAMS_MAX]; /* that it may have; NULL: whatever */
    bool any_params;
    bool needs_running;
    void (*handle)(struct supervisor *s, struct ticket ticket, const json_t *params);
};

/* ---- values ---- */

/* The process that is meant, or NULL for the container's first. */
static int process_of(struct supervisor *s, const json_t *params, struct exec **out,
                      struct husk_error *err)
{
    const json_t *value = json_object_get(params, "process");
    const char *name = json_string_value(value);

    *out = NULL;
    if (!value || (name && !strcmp(name, "init")))
        return 0;
    if (!name)
        return error_set(err, EINVAL, "process", "is wrong", "the name of a process");
    *out = exec_find(&s->processes, name);
    return *out
               ? 0
               : error_set(err, ENOENT, name, "is no process of this container", "or not any more");
}

/* ---- passing on ---- */

struct forward {
    struct supervisor *s;
    struct ticket ticket;
    /* What becomes of the container when it worked: RUNNING or PAUSED. */
    bool changes;
    enum container_status status;
};

static void on_forwarded(void *arg, const json_t *result, const struct husk_error *error)
{
    struct forward *forward = arg;
    struct supervisor *s = forward->s;

    if (error) {
        server_refuse(s->server, forward->ticket, error, 0);
    } else {
        if (forward->changes && s->phase == PHASE_RUNNING) {
            s->state.status = forward->status;
            state_changed(s);
        }
        server_answer(s->server, forward->ticket, json_incref((json_t *)result));
    }
    free(forward);
}

static void pass_on(struct supervisor *s, const struct forward *what, const char *method,
                    json_t *params, agent_answer_fn fn)
{
    struct forward *forward = malloc(sizeof(*forward));
    struct husk_error error = {.code = 0};

    if (!forward || !params ||
        json_object_set_new(params, "container", json_string(s->record.name))) {
        error_set(&error, ENOMEM, method, "is not possible", NULL);
        json_decref(params);
    } else {
        *forward = *what;
        if (agent_client_call(s->agent, method, params, AGENT_CLIENT_TIMEOUT_MS, fn, forward,
                              &error) == 0)
            return;
    }
    free(forward);
    server_refuse(s->server, what->ticket, &error, 0);
}

void requests_forward(struct supervisor *s, struct ticket ticket, const char *method,
                      json_t *params)
{
    const struct forward forward = {.s = s, .ticket = ticket};

    pass_on(s, &forward, method, params, on_forwarded);
}

/* ---- the container ---- */

static void handle_start(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    (void)params;
    life_start(s, ticket);
}

static void handle_inspect(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    (void)params;
    server_answer(s->server, ticket, state_json(s));
}

static void add_waiter(struct supervisor *s, struct ticket ticket)
{
    struct husk_error error;

    if (s->finished) {
        server_answer(s->server, ticket, ending_exit_json(s));
    } else if (waiters_add(&s->waiters, ticket)) {
        error_set(&error, ENOMEM, "wait", "is not possible", NULL);
        server_refuse(s->server, ticket, &error, 0);
    }
}

static void handle_wait(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    struct husk_error error;
    struct exec *process;

    if (process_of(s, params, &process, &error))
        server_refuse(s->server, ticket, &error, 0);
    else if (process)
        exec_wait(process, ticket);
    else
        add_waiter(s, ticket);
}

static void handle_kill(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    struct husk_error error;
    struct exec *process;
    int64_t signal = 0;
    bool all = false;

    if (process_of(s, params, &process, &error) ||
        params_integer(params, "signal", 1, 64, &signal, &error) ||
        params_flag(params, "all", &all, &error)) {
        server_refuse(s->server, ticket, &error, 0);
    } else if (!signal) {
        error_set(&error, EINVAL, "signal", "is missing", "1 to 64");
        server_refuse(s->server, ticket, &error, 0);
    } else {
        requests_forward(s, ticket, "kill", json_copy((json_t *)params));
    }
}

static void handle_stop(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    int64_t signal = s->record.stop_signal, grace_ms = (int64_t)s->record.stop_grace_ms;
    struct husk_error error;

    if (params_integer(params, "signal", 1, 64, &signal, &error) ||
        params_integer(params, "grace_ms", 0, CONTAINER_MS_MAX, &grace_ms, &error)) {
        server_refuse(s->server, ticket, &error, 0);
        return;
    }
    add_waiter(s, ticket);
    stop_begin(s, (int)signal, (uint64_t)grace_ms);
}

static void pause_or_resume(struct supervisor *s, struct ticket ticket, const char *method,
                            enum container_status status)
{
    const struct forward forward = {.s = s, .ticket = ticket, .changes = true, .status = status};

    pass_on(s, &forward, method, json_object(), on_forwarded);
}

static void handle_pause(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    (void)params;
    pause_or_resume(s, ticket, "pause", CONTAINER_PAUSED);
}

static void handle_resume(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    (void)params;
    pause_or_resume(s, ticket, "resume", CONTAINER_RUNNING);
}

static void handle_update(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    requests_forward(s, ticket, "update", json_copy((json_t *)params));
}

static void on_stats(void *arg, const json_t *result, const struct husk_error *error)
{
    struct forward *forward = arg;
    struct supervisor *s = forward->s;
    struct machine_stats stats = {UINT64_MAX, UINT64_MAX};
    json_t *answer = error ? NULL : json_copy((json_t *)result), *machine;

    if (answer && s->machine && s->ops->stats(s->machine, &stats) == 0 &&
        (machine = json_object())) {
        if (stats.memory_resident_bytes <= INT64_MAX)
            json_object_set_new(machine, "memory_resident_bytes",
                                json_integer((json_int_t)stats.memory_resident_bytes));
        if (stats.cpu_ns <= INT64_MAX)
            json_object_set_new(machine, "cpu_ns", json_integer((json_int_t)stats.cpu_ns));
        json_object_set_new(answer, "machine", machine);
    }
    if (error)
        server_refuse(s->server, forward->ticket, error, 0);
    else
        server_answer(s->server, forward->ticket, answer);
    free(forward);
}

static void handle_stats(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    const struct forward forward = {.s = s, .ticket = ticket};

    (void)params;
    pass_on(s, &forward, "stats", json_object(), on_stats);
}

/* Requests of the agent's that change nothing. "info" is about the guest, not one container. */
static void handle_agent(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    static const char *const allowed[] = {"state", "processes"};
    const char *method = json_string_value(json_object_get(params, "method"));
    const json_t *inner = json_object_get(params, "params");
    struct husk_error error;

    for (unsigned i = 0; method && i < ARRAY_SIZE(allowed); i++) {
        if (!strcmp(method, allowed[i]) && (!inner || json_is_object(inner))) {
            requests_forward(s, ticket, method, inner ? json_copy((json_t *)inner) : json_object());
            return;
        }
    }
    error_set(&error, EINVAL, "method", "is wrong", "\"state\" or \"processes\"");
    server_refuse(s->server, ticket, &error, 0);
}

static void handle_events(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    (void)params;
    server_subscribe(s->server, ticket);
    server_answer(s->server, ticket, json_object());
}

/* ---- streams ---- */

static void handle_attach(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    attach_request(s->hub, s->server, ticket, params);
}

static void handle_resize(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    int64_t columns = 0, rows = 0;
    struct husk_error error;
    struct exec *process;

    if (process_of(s, params, &process, &error) ||
        params_integer(params, "columns", 1, UINT16_MAX, &columns, &error) ||
        params_integer(params, "rows", 1, UINT16_MAX, &rows, &error)) {
        server_refuse(s->server, ticket, &error, 0);
    } else if (!columns || !rows) {
        error_set(&error, EINVAL, columns ? "rows" : "columns", "is missing", "1 to 65535");
        server_refuse(s->server, ticket, &error, 0);
    } else {
        requests_forward(s, ticket, "resize", json_copy((json_t *)params));
    }
}

static void handle_exec(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    exec_begin(&s->processes, ticket, params);
}

static void handle_archive_get(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    exec_archive_get(&s->processes, ticket, params);
}

static void handle_archive_put(struct supervisor *s, struct ticket ticket, const json_t *params)
{
    exec_archive_put(&s->processes, ticket, params);
}

/* ---- the table ---- */

static const struct request requests[] = {
    {.method = "start", .handle = handle_start},
    {.method = "inspect", .handle = handle_inspect},
    {.method = "wait", .params = {"process"}, .handle = handle_wait},
    {.method = "kill",
     .params = {"process", "signal", "all"},
     .needs_running = true,
     .handle = handle_kill},
    {.method = "stop", .params = {"signal", "grace_ms"}, .handle = handle_stop},
    {.method = "pause", .needs_running = true, .handle = handle_pause},
    {.method = "resume", .needs_running = true, .handle = handle_resume},
    {.method = "update", .params = {"resources"}, .needs_running = true, .handle = handle_update},
    {.method = "stats", .needs_running = true, .handle = handle_stats},
    {.method = "agent",
     .params = {"method", "params"},
     .needs_running = true,
     .handle = handle_agent},
    {.method = "events", .handle = handle_events},
    {.method = "exec", .any_params = true, .needs_running = true, .handle = handle_exec},
    {.method = "archive.get", .any_params = true, .handle = handle_archive_get},
    {.method = "archive.put", .any_params = true, .handle = handle_archive_put},
    {.method = "attach", .params = {"stdin", "wait"}, .handle = handle_attach},
    {.method = "resize", .params = {"process", "columns", "rows"}, .handle = handle_resize},
};

static int check(struct supervisor *s, const struct request *request, const json_t *params,
                 struct husk_error *err)
{
    int ret = request->any_params
                  ? 0
                  : params_only(params, request->method, request->params, PARAMS_MAX, err);

    if (ret)
        return ret;
    if (request->needs_running && s->phase != PHASE_RUNNING)
        return error_set(err, EBUSY, s->record.name, "is not running", "%s",
                         s->phase < PHASE_RUNNING ? "it has not started" : "it has ended");
    return 0;
}

void requests_handle(void *arg, struct ticket ticket, const char *method, const json_t *params)
{
    struct supervisor *s = arg;
    struct husk_error error;

    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        if (strcmp(requests[i].method, method) != 0)
            continue;
        if (check(s, &requests[i], params, &error))
            server_refuse(s->server, ticket, &error, 0);
        else
            requests[i].handle(s, ticket, params);
        return;
    }
    error_set(&error, EOPNOTSUPP, method, "is no request that this supervisor knows",
              "version %d.%d", CONTROL_MAJOR, CONTROL_MINOR);
    server_refuse(s->server, ticket, &error, 0);
}

void requests_closed(void *arg, uint64_t connection, unsigned left)
{
    struct supervisor *s = arg;
    struct husk_error error;

    exec_connection_closed(&s->processes, connection);
    if (s->start_asked || left || s->phase >= PHASE_POWER_OFF)
        return;
    error_set(&error, ECANCELED, s->record.name, "was not started",
              "the command that made it is gone");
    life_fail(s, &error, STATUS_HUSK);
}
