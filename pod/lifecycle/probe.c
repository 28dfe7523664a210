// SPDX-License-Identifier: Apache-2.0
/* See probe.h. A run of the handler begins a period after the one before has begun, or when that
 * has ended, whichever comes later. */
#include "pod/lifecycle/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

#define SECOND_NS UINT64_C(1000000000)

struct probe {
    struct action_host host;
    enum probe_kind kind;
    json_t *description, *container; /* references of its own */
    char address[64];
    struct probe_callbacks callbacks;
    struct event_timer *timer;
    struct action *action;
    uint64_t begun_ns;            /* of the last run of the handler */
    unsigned successes, failures; /* one after the other */
};

static const struct {
    const char *name, *member;
} kinds[] = {[PROBE_STARTUP] = {"Startup", "startupProbe"},
             [PROBE_LIVENESS] = {"Liveness", "livenessProbe"},
             [PROBE_READINESS] = {"Readiness", "readinessProbe"}};

const char *probe_kind_name(enum probe_kind kind)
{
    return kinds[kind].name;
}

const char *probe_kind_member(enum probe_kind kind)
{
    return kinds[kind].member;
}

static uint64_t number(const struct probe *probe, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(probe->description, name));

    return value > 0 ? (uint64_t)value : 0;
}

static void arm_next(struct probe *probe)
{
    uint64_t period_ns = number(probe, "periodSeconds") * SECOND_NS;
    uint64_t gone_ns = monotonic_ns() - probe->begun_ns;

    event_timer_arm(probe->timer, gone_ns < period_ns ? period_ns - gone_ns : 0);
}

static void count(struct probe *probe, bool success, const char *text)
{
    unsigned *same = success ? &probe->successes : &probe->failures;
    uint64_t threshold = number(probe, success ? "successThreshold" : "failureThreshold");
    char line[ACTION_TEXT_BYTES + 32];

    *(success ? &probe->failures : &probe->successes) = 0;
    if (*same < UINT32_MAX)
        ++*same;
    arm_next(probe); /* before the callbacks, which may destroy the probe */
    /* Whoever is told last may: the one who counts. */
    if (!success) {
        snprintf(line, sizeof(line), "%s probe failed: %s", probe_kind_name(probe->kind), text);
        probe->callbacks.unhealthy(probe->callbacks.arg, probe, line);
    }
    if (*same >= threshold && (*same == threshold || (!success && probe->kind != PROBE_READINESS)))
        probe->callbacks.result(probe->callbacks.arg, probe, success);
}

static void on_done(void *arg, enum action_result result, const char *text)
{
    struct probe *probe = arg;
    char line[ACTION_TEXT_BYTES + 32];

    probe->action = NULL;
    if (result == ACTION_UNKNOWN) {
        snprintf(line, sizeof(line), "%s probe errored: %s", probe_kind_name(probe->kind), text);
        arm_next(probe);
        probe->callbacks.unhealthy(probe->callbacks.arg, probe, line);
        return;
    }
    if (result == ACTION_WARNED) {
        snprintf(line, sizeof(line), "%s probe warning: %s", probe_kind_name(probe->kind), text);
        probe->callbacks.warned(probe->callbacks.arg, probe, line);
    }
    count(probe, result != ACTION_FAILED, text);
}

static void on_timer(void *arg)
{
    struct probe *probe = arg;
    const struct action_options options = {
        .handler = probe->description,
        .container = probe->container,
        .address = probe->address,
        .timeout_ns = number(probe, "timeoutSeconds") * SECOND_NS,
        .done = on_done,
        .arg = probe,
    };
    int ret;

    probe->begun_ns = monotonic_ns();
    ret = action_start(&probe->host, &options, &probe->action);
    if (ret == -EINVAL)
        count(probe, false, "its port has no such name");
    else if (ret)
        arm_next(probe);
}

int probe_start(const struct action_host *host, enum probe_kind kind, const json_t *description,
                const json_t *container, const char *address,
                const struct probe_callbacks *callbacks, struct probe **out)
{
    struct probe *probe;
    int ret;

    if (strlen(address) >= sizeof(probe->address))
        return -EINVAL;
    probe = calloc(1, sizeof(*probe));
    if (!probe)
        return -ENOMEM;
    probe->host = *host;
    probe->kind = kind;
    probe->description = json_incref((json_t *)description);
    probe->container = json_incref((json_t *)container);
    memcpy(probe->address, address, strlen(address) + 1);
    probe->callbacks = *callbacks;
    ret = event_loop_add_timer(host->loop, on_timer, probe, &probe->timer);
    if (ret) {
        probe_destroy(probe);
        return ret;
    }
    event_timer_arm(probe->timer, number(probe, "initialDelaySeconds") * SECOND_NS);
    *out = probe;
    return 0;
}

enum probe_kind probe_kind_of(const struct probe *probe)
{
    return probe->kind;
}

void probe_destroy(struct probe *probe)
{
    if (!probe)
        return;
    action_cancel(probe->action);
    event_timer_remove(probe->timer);
    json_decref(probe->description);
    json_decref(probe->container);
    free(probe);
}
