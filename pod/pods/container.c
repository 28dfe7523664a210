// SPDX-License-Identifier: Apache-2.0
/* A run of a container, from nothing to its program: see container.h. */
#include "pod/pods/container.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/container_internal.h"
#include "pod/pods/pod.h"
#include "pod/pods/task.h"

#define STREAM_TIMEOUT_MS 30000u
#define LOG_FILE_BYTES    (UINT64_C(10) << 20)
#define LOG_FILES         3u

const struct plan_container *container_plan(const struct container *container)
{
    return &container->pod->plan.containers[container->index];
}

bool container_is_busy(const struct container *container)
{
    return container->step != STEP_IDLE;
}

size_t container_message_max(const struct container *container)
{
    size_t max = 12288 / container->pod->container_count;

    return max < PLAN_MESSAGE_MAX ? max : PLAN_MESSAGE_MAX;
}

/* ---- start ---- */

static void on_program_exit(void *arg, const json_t *result, const struct husk_error *error)
{
    struct container *c = arg;
    struct husk_error wrong;
    struct agent_exit exit;

    if (c->lost || c->step == STEP_IDLE)
        return;
    if (!error && agent_read_exit(result, "wait", &exit, &wrong))
        error = &wrong;
    if (error)
        container_failed(c, error);
    else if (c->step == STEP_STARTING) {
        c->ended_early = true;
        c->exit = exit;
    } else {
        container_exited(c, &exit);
    }
}

static void on_started(void *arg, const json_t *result, const struct husk_error *error)
{
    struct container *c = arg;

    (void)result;
    if (c->lost || c->step != STEP_STARTING)
        return;
    if (error) {
        container_failed(c, error);
        return;
    }
    c->step = STEP_RUNNING;
    c->ran_since_ns = monotonic_ns();
    c->status.phase = CONTAINER_RUNS;
    c->status.started_ns = process_now_ns();
    save_notice(c->pod, c->status.name, false, "Started", "the container runs");
    if (c->ended_early) {
        container_exited(c, &c->exit);
        return;
    }
    container_watch_begin(c);
    save_changed(c->pod);
    flow_update(c->pod);
}

static int ask_start(struct container *c, struct husk_error *err)
{
    struct agent_client *agent = c->pod->agent;
    json_t *wait = json_pack("{s:s}", "container", c->status.name);
    int ret = agent_client_call(agent, "wait", wait, 0, on_program_exit, c, err);

    return ret ? ret
               : agent_client_call(agent, "start", json_pack("{s:s}", "container", c->status.name),
                                   AGENT_CLIENT_TIMEOUT_MS, on_started, c, err);
}

static void start(struct container *c)
{
    struct husk_error error;

    exec_begin_all(&c->processes);
    if (c->pod->ending) { /* it was stopped before it had started */
        error_set(&error, ECANCELED, c->status.name, "has not started", "the pod ends");
        container_failed(c, &error);
        return;
    }
    c->step = STEP_STARTING;
    if (ask_start(c, &error))
        container_failed(c, &error);
}

/* ---- streams ---- */

static void on_stream(void *arg, int fd, const struct agent_hello *hello,
                      const struct husk_error *error)
{
    struct container_stream *stream = arg;
    struct container *c = stream->container;

    (void)hello;
    stream->dial = NULL;
    c->dialing--;
    if (error) {
        container_failed(c, error);
        return;
    }
    hub_connect(c->hub, stream->stream, fd);
    if (c->dialing == 0 && c->step == STEP_MAKING)
        start(c);
}

static void dial_streams(struct container *c)
{
    const struct agent_connector *connector = c->pod->ops->connector(c->pod->machine);
    struct husk_error error;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < HUB_STREAMS; i++) {
        if (!hub_has(c->hub, i))
            continue;
        ret = agent_stream_open(c->pod->loop, connector, c->status.name, "init", hub_stream_name(i),
                                STREAM_TIMEOUT_MS, on_stream, &c->streams[i], &c->streams[i].dial);
        if (ret == 0)
            c->dialing++;
    }
    if (ret) {
        error_set(&error, -ret, c->status.name, "has streams that cannot be reached", NULL);
        container_failed(c, &error);
    }
}

/* ---- making ---- */

static void on_made(void *arg, const struct husk_error *error)
{
    struct container *c = arg;

    if (error) {
        container_failed(c, error);
        return;
    }
    c->made = true;
    dial_streams(c);
}

/* What precedes it, and "create" with the root file system of its image. */
static json_t *making(struct container *c)
{
    const struct plan_container *plan = container_plan(c);
    json_t *requests = json_copy(plan->before ? plan->before : json_array());
    json_t *create = json_copy(plan->create);
    json_t *rootfs = json_array_get(c->pod->machine_plan.rootfs, plan->image);
    int ret = requests && create ? 0 : -ENOMEM;

    if (ret == 0 && rootfs)
        ret = json_object_set(create, "rootfs", rootfs);
    if (ret == 0)
        ret = json_array_append_new(requests,
                                    json_pack("{s:s, s:O}", "method", "create", "params", create));
    json_decref(create);
    if (ret == 0)
        return requests;
    json_decref(requests);
    return NULL;
}

static int open_streams(struct container *c)
{
    const struct plan_container *plan = container_plan(c);
    const struct hub_options options = {
        .terminal = plan->tty,
        .stdin_mode = !plan->stdin_open  ? CONTAINER_STDIN_NONE
                      : plan->stdin_once ? CONTAINER_STDIN_ONCE
                                         : CONTAINER_STDIN_OPEN,
        .drained = container_drained,
        .arg = c,
    };
    struct hub_options with_log = options;
    char name[LOG_FILE_NAME_MAX + 1];
    int ret = container_log_begin(c);

    snprintf(name, sizeof(name), "%u.log", c->run);
    if (ret == 0)
        ret = log_file_open(c->logs, name, LOG_FILE_BYTES, LOG_FILES, &c->log_file);
    with_log.log_file = c->log_file;
    return ret ? ret : hub_create(c->pod->loop, &with_log, &c->hub);
}

static void reset_run(struct container *c)
{
    c->ended_early = c->lost = c->probed = c->signalled = c->killed = c->made = false;
    c->startup_passed = c->post_start_over = c->waiting = c->settled = c->held = false;
    c->kill_at_ns = 0;
    c->dialing = 0;
    c->failure.code = 0;
    c->processes.over = false;
    c->processes.agent = c->pod->agent;
    c->processes.connector = c->pod->ops->connector(c->pod->machine);
    if (c->status.phase == CONTAINER_TERMINATED)
        c->status.last = c->status.end;
    c->status.backs_off = false;
    c->status.end = (struct container_end){.known = false};
    c->status.started_ns = 0;
    c->status.phase = CONTAINER_WAITING;
    snprintf(c->status.reason, sizeof(c->status.reason), "ContainerCreating");
    c->status.message[0] = '\0';
    c->status.restarts = c->run;
    c->status.started = c->status.ready = c->status.done = false;
    spec_signal_name(container_plan(c)->stop_signal, c->status.stop_signal);
    snprintf(c->status.container_id, sizeof(c->status.container_id), "husk://%s/%s/%u",
             c->pod->record.uid, c->status.name, c->run);
}

void container_begin(struct container *c)
{
    struct husk_error error;
    int ret;

    event_timer_disarm(c->step_timer);
    reset_run(c);
    c->step = STEP_MAKING;
    ret = open_streams(c);
    if (ret) {
        error_set(&error, -ret, c->status.name, "has no place for its log", NULL);
        container_failed(c, &error);
        return;
    }
    save_changed(c->pod);
    asking_begin(&c->asking, c->pod->agent, making(c), on_made, c);
}

/* ---- the whole ---- */

static void on_timer(void *arg)
{
    struct container *c = arg;

    if (c->step == STEP_DRAINING) {
        container_drain_late(c);
    } else if (c->step == STEP_STOPPING) {
        container_stop_timer(c);
    } else if (c->step == STEP_IDLE) {
        c->waiting = false;
        flow_update(c->pod);
    }
}

/* The containers of the plan are those of the Pod object, in its order. */
static json_t *object_of(const struct pod *pod, unsigned index)
{
    const json_t *first = json_object_get(pod_spec(pod), "initContainers");
    size_t count = json_array_size(first);

    return index < count
               ? json_array_get(first, index)
               : json_array_get(json_object_get(pod_spec(pod), "containers"), index - count);
}

static enum restart_kind kind_of(const json_t *object, bool is_main)
{
    const char *policy = json_string_value(json_object_get(object, "restartPolicy"));

    if (is_main)
        return RESTART_MAIN;
    return policy && !strcmp(policy, "Always") ? RESTART_SIDECAR : RESTART_INIT;
}

/* Its name stays, of which others have the address; its image's is the object's. */
void container_reread(struct container *c)
{
    json_t *before = c->object;

    c->object = json_incref(object_of(c->pod, c->index));
    c->status.image = json_string_value(json_object_get(c->object, "image"));
    c->status.resources = json_object_get(c->object, "resources");
    json_decref(before);
}

int container_init(struct pod *pod, struct container *c, unsigned index)
{
    size_t inits = json_array_size(json_object_get(pod_spec(pod), "initContainers"));
    int ret;

    c->pod = pod;
    c->index = index;
    container_reread(c);
    snprintf(c->name, sizeof(c->name), "%s", json_string_value(json_object_get(c->object, "name")));
    c->kind = kind_of(c->object, index >= inits);
    c->logs = -1;
    LIST_INIT(&c->tasks);
    c->task_host = task_host(c);
    LIST_INIT(&c->processes.list);
    for (unsigned i = 0; i < HUB_STREAMS; i++)
        c->streams[i] = (struct container_stream){.container = c, .stream = i};
    c->status.kind = c->kind;
    c->status.name = c->name;
    snprintf(c->status.reason, sizeof(c->status.reason), "%s",
             inits ? "PodInitializing" : "ContainerCreating");
    c->processes.loop = pod->loop;
    c->processes.log = pod->log;
    c->processes.server = pod->server;
    c->processes.container = c->status.name;
    c->processes.name_container = true;
    ret = asking_create(&c->asking, pod->loop);
    if (ret == 0)
        ret = event_loop_add_timer(pod->loop, on_timer, c, &c->step_timer);
    return ret ? ret : container_log_directory(c);
}

/* What only a run has. */
static void end_run(struct container *c)
{
    for (unsigned i = 0; i < HUB_STREAMS; i++) {
        agent_dial_cancel(c->streams[i].dial);
        c->streams[i].dial = NULL;
    }
    c->dialing = 0;
    container_watch_end(c);
    task_end_all(c);
    exec_destroy_all(&c->processes);
    if (c->hub)
        hub_abandon(c->hub);
    hub_destroy(c->hub);
    c->hub = NULL;
    log_file_close(c->log_file);
    c->log_file = NULL;
}

void container_idle(struct container *c)
{
    end_run(c);
    event_timer_disarm(c->step_timer);
    c->step = STEP_IDLE;
    c->made = false;
    c->run++;
    c->status.started = c->status.ready = false;
}

void container_lost(struct container *c, const char *reason, const char *message)
{
    if (c->step == STEP_IDLE)
        return;
    c->lost = true;
    asking_cancel(&c->asking);
    if (!c->status.end.known) {
        struct container_end *end = &c->status.end;

        *end = (struct container_end){
            .known = true,
            .exit_code = STATUS_KILLED,
            .started_ns = c->status.phase == CONTAINER_RUNS ? c->status.started_ns : 0,
            .finished_ns = process_now_ns()};
        snprintf(end->reason, sizeof(end->reason), "%s", reason);
        snprintf(end->message, sizeof(end->message), "%.512s", message);
        memcpy(end->container_id, c->status.container_id, sizeof(end->container_id));
    }
    c->status.phase = CONTAINER_TERMINATED;
    container_idle(c);
}

void container_destroy(struct container *c)
{
    if (!c->pod)
        return;
    end_run(c);
    asking_destroy(&c->asking);
    event_timer_remove(c->step_timer);
    close_fd(&c->logs);
    json_decref(c->object);
}
