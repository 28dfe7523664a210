// SPDX-License-Identifier: Apache-2.0
/*
 * From the first word of its end to the supervisor's: see pod.h. The machine goes, then the
 * network, then the end is recorded; clients hear of it when nothing is left to be done.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/pod.h"

#define FORCE_NS       (15000 * MS_NS) /* after the last grace is over */
#define POWER_OFF_NS   (30000 * MS_NS) /* the guest writes back what its disks must have */
#define LEAVE_NS       (5000 * MS_NS)
#define LINGER_NS      (1000 * MS_NS)
#define LEAVE_STEP_NS  (50 * MS_NS)
#define SAVE_TRIES_MAX 60u

uint64_t pod_ending_grace_ms(const struct pod *pod)
{
    const json_t *grace = json_object_get(pod_spec(pod), "terminationGracePeriodSeconds");

    return json_is_integer(grace) && json_integer_value(grace) >= 0 &&
                   json_integer_value(grace) < INT64_C(1) << 31
               ? (uint64_t)json_integer_value(grace) * 1000
               : 30000;
}

/* ---- the way out, from any phase ---- */

static void over(struct pod *pod)
{
    pod->phase = POD_OVER;
    event_timer_arm(pod->phase_timer, 0);
}

static void leave_phase(struct pod *pod)
{
    switch (pod->phase) {
    case POD_IMAGES:
        images_cancel(&pod->images);
        over(pod);
        break;
    case POD_NETWORK:
        if (!pod->network.running) /* else its end leads on */
            pod_ending_network_down(pod);
        break;
    case POD_BOOTING:
    case POD_PREPARING:
        pod_ending_power_off(pod);
        break;
    case POD_RUNNING:
        event_timer_arm(pod->kill_timer, pod->kill_at_ns + FORCE_NS - monotonic_ns());
        flow_update(pod);
        break;
    case POD_LOST:
        if (!pod->just_lost)
            pod_ending_network_down(pod);
        break;
    default:
        break;
    }
}

void pod_ending_begin(struct pod *pod, uint64_t grace_ms)
{
    uint64_t at = monotonic_ns() + grace_ms * MS_NS;

    if (pod->ending && pod->kill_at_ns && at >= pod->kill_at_ns)
        return;
    pod->ending = true;
    pod->kill_at_ns = at;
    leave_phase(pod);
}

void pod_ending_stop(struct pod *pod, uint64_t grace_ms)
{
    pod->at_once |= grace_ms == 0;
    pod_ending_begin(pod, grace_ms);
}

void pod_ending_fail(struct pod *pod, const char *reason, const char *message, uint64_t grace_ms)
{
    char text[600];

    if (pod->phase >= POD_POWER_OFF || pod->failed)
        return;
    pod->failed = true;
    snprintf(pod->reason, sizeof(pod->reason), "%s", reason);
    snprintf(pod->message, sizeof(pod->message), "%s", message);
    snprintf(text, sizeof(text), "the pod fails: %s", message);
    log_error(pod->log, "supervisor", "%s", text);
    save_notice(pod, NULL, true, reason[0] ? reason : "Failed", message);
    pod_ending_stop(pod, grace_ms);
}

/* ---- the machine ---- */

static void on_shutdown(void *arg, const json_t *result, const struct husk_error *error)
{
    struct pod *pod = arg;

    (void)result;
    if (error && pod->phase == POD_POWER_OFF && error->code != ECONNRESET)
        event_timer_arm(pod->phase_timer, 0);
}

void pod_ending_power_off(struct pod *pod)
{
    bool can_ask = pod->phase == POD_PREPARING || pod->phase == POD_RUNNING;
    struct husk_error error;

    if (pod->phase >= POD_LOST)
        return;
    pod->phase = POD_POWER_OFF;
    event_timer_disarm(pod->kill_timer);
    event_timer_arm(pod->phase_timer, POWER_OFF_NS);
    if (!can_ask ||
        agent_client_call(pod->agent, "shutdown", json_object(), 0, on_shutdown, pod, &error))
        event_timer_arm(pod->phase_timer, 0);
}

/* It has stopped, or takes too long about it. */
static void machine_over(struct pod *pod)
{
    for (unsigned i = 0; i < pod->container_count; i++)
        container_lost(&pod->containers[i], "Error", "its machine was turned off");
    machine_release(pod);
    pod_ending_network_down(pod);
}

/* ---- the network ---- */

void pod_ending_network_down(struct pod *pod)
{
    struct husk_error error;
    int ret;

    pod->phase = POD_NETWORK_DOWN;
    event_timer_disarm(pod->phase_timer);
    (void)unlinkat(pod->entry->dir, "scratch.img", 0);
    ret = network_worker_down(&pod->network);
    if (ret) {
        error_set(&error, -ret, pod->record.key, "has a network that cannot be taken down", NULL);
        pod_ending_network_done(pod, &error);
    }
}

/* What could not be taken back is told by network.json: who looks next tries again (pods.h). */
void pod_ending_network_done(struct pod *pod, const struct husk_error *error)
{
    char text[512];

    if (error)
        log_error(pod->log, "supervisor", "%s", error_format(error, text, sizeof(text)));
    else
        pod->network_is_up = false;
    over(pod);
}

/* ---- the supervisor ---- */

/* Whether there is nothing more to try. */
static bool recorded(struct pod *pod)
{
    if (save_now(pod) == 0)
        return true;
    if (pod->save_failures < SAVE_TRIES_MAX && !entry_is_gone(pod->entry))
        return false;
    event_timer_disarm(pod->save_timer);
    log_error(pod->log, "supervisor", "how the pod ended is in no record");
    pod->record_failed = true;
    return true;
}

static void refuse_ready(struct pod *pod)
{
    struct husk_error error;

    error_set(&error, EBUSY, pod->record.key, "has ended", "it was not ready before");
    waiters_refuse(&pod->ready_waiters, pod->server, &error);
}

static void finish(struct pod *pod)
{
    struct husk_error error;
    char text[512];
    json_t *state;

    if (pod->record.remove && pod_network_down(pod->entry->dir, &error) == 0 &&
        entry_remove_own(pod->entry, &error))
        log_error(pod->log, "supervisor", "%s", error_format(&error, text, sizeof(text)));
    entry_give_up(pod->entry);
    server_stop_listening(pod->server);
    refuse_ready(pod);
    state = save_state_json(pod);
    waiters_answer(&pod->end_waiters, pod->server, state);
    server_tell(pod->server, json_pack("{s:s, s:o}", "event", "state", "state", state));
    pod->finished = true;
    pod->leave_at_ns = monotonic_ns() + LEAVE_NS;
}

/* Who has just asked for the end is given time to ask for what came of it. */
static bool may_leave(const struct pod *pod)
{
    uint64_t now = monotonic_ns();

    if (server_is_idle(pod->server))
        return server_count(pod->server) == 0 || now > pod->leave_at_ns - LEAVE_NS + LINGER_NS;
    return now > pod->leave_at_ns;
}

static void end_supervisor(struct pod *pod)
{
    if (!pod->finished) {
        pod->last_word = true;
        pod->last_word = recorded(pod);
        if (!pod->last_word)
            return;
        finish(pod);
    }
    if (may_leave(pod))
        event_loop_stop(pod->loop);
    else
        event_timer_arm(pod->phase_timer, LEAVE_STEP_NS);
}

void pod_ending_timer(void *arg)
{
    struct pod *pod = arg;

    if (pod->phase == POD_NETWORK)
        pod_life_network(pod);
    else if (pod->phase == POD_LOST)
        machine_after_loss(pod);
    else if (pod->phase == POD_POWER_OFF)
        machine_over(pod);
    else if (pod->phase == POD_OVER)
        end_supervisor(pod);
}
