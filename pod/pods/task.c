// SPDX-License-Identifier: Apache-2.0
/* Commands and connections of probes and hooks: see task.h. */
#include "pod/pods/task.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/pod.h"
#include "pod/pods/speaker.h"

#define STREAM_TIMEOUT_MS 30000u
#define DIAL_TIMEOUT_MS   (HUSK_AGENT_DIAL_TIMEOUT_MS + 5000u)
#define STREAMS           2

struct task_stream {
    struct task *task;
    struct agent_dial *dial;
    int fd;
    struct event_source *source;
};

/* Lives until its action has heard of its end, or was cancelled, and the agent has answered all
 * that was asked about it. */
struct task {
    LIST_ENTRY(task) next;
    struct container *container;
    struct action *action; /* NULL: nobody wants to know any more */
    char name[24];         /* of the process; "": a connection */
    bool running;          /* the agent has made it */
    bool ended;
    int exit_code;
    unsigned open; /* streams that have not ended */
    unsigned asked;
    bool gone; /* in no list any more */
    struct task_stream streams[STREAMS];
    char output[ACTION_TEXT_BYTES];
    size_t output_len;
};

static void close_stream(struct task_stream *stream)
{
    agent_dial_cancel(stream->dial);
    stream->dial = NULL;
    event_source_remove(stream->source);
    stream->source = NULL;
    close_fd(&stream->fd);
}

static void take_out(struct task *task)
{
    for (unsigned i = 0; i < STREAMS; i++)
        close_stream(&task->streams[i]);
    LIST_REMOVE(task, next);
    task->gone = true;
}

static void drop(struct task *task)
{
    if (!task->gone)
        take_out(task);
    if (task->asked == 0)
        free(task);
}

/* The agent has answered: whether that still means anything. */
static bool came_back(struct task *task)
{
    task->asked--;
    if (!task->gone)
        return true;
    if (task->asked == 0)
        free(task);
    return false;
}

static void on_nothing(void *arg, const json_t *result, const struct husk_error *error)
{
    (void)arg;
    (void)result;
    (void)error;
}

static void ask(struct task *task, const char *method, int signal)
{
    struct container *c = task->container;
    struct husk_error error;
    json_t *params = json_pack("{s:s, s:s}", "container", c->status.name, "process", task->name);

    if (signal && params)
        json_object_set_new(params, "signal", json_integer(signal));
    (void)agent_client_call(c->pod->agent, method, params, AGENT_CLIENT_TIMEOUT_MS, on_nothing,
                            NULL, &error);
}

/* It has ended, one way or the other. */
static void tell(struct task *task, int exit_code)
{
    struct action *action = task->action;
    char output[ACTION_TEXT_BYTES];

    memcpy(output, task->output, sizeof(output));
    task->action = NULL;
    if (task->running && task->ended)
        ask(task, "delete", 0);
    drop(task);
    if (action)
        action_executed(action, exit_code, output);
}

static void end_if_done(struct task *task)
{
    if (task->ended && task->open == 0)
        tell(task, task->exit_code);
}

/* ---- the command's output ---- */

static void end_stream(struct task_stream *stream)
{
    close_stream(stream);
    stream->task->open--;
    end_if_done(stream->task);
}

static void on_output(void *arg, uint32_t events)
{
    struct task_stream *stream = arg;
    struct task *task = stream->task;
    size_t room = sizeof(task->output) - 1 - task->output_len;
    char bytes[4096];
    ssize_t len = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    (void)events;
    if (len > 0) {
        size_t kept = (size_t)len < room ? (size_t)len : room;

        memcpy(task->output + task->output_len, bytes, kept);
        task->output_len += kept;
        task->output[task->output_len] = '\0';
    } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
        end_stream(stream);
    }
}

static void on_stream(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct task_stream *stream = arg;

    (void)hello;
    stream->dial = NULL;
    if (!error) {
        stream->fd = fd;
        if (event_loop_add(stream->task->container->pod->loop, fd, EPOLLIN, on_output, stream,
                           &stream->source) == 0)
            return;
    }
    end_stream(stream);
}

static void dial_streams(struct task *task)
{
    static const char *const names[STREAMS] = {"stdout", "stderr"};
    struct pod *pod = task->container->pod;

    for (unsigned i = 0; i < STREAMS; i++) {
        if (agent_stream_open(pod->loop, pod->ops->connector(pod->machine),
                              task->container->status.name, task->name, names[i], STREAM_TIMEOUT_MS,
                              on_stream, &task->streams[i], &task->streams[i].dial) == 0)
            task->open++;
    }
}

/* ---- the command ---- */

static void on_ended(void *arg, const json_t *result, const struct husk_error *error)
{
    struct task *task = arg;
    struct agent_exit exit;

    if (!came_back(task))
        return;
    task->ended = true;
    task->exit_code =
        !error && agent_read_exit(result, "wait", &exit, NULL) == 0 ? exit.status : -EIO;
    if (!task->action) { /* it was cancelled, and killed */
        tell(task, 0);
        return;
    }
    end_if_done(task);
}

static void on_made(void *arg, const json_t *result, const struct husk_error *error)
{
    struct task *task = arg;
    struct container *c = task->container;
    struct husk_error wrong;

    (void)result;
    if (!came_back(task))
        return;
    if (error) {
        snprintf(task->output, sizeof(task->output), "%.100s: %.140s", error->what, error->why);
        tell(task, exec_status_of(error) == STATUS_HUSK ? -EIO : (int)exec_status_of(error));
        return;
    }
    task->running = true;
    if (agent_client_call(
            c->pod->agent, "wait",
            json_pack("{s:s, s:s}", "container", c->status.name, "process", task->name), 0,
            on_ended, task, &wrong) == 0)
        task->asked++;
    if (!task->action)
        ask(task, "kill", SIGKILL);
    dial_streams(task);
}

static struct task *new_task(struct container *c, struct action *action)
{
    struct task *task = calloc(1, sizeof(*task));

    if (!task)
        return NULL;
    task->container = c;
    task->action = action;
    for (unsigned i = 0; i < STREAMS; i++)
        task->streams[i] = (struct task_stream){.task = task, .fd = -1};
    LIST_INSERT_HEAD(&c->tasks, task, next);
    action_set_host_data(action, task);
    return task;
}

/* As the container's own process, but for the command. */
static int process_of(struct container *c, const json_t *command, json_t **process, char *user,
                      struct husk_error *err)
{
    const json_t *create = container_plan(c)->create;
    const char *own = json_string_value(json_object_get(create, "user"));
    const char *words[256];
    struct spec_exec_options options = {.command = {.words = words}};

    for (size_t i = 0; i < json_array_size(command) && i < sizeof(words) / sizeof(words[0]); i++)
        words[options.command.count++] = json_string_value(json_array_get(command, i));
    return spec_exec(json_object_get(create, "config"), own ? own : "", &options, process, user,
                     err);
}

static int start_command(void *arg, struct action *action, const json_t *command)
{
    struct container *c = arg;
    char user[SPEC_USER_MAX + 1];
    struct husk_error error;
    struct task *task;
    json_t *process;
    int ret = process_of(c, command, &process, user, &error);

    if (ret)
        return ret;
    task = new_task(c, action);
    if (!task) {
        json_decref(process);
        return -ENOMEM;
    }
    snprintf(task->name, sizeof(task->name), "h%u", ++c->next_task);
    ret = agent_client_call(c->pod->agent, "exec",
                            json_pack("{s:s, s:s, s:o, s:b, s:s*}", "container", c->status.name,
                                      "process", task->name, "config", process, "stdin", 0, "user",
                                      user[0] ? user : NULL),
                            AGENT_CLIENT_TIMEOUT_MS, on_made, task, &error);
    if (ret) {
        action_set_host_data(action, NULL);
        drop(task);
        return ret;
    }
    task->asked++;
    return 0;
}

/* ---- connections ---- */

static void on_connected(void *arg, int fd, const struct agent_hello *hello,
                         const struct husk_error *error)
{
    struct task_stream *stream = arg;
    struct task *task = stream->task;
    struct action *action = task->action;

    (void)hello;
    stream->dial = NULL;
    task->action = NULL;
    drop(task);
    if (action)
        action_connected(action, error ? -ECONNREFUSED : fd);
    else if (!error)
        close_fd(&fd);
}

static int start_connection(void *arg, struct action *action, const char *address, uint16_t port)
{
    struct container *c = arg;
    struct pod *pod = c->pod;
    struct task *task = new_task(c, action);
    int ret;

    if (!task)
        return -ENOMEM;
    ret = agent_port_open(pod->loop, pod->ops->connector(pod->machine), address, port,
                          DIAL_TIMEOUT_MS, on_connected, &task->streams[0], &task->streams[0].dial);
    if (ret) {
        action_set_host_data(action, NULL);
        drop(task);
    }
    return ret;
}

/* ---- who speaks on them ---- */

static int speak(void *arg, const struct probe_request *request, int fd, int *plain_fd,
                 struct speaker **speaker, struct husk_error *err)
{
    (void)arg;
    return speaker_start(request, fd, plain_fd, speaker, err);
}

static int hush(void *arg, struct speaker *speaker)
{
    (void)arg;
    return speaker_end(speaker);
}

/* ---- the end ---- */

static void cancel(void *arg, struct action *action)
{
    struct task *task = action_host_data(action);

    (void)arg;
    if (!task)
        return;
    task->action = NULL;
    if (!task->name[0])
        drop(task);
    else if (task->running && !task->ended)
        ask(task, "kill", SIGKILL);
    else if (task->ended)
        tell(task, 0);
}

struct action_host task_host(struct container *container)
{
    return (struct action_host){.loop = container->pod->loop,
                                .exec = start_command,
                                .connect = start_connection,
                                .cancel = cancel,
                                .speak = speak,
                                .hush = hush,
                                .arg = container};
}

void task_end_all(struct container *container)
{
    struct task *task, *next;

    for (task = LIST_FIRST(&container->tasks); task; task = next) {
        next = LIST_NEXT(task, next);
        task->action = NULL;
        take_out(task);
        if (task->asked == 0)
            free(task);
    }
}
