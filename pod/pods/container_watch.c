// SPDX-License-Identifier: Apache-2.0
/* Hooks and probes of a container's run: see container.h, and pod/lifecycle for what they mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "pod/pods/container.h"
#include "pod/pods/pod.h"
#include "pod/pods/task.h"

static const char *address_of(const struct container *c)
{
    const struct pod_network_result *result = c->pod->network_result;

    return result->ip_count ? result->ips[0] : "127.0.0.1";
}

/* Seconds of a probe's own grace, or of the pod's. */
static uint64_t grace_of(const struct container *c, const char *probe)
{
    const json_t *own =
        json_object_get(json_object_get(c->object, probe), "terminationGracePeriodSeconds");

    return json_is_integer(own) && json_integer_value(own) > 0
               ? (uint64_t)json_integer_value(own) * 1000
               : pod_ending_grace_ms(c->pod);
}

/* It is to end, and what follows is a restart or a failure. */
static void end_for(struct container *c, uint64_t grace_ms, const char *why)
{
    save_notice(c->pod, c->status.name, false, "Killing", why);
    c->probed = true;
    container_stop(c, grace_ms);
}

/* ---- probes ---- */

static const json_t *probe_object(const struct container *c, enum probe_kind kind)
{
    return json_object_get(c->object, probe_kind_member(kind));
}

static void update_ready(struct container *c, bool ready)
{
    bool started = c->startup_passed && c->post_start_over;

    ready = ready && started;
    if (c->status.started == started && c->status.ready == ready)
        return;
    c->status.started = started;
    c->status.ready = ready;
    save_changed(c->pod);
    flow_update(c->pod);
}

static void on_result(void *arg, struct probe *probe, bool success);

static void on_unhealthy(void *arg, struct probe *probe, const char *text)
{
    struct container *c = arg;

    (void)probe;
    save_notice(c->pod, c->status.name, true, "Unhealthy", text);
}

static void on_warned(void *arg, struct probe *probe, const char *text)
{
    struct container *c = arg;

    (void)probe;
    save_notice(c->pod, c->status.name, true, "ProbeWarning", text);
}

static void start_probe(struct container *c, enum probe_kind kind)
{
    const struct probe_callbacks callbacks = {
        .result = on_result, .unhealthy = on_unhealthy, .warned = on_warned, .arg = c};
    char text[96];
    int ret;

    if (!probe_object(c, kind) || c->probes[kind])
        return;
    ret = probe_start(&c->task_host, kind, probe_object(c, kind), c->object, address_of(c),
                      &callbacks, &c->probes[kind]);
    if (ret == 0)
        return;
    snprintf(text, sizeof(text), "%s probe cannot be begun", probe_kind_name(kind));
    save_notice(c->pod, c->status.name, true, "Unhealthy", text);
}

/* The other probes wait for the startup probe. */
static void start_others(struct container *c)
{
    start_probe(c, PROBE_LIVENESS);
    start_probe(c, PROBE_READINESS);
    update_ready(c, !probe_object(c, PROBE_READINESS));
}

static void on_result(void *arg, struct probe *probe, bool success)
{
    struct container *c = arg;
    enum probe_kind kind = probe_kind_of(probe);

    if (c->step != STEP_RUNNING)
        return;
    if (kind == PROBE_READINESS) {
        update_ready(c, success);
    } else if (!success) {
        end_for(c, grace_of(c, probe_kind_member(kind)),
                kind == PROBE_STARTUP ? "the startup probe failed" : "the liveness probe failed");
    } else if (kind == PROBE_STARTUP && !c->startup_passed) {
        c->startup_passed = true;
        probe_destroy(c->probes[kind]);
        c->probes[kind] = NULL;
        start_others(c);
    }
}

void container_probe(struct container *c)
{
    c->startup_passed = !probe_object(c, PROBE_STARTUP);
    if (c->startup_passed)
        start_others(c);
    else
        start_probe(c, PROBE_STARTUP);
}

/* ---- hooks ---- */

static const json_t *hook_object(const struct container *c, const char *name)
{
    return json_object_get(json_object_get(c->object, "lifecycle"), name);
}

static int start_hook(struct container *c, const json_t *handler, action_fn done)
{
    const struct action_options options = {.handler = handler,
                                           .container = c->object,
                                           .address = address_of(c),
                                           .done = done,
                                           .arg = c};

    return action_start(&c->task_host, &options, &c->hook);
}

static void hook_failed(struct container *c, const char *reason, const char *text)
{
    save_notice(c->pod, c->status.name, true, reason, text);
}

static void on_post_start(void *arg, enum action_result result, const char *text)
{
    struct container *c = arg;

    c->hook = NULL;
    if (c->step != STEP_RUNNING)
        return;
    if (result != ACTION_SUCCEEDED && result != ACTION_WARNED) {
        hook_failed(c, "FailedPostStartHook", text);
        end_for(c, pod_ending_grace_ms(c->pod), "its postStart hook failed");
        return;
    }
    c->post_start_over = true;
    container_probe(c);
}

void container_watch_begin(struct container *c)
{
    const json_t *hook = hook_object(c, "postStart");

    c->startup_passed = false;
    c->post_start_over = !hook;
    if (!hook)
        container_probe(c);
    else if (start_hook(c, hook, on_post_start))
        on_post_start(c, ACTION_FAILED, "the postStart hook cannot be begun");
}

static void on_pre_stop(void *arg, enum action_result result, const char *text)
{
    struct container *c = arg;

    c->hook = NULL;
    if (c->step != STEP_STOPPING)
        return;
    if (result != ACTION_SUCCEEDED && result != ACTION_WARNED)
        hook_failed(c, "FailedPreStopHook", text);
    container_signal(c);
}

bool container_has_pre_stop(const struct container *c)
{
    return hook_object(c, "preStop") != NULL;
}

void container_pre_stop(struct container *c)
{
    const json_t *hook = hook_object(c, "preStop");

    if (!hook)
        container_signal(c);
    else if (start_hook(c, hook, on_pre_stop))
        on_pre_stop(c, ACTION_FAILED, "the preStop hook cannot be begun");
}

void container_watch_end(struct container *c)
{
    action_cancel(c->hook);
    c->hook = NULL;
    for (unsigned i = 0; i < sizeof(c->probes) / sizeof(c->probes[0]); i++) {
        probe_destroy(c->probes[i]);
        c->probes[i] = NULL;
    }
}
