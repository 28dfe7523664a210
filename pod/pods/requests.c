// SPDX-License-Identifier: Apache-2.0
/*
 * What clients may ask (protocol.h): one table, one handler for each. Members that a request does
 * not have are refused here, and every value is checked for type and range before it is used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/control/params.h"
#include "pod/pods/pod.h"
#include "pod/pods/requests.h"
#include "pod/stdio/attach.h"

#define PARAMS_MAX  7
#define ARGS_MAX    1024u
#define GRACE_MAX   (INT64_C(1000) * 3600 * 24 * 365)
#define DIAL_MAX_MS (HUSK_AGENT_DIAL_TIMEOUT_MS + 5000u)

struct request {
    const char *method;
    const char *params[PARAMS_MAX]; /* that it may have */
    bool any_params;
    bool in_container; /* "container" is given, and the container runs */
    bool in_pod;       /* the agent can be asked */
    void (*handle)(struct pod *pod, struct container *c, struct ticket ticket,
                   const json_t *params);
};

/* ---- passing on ---- */

struct forward {
    struct pod *pod;
    struct ticket ticket;
};

static void on_forwarded(void *arg, const json_t *result, const struct husk_error *error)
{
    struct forward *forward = arg;

    if (error)
        server_refuse(forward->pod->server, forward->ticket, error, 0);
    else
        server_answer(forward->pod->server, forward->ticket, json_incref((json_t *)result));
    free(forward);
}

/* A request of the agent's, with the same members. */
static void forward(struct pod *pod, struct ticket ticket, const char *method, const json_t *params)
{
    struct forward *one = malloc(sizeof(*one));
    struct husk_error error;

    if (one) {
        *one = (struct forward){.pod = pod, .ticket = ticket};
        if (agent_client_call(pod->agent, method, json_copy((json_t *)params),
                              AGENT_CLIENT_TIMEOUT_MS, on_forwarded, one, &error) == 0)
            return;
    } else {
        error_set(&error, ENOMEM, method, "is not possible", NULL);
    }
    free(one);
    server_refuse(pod->server, ticket, &error, 0);
}

/* ---- the pod ---- */

static void handle_inspect(struct pod *pod, struct container *c, struct ticket ticket,
                           const json_t *params)
{
    (void)c;
    (void)params;
    server_answer(pod->server, ticket, save_state_json(pod));
}

static void handle_wait(struct pod *pod, struct container *c, struct ticket ticket,
                        const json_t *params)
{
    const char *what = "end";
    struct husk_error error;
    bool ready;
    int ret = params_text(params, "for", &what, &error);

    (void)c;
    ready = ret == 0 && !strcmp(what, "ready");
    if (ret == 0 && !ready && strcmp(what, "end") != 0)
        ret = error_set(&error, EINVAL, "for", "is wrong", "\"end\" or \"ready\"");
    if (ret == 0 && ready && pod->finished)
        ret = error_set(&error, EBUSY, pod->record.key, "has ended", "it is not ready any more");
    if (ret == 0 && !pod->finished &&
        waiters_add(ready ? &pod->ready_waiters : &pod->end_waiters, ticket))
        ret = error_set(&error, ENOMEM, "wait", "is not possible", NULL);
    if (ret)
        server_refuse(pod->server, ticket, &error, 0);
    else if (pod->finished)
        server_answer(pod->server, ticket, save_state_json(pod));
    else if (ready)
        save_tell_ready(pod);
}

static void handle_stop(struct pod *pod, struct container *c, struct ticket ticket,
                        const json_t *params)
{
    int64_t grace_ms = (int64_t)pod_ending_grace_ms(pod);
    struct husk_error error;

    (void)c;
    if (params_integer(params, "grace_ms", 0, GRACE_MAX, &grace_ms, &error)) {
        server_refuse(pod->server, ticket, &error, 0);
        return;
    }
    server_answer(pod->server, ticket, json_object());
    pod_ending_stop(pod, (uint64_t)grace_ms);
}

static void handle_apply(struct pod *pod, struct container *c, struct ticket ticket,
                         const json_t *params)
{
    const char *file = "";
    struct husk_error error;
    int ret = params_text(params, "file", &file, &error);

    (void)c;
    if (ret == 0 && !pod_apply_name_valid(file))
        ret = error_set(&error, EINVAL, "file", "is wrong", "a name of pod_apply_prepare()");
    if (ret)
        server_refuse(pod->server, ticket, &error, 0);
    else
        apply_request(pod, ticket, file);
}

static void handle_events(struct pod *pod, struct container *c, struct ticket ticket,
                          const json_t *params)
{
    (void)c;
    (void)params;
    server_subscribe(pod->server, ticket);
    server_answer(pod->server, ticket, json_object());
}

/* ---- containers ---- */

/* "process" left out is the container's first, as the agent has it. */
static void handle_kill(struct pod *pod, struct container *c, struct ticket ticket,
                        const json_t *params)
{
    int64_t signal = 0;
    struct husk_error error;

    (void)c;
    if (params_integer(params, "signal", 1, 64, &signal, &error) == 0 && signal) {
        forward(pod, ticket, "kill", params);
        return;
    }
    error_set(&error, EINVAL, "signal", "is wrong", "1 to 64");
    server_refuse(pod->server, ticket, &error, 0);
}

static void handle_processes(struct pod *pod, struct container *c, struct ticket ticket,
                             const json_t *params)
{
    (void)c;
    forward(pod, ticket, "processes", params);
}

static void handle_resize(struct pod *pod, struct container *c, struct ticket ticket,
                          const json_t *params)
{
    int64_t columns = 0, rows = 0;
    struct husk_error error;

    (void)c;
    if (params_integer(params, "columns", 1, UINT16_MAX, &columns, &error) ||
        params_integer(params, "rows", 1, UINT16_MAX, &rows, &error)) {
        server_refuse(pod->server, ticket, &error, 0);
    } else if (!columns || !rows) {
        error_set(&error, EINVAL, columns ? "rows" : "columns", "is missing", "1 to 65535");
        server_refuse(pod->server, ticket, &error, 0);
    } else {
        forward(pod, ticket, "resize", params);
    }
}

/* ---- streams ---- */

static int read_args(const json_t *params, const char **words, unsigned *count,
                     struct husk_error *err)
{
    const json_t *args = json_object_get(params, "args");
    size_t size = json_array_size(args);

    if (size < 1 || size > ARGS_MAX)
        return error_set(err, EINVAL, "args", "is wrong", "an array of 1 to %u texts", ARGS_MAX);
    for (size_t i = 0; i < size; i++) {
        words[i] = json_string_value(json_array_get(args, i));
        if (!words[i])
            return error_set(err, EINVAL, "args", "is wrong", "element %zu is no text", i);
    }
    *count = (unsigned)size;
    return 0;
}

/* What exec_begin() wants, of what the client says and the container's own process. */
static int make_exec(struct container *c, const json_t *params, json_t **out,
                     struct husk_error *err)
{
    const json_t *create = container_plan(c)->create;
    const char *own = json_string_value(json_object_get(create, "user"));
    const char **words = calloc(ARGS_MAX, sizeof(*words));
    struct spec_exec_options options = {.command = {.words = words}};
    char user[SPEC_USER_MAX + 1] = "";
    bool with_stdin = false, detach = false;
    int64_t columns = 0, rows = 0;
    json_t *process = NULL;
    int ret = words ? read_args(params, words, &options.command.count, err)
                    : error_set(err, ENOMEM, "exec", "is not possible", NULL);

    if (ret == 0)
        ret = params_flag(params, "tty", &options.tty, err);
    if (ret == 0)
        ret = params_flag(params, "stdin", &with_stdin, err);
    if (ret == 0)
        ret = params_flag(params, "detach", &detach, err);
    if (ret == 0)
        ret = params_integer(params, "columns", 0, UINT16_MAX, &columns, err);
    if (ret == 0)
        ret = params_integer(params, "rows", 0, UINT16_MAX, &rows, err);
    options.columns = (unsigned)columns;
    options.rows = (unsigned)rows;
    if (ret == 0)
        ret = spec_exec(json_object_get(create, "config"), own ? own : "", &options, &process, user,
                        err);
    free(words);
    if (ret)
        return ret;
    *out = json_pack("{s:o, s:b, s:b, s:s*}", "config", process, "stdin", (int)with_stdin, "detach",
                     (int)detach, "user", user[0] ? user : NULL);
    return *out ? 0 : error_set(err, ENOMEM, "exec", "is not possible", NULL);
}

static void handle_exec(struct pod *pod, struct container *c, struct ticket ticket,
                        const json_t *params)
{
    struct husk_error error;
    json_t *made;

    if (make_exec(c, params, &made, &error)) {
        server_refuse(pod->server, ticket, &error, STATUS_HUSK);
        return;
    }
    exec_begin(&c->processes, ticket, made);
    json_decref(made);
}

static void handle_exec_wait(struct pod *pod, struct container *c, struct ticket ticket,
                             const json_t *params)
{
    const char *name = "";
    struct husk_error error;
    struct exec *exec = NULL;
    int ret = params_text(params, "process", &name, &error);

    if (ret == 0)
        exec = exec_find(&c->processes, name);
    if (ret == 0 && !exec)
        error_set(&error, ENOENT, name, "is no process of this container", "or not any more");
    if (exec)
        exec_wait(exec, ticket);
    else
        server_refuse(pod->server, ticket, &error, 0);
}

static void handle_archive_get(struct pod *pod, struct container *c, struct ticket ticket,
                               const json_t *params)
{
    (void)pod;
    exec_archive_get(&c->processes, ticket, params);
}

static void handle_archive_put(struct pod *pod, struct container *c, struct ticket ticket,
                               const json_t *params)
{
    (void)pod;
    exec_archive_put(&c->processes, ticket, params);
}

static void handle_attach(struct pod *pod, struct container *c, struct ticket ticket,
                          const json_t *params)
{
    attach_request(c->hub, pod->server, ticket, params);
}

static void on_dialed(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct dialing *dialing = arg;

    (void)hello;
    if (error)
        server_refuse(dialing->pod->server, dialing->ticket, error, 0);
    else
        server_answer_fds(dialing->pod->server, dialing->ticket, json_object(), &fd, 1);
    LIST_REMOVE(dialing, next);
    free(dialing);
}

static void handle_dial(struct pod *pod, struct container *c, struct ticket ticket,
                        const json_t *params)
{
    struct dialing *dialing = NULL;
    const char *address = "127.0.0.1";
    struct husk_error error;
    int64_t port = 0;
    int ret = params_text(params, "address", &address, &error);

    (void)c;
    if (ret == 0)
        ret = params_integer(params, "port", 1, UINT16_MAX, &port, &error);
    if (ret == 0 && !port)
        ret = error_set(&error, EINVAL, "port", "is missing", "1 to 65535");
    if (ret == 0) {
        dialing = calloc(1, sizeof(*dialing));
        ret = dialing
                  ? agent_port_open(pod->loop, pod->ops->connector(pod->machine), address,
                                    (uint16_t)port, DIAL_MAX_MS, on_dialed, dialing, &dialing->dial)
                  : -ENOMEM;
        if (ret)
            error_set(&error, -ret, address, "cannot be dialed", NULL);
    }
    if (ret) {
        free(dialing);
        server_refuse(pod->server, ticket, &error, 0);
        return;
    }
    dialing->pod = pod;
    dialing->ticket = ticket;
    LIST_INSERT_HEAD(&pod->dials, dialing, next);
}

void pod_requests_machine_gone(struct pod *pod)
{
    struct dialing *dialing;
    struct husk_error error;

    error_set(&error, EBUSY, pod->record.key, "has lost its machine", "ask again");
    while ((dialing = LIST_FIRST(&pod->dials))) {
        LIST_REMOVE(dialing, next);
        agent_dial_cancel(dialing->dial);
        server_refuse(pod->server, dialing->ticket, &error, 0);
        free(dialing);
    }
}

/* ---- the table ---- */

static const struct request requests[] = {
    {.method = "inspect", .params = {"container"}, .handle = handle_inspect},
    {.method = "wait", .params = {"for"}, .handle = handle_wait},
    {.method = "stop", .params = {"grace_ms"}, .handle = handle_stop},
    {.method = "apply", .params = {"file"}, .handle = handle_apply},
    {.method = "events", .handle = handle_events},
    {.method = "kill",
     .params = {"container", "process", "signal", "all"},
     .in_container = true,
     .handle = handle_kill},
    {.method = "processes",
     .params = {"container"},
     .in_container = true,
     .handle = handle_processes},
    {.method = "stats", .in_pod = true, .handle = stats_request},
    {.method = "exec",
     .params = {"container", "args", "tty", "columns", "rows", "stdin", "detach"},
     .in_container = true,
     .handle = handle_exec},
    {.method = "exec.wait",
     .params = {"container", "process"},
     .in_container = true,
     .handle = handle_exec_wait},
    {.method = "archive.get",
     .any_params = true,
     .in_container = true,
     .handle = handle_archive_get},
    {.method = "archive.put",
     .any_params = true,
     .in_container = true,
     .handle = handle_archive_put},
    {.method = "attach",
     .params = {"container", "stdin", "wait"},
     .in_container = true,
     .handle = handle_attach},
    {.method = "resize",
     .params = {"container", "process", "columns", "rows"},
     .in_container = true,
     .handle = handle_resize},
    {.method = "dial", .params = {"address", "port"}, .in_pod = true, .handle = handle_dial},
};

/* The container that is meant, which has to run. */
static int find_container(struct pod *pod, const json_t *params, struct container **out,
                          struct husk_error *err)
{
    const char *name = NULL;
    int ret = params_text(params, "container", &name, err);

    if (ret)
        return ret;
    if (!name)
        return error_set(err, EINVAL, "container", "is missing", "the name of a container");
    for (unsigned i = 0; i < pod->container_count; i++) {
        struct container *c = &pod->containers[i];

        if (strcmp(c->status.name, name) != 0)
            continue;
        *out = c;
        return c->step == STEP_RUNNING || c->step == STEP_STOPPING || c->step == STEP_DRAINING
                   ? 0
                   : error_set(err, EBUSY, name, "is not running", "its state tells why");
    }
    return error_set(err, ENOENT, name, "is no container of this pod", "%s", "");
}

static int check(struct pod *pod, const struct request *request, const json_t *params,
                 struct container **c, struct husk_error *err)
{
    int ret = request->any_params
                  ? 0
                  : params_only(params, request->method, request->params, PARAMS_MAX, err);

    *c = NULL;
    if (ret == 0 && request->in_container)
        ret = find_container(pod, params, c, err);
    if (ret == 0 && request->in_pod && pod->phase != POD_RUNNING)
        ret = error_set(err, EBUSY, pod->record.key, "is not running", "%s",
                        pod->phase < POD_RUNNING ? "its machine has not come up yet"
                                                 : "its machine is gone");
    return ret;
}

void pod_requests_handle(void *arg, struct ticket ticket, const char *method, const json_t *params)
{
    struct pod *pod = arg;
    struct husk_error error;
    struct container *c;

    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        if (strcmp(requests[i].method, method) != 0)
            continue;
        if (check(pod, &requests[i], params, &c, &error))
            server_refuse(pod->server, ticket, &error, 0);
        else
            requests[i].handle(pod, c, ticket, params);
        return;
    }
    error_set(&error, EOPNOTSUPP, method, "is no request that this supervisor knows",
              "version %d.%d", CONTROL_MAJOR, CONTROL_MINOR);
    server_refuse(pod->server, ticket, &error, 0);
}

void pod_requests_closed(void *arg, uint64_t connection, unsigned left)
{
    struct pod *pod = arg;

    (void)left;
    for (unsigned i = 0; i < pod->container_count; i++)
        exec_connection_closed(&pod->containers[i].processes, connection);
}
