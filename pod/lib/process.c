// SPDX-License-Identifier: Apache-2.0
/*
 * Processes in a pod's containers: each has a connection to the supervisor of its own, which is
 * asked for the end of the process at once, so that its descriptor tells.
 *
 * One thread receives; any may send, one at a time: `sending` orders these.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "husk/agent.h"
#include "pod/control/status.h"
#include "pod/lib/deadline.h"
#include "pod/lib/pods.h"

#define PEER "the pod's supervisor"

struct husk_pod_process {
    struct control_client *client;
    pthread_mutex_t sending;
    char container[POD_CONTAINER_BYTES];
    char name[HUSK_AGENT_NAME_MAX + 1]; /* "": the container's first */
    uint64_t wait_id; /* of the request whose answer is the end, if there is one */
    json_int_t run;   /* of the container's first: how often it was restarted */
    bool ended;
    int status;
    struct husk_error error; /* why it is not known how it ended; code 0: it is */
};

void husk_pod_process_free(struct husk_pod_process *process)
{
    if (!process)
        return;
    control_client_close(process->client);
    pthread_mutex_destroy(&process->sending);
    free(process);
}

/* A request's parameters with those that say which process is meant. */
static json_t *about(const struct husk_pod_process *process, json_t *params)
{
    if (params && (json_object_set_new(params, "container", json_string(process->container)) ||
                   (process->name[0] &&
                    json_object_set_new(params, "process", json_string(process->name))))) {
        json_decref(params);
        return NULL;
    }
    return params;
}

static int send_request(struct husk_pod_process *process, const char *method, json_t *params,
                        uint64_t *id, struct husk_error *err)
{
    int ret;

    params = about(process, params);
    if (!params)
        return error_set(err, ENOMEM, PEER, "cannot be asked", NULL);
    pthread_mutex_lock(&process->sending);
    ret = control_client_send(process->client, method, params, id, err);
    pthread_mutex_unlock(&process->sending);
    return ret;
}

/* Where a stream of this name belongs; -1: it is none. */
static int place_of(const char *name)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};

    for (int i = 0; i < 3; i++) {
        if (!strcmp(name, names[i]))
            return i;
    }
    return strcmp(name, "terminal") ? -1 : 1;
}

/* The descriptors of an answer at the places of their names; blocking, as a caller expects. */
static int take_streams(struct control_message *answer, int fds[3])
{
    const json_t *given = json_object_get(answer->body, "streams");

    if (json_array_size(given) != answer->fd_count)
        return -EPROTO;
    for (unsigned i = 0; i < answer->fd_count; i++) {
        const char *name = json_string_value(json_array_get(given, i));
        int place = name ? place_of(name) : -1;

        if (place < 0 || fds[place] >= 0 || fcntl(answer->fds[i], F_SETFL, 0) < 0)
            return -EPROTO;
        fds[place] = answer->fds[i];
        answer->fds[i] = -1;
    }
    return 0;
}

static int take_answer(struct husk_pod_process *process, struct control_message *answer, int fds[3],
                       struct husk_error *err)
{
    const char *name = json_string_value(json_object_get(answer->body, "process"));
    int ret = take_streams(answer, fds);

    if (name && strlen(name) < sizeof(process->name))
        snprintf(process->name, sizeof(process->name), "%s", name);
    else if (name)
        ret = -EPROTO;
    if (ret)
        return error_set(err, -ret, PEER, "cannot be understood",
                         "it sent other streams than it said");
    return send_request(process, process->name[0] ? "exec.wait" : "inspect", json_object(),
                        &process->wait_id, err);
}

/* What a program that cannot be executed is to a caller; else `ret` as it was. */
static int explain(const struct control_message *answer, int ret, struct husk_error *err)
{
    int code = answer->status == STATUS_NOT_FOUND    ? ENOENT
               : answer->status == STATUS_NO_EXECUTE ? EACCES
                                                     : 0;

    return code ? error_set(err, code, "args[0]", answer->error.what, "%s", answer->error.why)
                : ret;
}

static struct husk_pod_process *process_new(void)
{
    struct husk_pod_process *process = calloc(1, sizeof(*process));

    if (process && pthread_mutex_init(&process->sending, NULL)) {
        free(process);
        process = NULL;
    }
    return process;
}

/* Connects it to its pod. */
static int join_pod(struct husk_pods *pods, const char *name, const char *container,
                    struct husk_pod_process *process, struct husk_error *err)
{
    struct entry *pod;
    int ret = pods_find(pods, name, &pod, err);

    if (ret)
        return ret;
    ret = pods_container_of(pod, name, container, process->container, err);
    if (!ret)
        ret = pods_connect(pod, name, &process->client, err);
    entry_close(pod);
    return ret;
}

/* Asks for a process, and for its end. `params` are taken in any case; those of which process is
 * meant come to them. `events` are asked for before. */
static int begin(struct husk_pods *pods, const char *name, const char *container,
                 const char *method, json_t *params, bool events, struct husk_pod_process **out,
                 int fds[3], struct husk_error *err)
{
    struct control_message answer = {.fds = {-1, -1, -1}};
    struct husk_pod_process *process = params ? process_new() : NULL;
    int ret;

    fds[0] = fds[1] = fds[2] = -1;
    if (!process) {
        json_decref(params);
        return error_set(err, ENOMEM, name, "cannot be asked for a process", NULL);
    }
    ret = join_pod(pods, name, container, process, err);
    if (!ret && events)
        ret = control_client_call(process->client, "events", NULL, NULL, err);
    if (ret) {
        json_decref(params);
    } else {
        ret = control_client_call(process->client, method, about(process, params), &answer, err);
        if (ret)
            ret = explain(&answer, ret, err);
    }
    if (!ret)
        ret = take_answer(process, &answer, fds, err);
    control_message_clear(&answer);
    if (ret) {
        for (unsigned i = 0; i < 3; i++)
            close_fd(&fds[i]);
        husk_pod_process_free(process);
        return ret;
    }
    *out = process;
    return 0;
}

static json_t *words_of(const char *const *argv)
{
    json_t *words = json_array();

    for (unsigned i = 0; words && argv[i]; i++) {
        if (json_array_append_new(words, json_string(argv[i]))) {
            json_decref(words);
            return NULL;
        }
    }
    return words;
}

int husk_pod_exec(struct husk_pods *pods, const char *name,
                  const struct husk_pod_exec_options *options, struct husk_pod_process **out,
                  int fds[3], struct husk_error *err)
{
    struct husk_pod_exec_options wants;
    json_t *params, *words;
    int ret = pods_take_options(&wants, sizeof(wants), options, err);

    if (ret)
        return ret;
    if (!wants.argv || !wants.argv[0])
        return error_set(err, EINVAL, "argv", "wants a program", "it is empty");
    words = words_of(wants.argv);
    if (!words)
        return error_set(err, EILSEQ, "argv", "cannot be asked for", "it is no UTF-8, or too long");
    params =
        json_pack("{s:o, s:b, s:b}", "args", words, "stdin", wants.stdin_open, "tty", wants.tty);
    if (params && wants.tty && wants.columns && wants.rows)
        json_object_update_new(params, json_pack("{s:i, s:i}", "columns", (int)wants.columns,
                                                 "rows", (int)wants.rows));
    return begin(pods, name, wants.container, "exec", params, false, out, fds, err);
}

int husk_pod_attach(struct husk_pods *pods, const char *name, const char *container,
                    bool stdin_open, struct husk_pod_process **out, int fds[3],
                    struct husk_error *err)
{
    return begin(pods, name, container, "attach",
                 json_pack("{s:b, s:b}", "stdin", stdin_open, "wait", 0), true, out, fds, err);
}

int husk_pod_archive(struct husk_pods *pods, const char *name,
                     const struct husk_pod_archive_options *options, struct husk_pod_process **out,
                     int fds[3], struct husk_error *err)
{
    struct husk_pod_archive_options wants;
    json_t *params;
    int ret = pods_take_options(&wants, sizeof(wants), options, err);

    if (ret)
        return ret;
    if (!wants.path || wants.path[0] != '/')
        return error_set(err, EINVAL, wants.path ? wants.path : "path", "is no absolute path",
                         NULL);
    if (wants.put)
        params = json_pack("{s:s, s:b}", "path", wants.path, "create", 1);
    else
        params = json_pack("{s:s, s:b, s:b}", "path", wants.path, "follow", wants.follow, "content",
                           !wants.names_only);
    return begin(pods, name, wants.container, wants.put ? "archive.put" : "archive.get", params,
                 false, out, fds, err);
}

int husk_pod_process_resize(struct husk_pod_process *process, unsigned columns, unsigned rows,
                            struct husk_error *err)
{
    uint64_t id;

    if (columns == 0 || columns > UINT16_MAX || rows == 0 || rows > UINT16_MAX)
        return error_set(err, EINVAL, "columns and rows", "cannot be a terminal's size",
                         "1 to 65535");
    return send_request(process, "resize",
                        json_pack("{s:i, s:i}", "columns", (int)columns, "rows", (int)rows), &id,
                        err);
}

int husk_pod_process_signal(struct husk_pod_process *process, int number, struct husk_error *err)
{
    uint64_t id;

    if (number < 1 || number > 64)
        return error_set(err, EINVAL, "number", "is no signal", "1 to 64");
    return send_request(process, "kill", json_pack("{s:i}", "signal", number), &id, err);
}

int husk_pod_process_fd(const struct husk_pod_process *process)
{
    return control_client_fd(process->client);
}

/* The status of the container that the process is of. */
static const json_t *container_of_state(const struct husk_pod_process *process, const json_t *state)
{
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};

    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(state, "status"), lists[k]), i, one)
        {
            const char *name = json_string_value(json_object_get(one, "name"));

            if (name && !strcmp(name, process->container))
                return one;
        }
    }
    return NULL;
}

/* Whether the run of the container that is attached to has ended, by a state of the pod; the first
 * one says which run that is. */
static void look_for_end(struct husk_pod_process *process, const json_t *state, bool first)
{
    const json_t *container = container_of_state(process, state);
    const json_t *ended = json_object_get(json_object_get(container, "state"), "terminated");
    json_int_t run = json_integer_value(json_object_get(container, "restartCount"));

    if (first)
        process->run = run;
    if (!ended &&
        (run > process->run || json_object_get(json_object_get(container, "state"), "waiting")))
        ended = json_object_get(json_object_get(container, "lastState"), "terminated");
    if (!ended)
        return;
    process->ended = true;
    process->status = (int)(json_integer_value(json_object_get(ended, "exitCode")) & UINT8_MAX);
}

static void take_message(struct husk_pod_process *process, const struct control_message *message)
{
    if (message->is_event) {
        const json_t *state = json_object_get(message->body, "state");

        /* An older state than that of the answer says nothing new. */
        if (!process->name[0] && state && !process->wait_id)
            look_for_end(process, state, false);
    } else if (process->wait_id && message->id == process->wait_id) {
        process->wait_id = 0;
        if (message->error.code)
            process->error = message->error;
        else if (!process->name[0])
            look_for_end(process, message->body, true);
        else if (!pods_exit_status(message->body, &process->status, &process->error))
            process->ended = true;
    }
}

/* What the supervisor has said. -errno when it has gone. */
static int receive(struct husk_pod_process *process, struct husk_error *err)
{
    struct control_message message;
    int ret;

    while (!process->ended && !process->error.code &&
           (ret = control_client_receive(process->client, false, &message, err)) != 0) {
        if (ret < 0)
            return ret;
        take_message(process, &message);
        control_message_clear(&message);
    }
    return 0;
}

int husk_pod_process_wait(struct husk_pod_process *process, int64_t timeout_ms, int *status,
                          struct husk_error *err)
{
    struct deadline deadline = deadline_in(timeout_ms);

    while (!process->ended) {
        struct pollfd wait = {.fd = control_client_fd(process->client), .events = POLLIN};
        int ret = receive(process, err);

        if (ret)
            return ret;
        if (process->error.code) {
            if (err)
                *err = process->error;
            return -process->error.code;
        }
        if (process->ended)
            break;
        if (deadline_passed(&deadline))
            return error_set(err, ETIMEDOUT, process->container, "has not ended yet", NULL);
        (void)poll(&wait, 1, deadline_poll_ms(&deadline)); /* who is interrupted looks again */
    }
    *status = process->status;
    return 0;
}
