// SPDX-License-Identifier: Apache-2.0
/* The last runs of a pod's containers, from its state: see restore.h. */
#include "pod/pods/restore.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pod/pods/pod.h"

/* "2026-11-29T02:00:00Z"; 0 for what is none. */
static uint64_t read_time(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    struct tm tm = {.tm_sec = 0};
    time_t seconds;

    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return 0;
    seconds = timegm(&tm);
    return seconds > 0 ? (uint64_t)seconds * 1000000000u : 0;
}

static void read_end(const json_t *one, struct container_end *out)
{
    const json_t *ended = json_object_get(json_object_get(one, "state"), "terminated");
    const char *reason, *message, *id;

    if (!ended)
        ended = json_object_get(json_object_get(one, "lastState"), "terminated");
    if (!json_is_object(ended))
        return;
    reason = json_string_value(json_object_get(ended, "reason"));
    message = json_string_value(json_object_get(ended, "message"));
    id = json_string_value(json_object_get(ended, "containerID"));
    *out = (struct container_end){
        .known = true,
        .exit_code = (int)json_integer_value(json_object_get(ended, "exitCode")) & 255,
        .signal = (int)json_integer_value(json_object_get(ended, "signal")) & 127,
        .started_ns = read_time(ended, "startedAt"),
        .finished_ns = read_time(ended, "finishedAt")};
    snprintf(out->reason, sizeof(out->reason), "%s", reason ? reason : "");
    snprintf(out->message, sizeof(out->message), "%s", message ? message : "");
    snprintf(out->container_id, sizeof(out->container_id), "%s", id ? id : "");
}

static void restore_list(struct pod *pod, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(one, "name"));

        for (unsigned j = 0; name && j < pod->container_count; j++) {
            struct container *c = &pod->containers[j];

            if (strcmp(c->status.name, name) != 0)
                continue;
            read_end(one, &c->status.last);
            c->status.restarts = c->run;
        }
    }
}

void restore_last(struct pod *pod)
{
    json_t *status = pod->state.status;

    restore_list(pod, json_object_get(status, "initContainerStatuses"));
    restore_list(pod, json_object_get(status, "containerStatuses"));
    json_decref(status);
    pod->state.status = NULL;
}
