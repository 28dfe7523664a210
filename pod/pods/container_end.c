// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a container's run: its last output, what it left as its message, and what the guest
 * has of it. See container.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/pods/container_internal.h"
#include "pod/pods/pod.h"

#define DRAIN_NS      (10000 * MS_NS)
#define DRAIN_STOP_NS (2000 * MS_NS) /* for somebody who has said stop */

/* ---- what the guest has of it ---- */

static void on_cleaned(void *arg, const struct husk_error *error)
{
    struct container *c = arg;
    char text[512];

    if (error)
        log_warn(c->pod->log, "supervisor", "%s", error_format(error, text, sizeof(text)));
    container_idle(c);
    save_changed(c->pod);
    flow_update(c->pod);
}

static void clean(struct container *c)
{
    json_t *requests = json_array(), *after = container_plan(c)->after;
    int ret = requests ? 0 : -ENOMEM;

    c->processes.over = true;
    exec_destroy_all(&c->processes);
    if (ret == 0 && c->made)
        ret = json_array_append_new(requests,
                                    json_pack("{s:s, s:{s:s, s:b}}", "method", "delete", "params",
                                              "container", c->status.name, "force", 1));
    if (ret == 0 && after)
        ret = json_array_extend(requests, after);
    if (ret) {
        json_decref(requests);
        requests = NULL;
    }
    asking_begin(&c->asking, c->pod->agent, requests, on_cleaned, c);
}

/* ---- its message ---- */

/* Takes away what is there of a character that was cut in the middle. */
static void trim_cut(char *text)
{
    static const unsigned char heads[] = {0xc0, 0xe0, 0xf0};
    size_t len = strlen(text);

    for (size_t i = 1; i <= sizeof(heads) && i <= len; i++) {
        unsigned char byte = (unsigned char)text[len - i];

        if ((byte & 0xc0) == 0x80)
            continue;
        if (byte >= heads[i - 1])
            text[len - i] = '\0';
        return;
    }
}

/* JSON has only UTF-8: what is none becomes '?'. */
static void keep_utf8(char *text)
{
    json_t *whole = json_string(text);

    for (char *at = text; !whole && *at; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    json_decref(whole);
}

static void take_message(struct container *c, const json_t *result)
{
    const json_t *data = json_object_get(result, "data_base64");
    size_t max = container_message_max(c), len = 0;
    uint8_t bytes[PLAN_MESSAGE_MAX + 4];
    bool cut;

    if (json_is_string(data) &&
        json_string_length(data) <= 4 * ((size_t)PLAN_MESSAGE_MAX + 2) / 3 &&
        base64_decode(json_string_value(data), json_string_length(data), bytes, &len))
        len = 0;
    cut = len >= max;
    if (cut)
        len = max;
    len = strnlen((const char *)bytes, len);
    memcpy(c->status.end.message, bytes, len);
    c->status.end.message[len] = '\0';
    if (cut)
        trim_cut(c->status.end.message);
    if (len == 0 && container_plan(c)->message_from_log && c->status.end.exit_code)
        container_log_tail(c, c->status.end.message, max < 2048 ? max : 2048);
    keep_utf8(c->status.end.message);
}

static void on_message(void *arg, const json_t *result, const struct husk_error *error)
{
    struct container *c = arg;

    if (c->lost || c->step != STEP_CLEANING)
        return;
    take_message(c, error ? NULL : result);
    clean(c);
}

static void begin_cleaning(struct container *c)
{
    const struct plan_container *plan = container_plan(c);
    json_t *params = json_pack("{s:s, s:s, s:i}", "volume", PLAN_MESSAGES, "path",
                               plan->message_path, "max_bytes", (int)container_message_max(c));
    struct husk_error error;

    c->step = STEP_CLEANING;
    event_timer_disarm(c->step_timer);
    if (!plan->message_path[0] || !c->status.started_ns)
        json_decref(params);
    else if (agent_client_call(c->pod->agent, "volume.read", params, AGENT_CLIENT_TIMEOUT_MS,
                               on_message, c, &error) == 0)
        return;
    clean(c);
}

/* ---- the output's end ---- */

void container_drained(void *arg)
{
    struct container *c = arg;

    if (c->step == STEP_DRAINING)
        event_timer_arm(c->step_timer, 0); /* what calls is the hub itself */
}

void container_drain_late(struct container *c)
{
    if (!hub_drained(c->hub) && !hub_flushed(c->hub) && !c->pod->ending) {
        event_timer_arm(c->step_timer, DRAIN_NS); /* a client in the foreground takes its time */
        return;
    }
    hub_abandon(c->hub);
    begin_cleaning(c);
}

static void set_end(struct container *c, int exit_code, int signal, const char *reason)
{
    c->status.end = (struct container_end){.known = true,
                                           .exit_code = exit_code,
                                           .signal = signal,
                                           .started_ns = c->status.started_ns,
                                           .finished_ns = process_now_ns()};
    snprintf(c->status.end.reason, sizeof(c->status.end.reason), "%s", reason);
    memcpy(c->status.end.container_id, c->status.container_id, sizeof(c->status.container_id));
    c->status.phase = CONTAINER_TERMINATED;
    c->status.started = c->status.ready = false;
}

void container_exited(struct container *c, const struct agent_exit *exit)
{
    if (c->step >= STEP_DRAINING)
        return;
    c->processes.over = true;
    container_watch_end(c);
    set_end(c, exit->status, exit->signal,
            exit->oom      ? "OOMKilled"
            : exit->status ? "Error"
                           : "Completed");
    c->step = STEP_DRAINING;
    event_timer_arm(c->step_timer, hub_drained(c->hub) ? 0
                                   : c->pod->ending    ? DRAIN_STOP_NS
                                                       : DRAIN_NS);
    save_changed(c->pod);
}

/* Before its program ran, or, when the agent itself has lost it, after. */
void container_failed(struct container *c, const struct husk_error *error)
{
    bool start = c->step == STEP_STARTING;
    char text[512];
    uint8_t status;

    if (c->lost || c->step == STEP_IDLE || c->step >= STEP_DRAINING)
        return;
    error_format(error, text, sizeof(text));
    make_printable(text);
    log_error(c->pod->log, "supervisor", "%s: %s", c->status.name, text);
    save_notice(c->pod, c->status.name, true, "Failed", text);
    c->failure = *error;
    if (c->step == STEP_MAKING) {
        c->status.started_ns = 0;
        set_end(c, 128, 0, "CreateContainerError");
    } else {
        status = exec_status_of(error);
        set_end(c, start && status == STATUS_HUSK ? 128 : status, 0,
                start ? "StartError" : "ContainerLost");
    }
    snprintf(c->status.end.message, sizeof(c->status.end.message), "%s", text);
    asking_cancel(&c->asking);
    container_watch_end(c);
    if (c->hub)
        hub_abandon(c->hub);
    c->step = STEP_CLEANING;
    clean(c);
    save_changed(c->pod);
}
