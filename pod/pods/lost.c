// SPDX-License-Identifier: Apache-2.0
/* Marking pods whose supervisor is gone: see lost.h. */
#include "pod/pods/lost.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "pod/control/process.h"

#define REASON  "SupervisorLost"
#define MESSAGE "the pod's supervisor ended without a word: it was killed, or the host stopped"

void lost_format_time(uint64_t ns, char out[LOST_TIME_BYTES])
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    (void)strftime(out, LOST_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* One container that was running has ended with its machine. */
static int end_container(json_t *one, const char *now)
{
    const json_t *running = json_object_get(json_object_get(one, "state"), "running");
    json_t *ended;

    if (json_object_get(one, "ready") && (json_object_set_new(one, "ready", json_false()) ||
                                          json_object_set_new(one, "started", json_false())))
        return -ENOMEM;
    if (!json_is_object(running))
        return 0;
    ended = json_pack("{s:{s:i, s:s, s:s, s:O*, s:s}}", "terminated", "exitCode", 137, "reason",
                      REASON, "message", MESSAGE, "startedAt",
                      json_object_get(running, "startedAt"), "finishedAt", now);
    return ended && json_object_set_new(one, "state", ended) == 0 ? 0 : -ENOMEM;
}

static int end_containers(json_t *status, const char *list, const char *now)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(status, list), index, one)
    {
        if (end_container(one, now))
            return -ENOMEM;
    }
    return 0;
}

/* Nothing of it is ready any more. */
static int end_conditions(json_t *status, const char *now)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(status, "conditions"), index, one)
    {
        const char *type = json_string_value(json_object_get(one, "type"));
        const char *value = json_string_value(json_object_get(one, "status"));

        if (!type || !value || strcmp(value, "True") != 0 ||
            (strcmp(type, "Ready") != 0 && strcmp(type, "ContainersReady") != 0 &&
             strcmp(type, "PodReadyToStartContainers") != 0))
            continue;
        if (json_object_set_new(one, "status", json_string("False")) ||
            json_object_set_new(one, "reason", json_string(REASON)) ||
            json_object_set_new(one, "lastTransitionTime", json_string(now)))
            return -ENOMEM;
    }
    return 0;
}

int lost_mark(struct pod_state *state)
{
    json_t *status = state->status;
    char now[LOST_TIME_BYTES];

    lost_format_time(process_now_ns(), now);
    if (json_object_set_new(status, "phase", json_string("Failed")) ||
        json_object_set_new(status, "reason", json_string(REASON)) ||
        json_object_set_new(status, "message", json_string(MESSAGE)) ||
        end_containers(status, "initContainerStatuses", now) ||
        end_containers(status, "containerStatuses", now))
        return -ENOMEM;
    return end_conditions(status, now);
}
