// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

void pod_status_time(uint64_t ns, char text[32])
{
    time_t seconds = (time_t)(ns / SECOND_NS);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool is_text(const char *text)
{
    return text && *text;
}

/* Each adds nothing for what is not there. */
static void put_text(json_t *object, const char *name, const char *text)
{
    if (is_text(text))
        json_object_set_new(object, name, json_string(text));
}

static void put_time(json_t *object, const char *name, uint64_t ns)
{
    char text[32];

    if (!ns)
        return;
    pod_status_time(ns, text);
    json_object_set_new(object, name, json_string(text));
}

/* ---- containers ---- */

static json_t *terminated(const struct container_end *end)
{
    json_t *state = json_pack("{s:i}", "exitCode", end->exit_code);

    if (end->signal)
        json_object_set_new(state, "signal", json_integer(end->signal));
    put_text(state, "reason", end->reason);
    put_text(state, "message", end->message);
    put_time(state, "startedAt", end->started_ns);
    put_time(state, "finishedAt", end->finished_ns);
    put_text(state, "containerID", end->container_id);
    return json_pack("{s:o}", "terminated", state);
}

/* Between two runs; when the pod ends there is no next one, and what was the last counts. */
static bool waits(const struct container_status *container, bool ending)
{
    return container->phase == CONTAINER_WAITING || (container->backs_off && !ending);
}

static json_t *state_of(const struct container_status *container, bool ending)
{
    json_t *state;

    if (container->phase == CONTAINER_TERMINATED && !waits(container, ending))
        return terminated(&container->end);
    state = json_object();
    if (container->phase == CONTAINER_RUNS) {
        put_time(state, "startedAt", container->started_ns);
        return json_pack("{s:o}", "running", state);
    }
    put_text(state, "reason", container->reason);
    put_text(state, "message", container->message);
    return json_pack("{s:o}", "waiting", state);
}

/* All of them are in effect, and what is requested is set aside for the container. */
static void put_resources(json_t *object, const json_t *resources)
{
    json_t *requests = json_object_get(resources, "requests");

    if (resources)
        json_object_set(object, "resources", (json_t *)resources);
    if (requests)
        json_object_set(object, "allocatedResources", requests);
}

static json_t *container_json(const struct container_status *container, bool ending)
{
    bool between = container->phase == CONTAINER_TERMINATED && waits(container, ending);
    const struct container_end *last = between ? &container->end : &container->last;
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:b, s:b, s:i, s:o, s:o}", "name", container->name, "image",
        container->image, "imageID", container->image_id, "ready", (int)container->ready, "started",
        (int)container->started, "restartCount", (int)container->restarts, "state",
        state_of(container, ending), "lastState", last->known ? terminated(last) : json_object());

    put_text(json, "containerID", container->container_id);
    put_text(json, "stopSignal", container->stop_signal);
    put_resources(json, container->resources);
    return json;
}

static json_t *containers_json(const struct pod_status_input *input, bool main_ones)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < input->count; i++) {
        if ((input->containers[i].kind == RESTART_MAIN) == main_ones)
            json_array_append_new(
                list, container_json(&input->containers[i], input->ending || input->ended));
    }
    return list;
}

/* ---- phase ---- */

/* Those that decide: sidecars do not. */
static bool all_succeeded(const struct pod_status_input *input)
{
    for (unsigned i = 0; i < input->count; i++) {
        const struct container_status *one = &input->containers[i];

        if (one->kind != RESTART_SIDECAR &&
            (one->phase != CONTAINER_TERMINATED || one->end.exit_code != 0))
            return false;
    }
    return true;
}

/* As kubelets find it: Pending until the init containers are done and each other one has been
 * started once; Succeeded or Failed when nothing will run any more. */
static const char *phase_of(const struct pod_status_input *input)
{
    if (input->ended)
        return !is_text(input->reason) && all_succeeded(input) ? "Succeeded" : "Failed";
    if (!input->initialized)
        return "Pending";
    for (unsigned i = 0; i < input->count; i++) {
        const struct container_status *one = &input->containers[i];

        if (one->kind == RESTART_MAIN && one->phase == CONTAINER_WAITING && !one->last.known)
            return "Pending";
    }
    return "Running";
}

/* ---- conditions ---- */

static const json_t *find_condition(const json_t *status, const char *type)
{
    const json_t *condition;
    size_t index;

    json_array_foreach(json_object_get(status, "conditions"), index, condition)
    {
        const char *this = json_string_value(json_object_get(condition, "type"));

        if (this && !strcmp(this, type))
            return condition;
    }
    return NULL;
}

static void put_condition(const struct pod_status_input *input, json_t *list, const char *type,
                          bool is_true, const char *reason, const char *message)
{
    const char *status = is_true ? "True" : "False";
    const json_t *before = find_condition(input->before, type);
    const char *was = json_string_value(json_object_get(before, "status"));
    const json_t *since = json_object_get(before, "lastTransitionTime");
    json_t *condition =
        json_pack("{s:s, s:s, s:n}", "type", type, "status", status, "lastProbeTime");

    if (was && !strcmp(was, status) && json_is_string(since))
        json_object_set(condition, "lastTransitionTime", (json_t *)since);
    else
        put_time(condition, "lastTransitionTime", input->now_ns);
    if (!is_true) {
        put_text(condition, "reason", reason);
        put_text(condition, "message", message);
    }
    json_array_append_new(list, condition);
}

/* "containers with unready status: [a b]"; false when there is none. Sidecars count. */
static bool unready(const struct pod_status_input *input, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size, "containers with unready status: [");
    bool some = false;

    for (unsigned i = 0; i < input->count; i++) {
        const struct container_status *one = &input->containers[i];

        if (one->kind == RESTART_INIT || one->ready)
            continue;
        if (len < size)
            len += (size_t)snprintf(text + len, size - len, "%s%s", some ? " " : "", one->name);
        some = true;
    }
    if (len < size)
        snprintf(text + len, size - len, "]");
    return some;
}

static json_t *conditions(const struct pod_status_input *input, const char *phase)
{
    bool succeeded = !strcmp(phase, "Succeeded");
    json_t *list = json_array();
    char text[1024];
    bool some = unready(input, text, sizeof(text)) || input->ended;
    const char *why = succeeded      ? "PodCompleted"
                      : input->ended ? "PodFailed"
                                     : "ContainersNotReady";
    const char *message = input->ended ? "" : text;

    put_condition(input, list, "PodReadyToStartContainers", input->machine_ready && !input->ended,
                  "", "");
    put_condition(input, list, "Initialized", input->initialized, "ContainersNotInitialized",
                  "init containers have not all completed");
    put_condition(input, list, "Ready", input->initialized && !some, why, message);
    put_condition(input, list, "ContainersReady", input->initialized && !some, why, message);
    put_condition(input, list, "PodScheduled", true, "", "");
    return list;
}

static void put_addresses(json_t *status, const struct pod_status_input *input)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < input->ip_count; i++)
        json_array_append_new(list, json_pack("{s:s}", "ip", input->ips[i]));
    if (input->ip_count) {
        json_object_set_new(status, "podIP", json_string(input->ips[0]));
        json_object_set(status, "podIPs", list);
    }
    json_decref(list);
    if (is_text(input->host_ip)) {
        json_object_set_new(status, "hostIP", json_string(input->host_ip));
        json_object_set_new(status, "hostIPs", json_pack("[{s:s}]", "ip", input->host_ip));
    }
}

json_t *pod_status_json(const struct pod_status_input *input)
{
    const char *phase = phase_of(input);
    json_t *init = containers_json(input, false);
    json_t *status =
        json_pack("{s:s, s:o, s:o}", "phase", phase, "conditions", conditions(input, phase),
                  "containerStatuses", containers_json(input, true));

    if (json_array_size(init))
        json_object_set(status, "initContainerStatuses", init);
    json_decref(init);
    put_text(status, "reason", input->reason);
    put_text(status, "message", input->message);
    put_text(status, "qosClass", input->qos_class);
    put_time(status, "startTime", input->started_ns);
    put_addresses(status, input);
    return status;
}
