// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor's record of its pod: see pod.h. What is in memory is the truth, and what clients
 * are told; the file follows, at once where the disk allows it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/pod.h"

#define AGAIN_NS (1000 * MS_NS)

static struct container_status *copy_statuses(const struct pod *pod)
{
    struct container_status *all = calloc(pod->container_count, sizeof(*all));

    for (unsigned i = 0; all && i < pod->container_count; i++)
        all[i] = pod->containers[i].status;
    return all;
}

/* The status as it is now; NULL without memory. */
static json_t *make_status(struct pod *pod)
{
    const struct pod_network_result *result = pod->network_result;
    struct container_status *all = copy_statuses(pod);
    const char *ips[POD_MACHINE_ADDRESSES_MAX];
    struct pod_status_input input = {
        .containers = all,
        .count = pod->container_count,
        .policy = pod->policy,
        .machine_ready = pod->phase == POD_RUNNING,
        .initialized = pod->initialized,
        .ending = pod->ending,
        .ended = pod->last_word,
        .reason = pod->reason,
        .message = pod->message,
        .qos_class = pod->planned ? pod->plan.qos_class : "",
        .ips = ips,
        .ip_count = pod->network_is_up ? result->ip_count : 0,
        .host_ip = result->host_ip,
        .started_ns = pod->started_ns,
        .now_ns = process_now_ns(),
        .before = pod->state.status,
    };
    json_t *status;

    for (unsigned i = 0; i < input.ip_count; i++)
        ips[i] = result->ips[i];
    status = all ? pod_status_json(&input) : NULL;
    free(all);
    return status;
}

static int refresh(struct pod *pod)
{
    json_t *status = make_status(pod);

    if (!status)
        return -ENOMEM;
    pod_state_fit(status);
    json_decref(pod->state.status);
    pod->state.status = status;
    return 0;
}

json_t *save_state_json(struct pod *pod)
{
    json_t *json;

    if (refresh(pod))
        return NULL;
    json = pod_state_encode(&pod->state);
    if (json)
        json_object_del(json, "version");
    return json;
}

int save_now(struct pod *pod)
{
    struct husk_error error;
    char text[512];
    int ret = refresh(pod);

    if (ret == 0)
        ret = pod_save_state(pod->entry, &pod->state, &error);
    else
        error_set(&error, -ret, pod->record.key, "cannot be recorded", NULL);
    if (ret == 0) {
        event_timer_disarm(pod->save_timer);
        pod->save_failures = 0;
        return 0;
    }
    if (pod->save_failures++ == 0)
        log_error(pod->log, "supervisor", "%s; it is tried again every second",
                  error_format(&error, text, sizeof(text)));
    event_timer_arm(pod->save_timer, AGAIN_NS);
    return ret;
}

void save_again(void *arg)
{
    struct pod *pod = arg;

    if (pod->phase == POD_OVER)
        pod_ending_timer(pod);
    else if (save_now(pod) && entry_is_gone(pod->entry))
        pod_ending_stop(pod, pod_ending_grace_ms(pod)); /* nobody else could */
}

static bool is_ready(const struct pod *pod)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(pod->state.status, "conditions"), index, one)
    {
        const char *type = json_string_value(json_object_get(one, "type"));
        const char *value = json_string_value(json_object_get(one, "status"));

        if (type && value && !strcmp(type, "Ready") && !strcmp(value, "True"))
            return true;
    }
    return false;
}

void save_tell_ready(struct pod *pod)
{
    json_t *state;

    if (!is_ready(pod))
        return;
    state = save_state_json(pod);
    waiters_answer(&pod->ready_waiters, pod->server, state);
    json_decref(state);
}

void save_changed(struct pod *pod)
{
    if (pod->phase == POD_OVER)
        return; /* ending.c says the last word */
    (void)save_now(pod);
    server_tell(pod->server,
                json_pack("{s:s, s:o}", "event", "state", "state", save_state_json(pod)));
    save_tell_ready(pod);
}

void save_notice(struct pod *pod, const char *container, bool warning, const char *reason,
                 const char *message)
{
    server_tell(pod->server, json_pack("{s:s, s:s, s:s, s:s, s:s*}", "event", "notice", "type",
                                       warning ? "Warning" : "Normal", "reason", reason, "message",
                                       message, "container", container));
}
