// SPDX-License-Identifier: Apache-2.0
/*
 * From the program's end to the supervisor's: see supervisor.h. The end is recorded as soon as it
 * is known, and again when the machine is off; clients hear of it when nothing is left to be done.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/machine/scratch.h"
#include "pod/supervisor/supervisor.h"

#define DRAIN_NS       (10000 * MS_NS)
#define DRAIN_STOP_NS  (2000 * MS_NS)  /* for somebody who has said stop */
#define POWER_OFF_NS   (30000 * MS_NS) /* the guest writes back what its disks must have */
#define FORCED_NS      (10000 * MS_NS)
#define LEAVE_NS       (5000 * MS_NS)
#define LEAVE_STEP_NS  (50 * MS_NS)
#define SAVE_TRIES_MAX 60u

json_t *ending_exit_json(const struct supervisor *s)
{
    json_t *json = json_pack("{s:i, s:i, s:b}", "status", (int)s->state.exit.status, "signal",
                             (int)s->state.exit.signal, "oom", (int)s->state.exit.oom);

    if (json && s->state.error[0])
        json_object_set_new(json, "error", json_string(s->state.error));
    if (json && s->record_failed)
        json_object_set_new(json, "error",
                            json_string("how the container ended could not be written down: see "
                                        "the supervisor's file `errors`"));
    return json;
}

/* ---- the output's end ---- */

void ending_exited(struct supervisor *s, const struct agent_exit *exit)
{
    s->phase = PHASE_DRAINING;
    s->processes.over = true;
    s->state.ended = true;
    s->state.exit =
        (struct container_exit){.status = exit->status, .signal = exit->signal, .oom = exit->oom};
    s->state.finished_ns = process_now_ns();
    state_changed(s);
    event_timer_disarm(s->timeout_timer);
    event_timer_disarm(s->stop_timer);
    if (hub_drained(s->hub))
        ending_power_off(s);
    else
        event_timer_arm(s->phase_timer, s->stop_asked ? DRAIN_STOP_NS : DRAIN_NS);
}

void ending_drained(void *arg)
{
    struct supervisor *s = arg;

    if (s->phase == PHASE_DRAINING)
        ending_power_off(s);
}

/* A client in the foreground may take its time, but not that of somebody who has said stop. */
static void drain_late(struct supervisor *s)
{
    if (hub_flushed(s->hub) || s->stop_asked)
        hub_abandon(s->hub);
    else
        event_timer_arm(s->phase_timer, DRAIN_NS);
}

/* ---- the machine's end ---- */

static void cut_off(struct supervisor *s)
{
    s->cut_off = true;
    s->ops->power_off(s->machine);
}

static void on_shutdown(void *arg, const json_t *result, const struct husk_error *error)
{
    struct supervisor *s = arg;

    (void)result;
    if (error && s->phase == PHASE_POWER_OFF && error->code != ECONNRESET)
        cut_off(s);
}

void ending_power_off(struct supervisor *s)
{
    bool can_ask = s->phase > PHASE_BOOTING && s->agent;
    struct husk_error error;

    if (s->phase >= PHASE_POWER_OFF)
        return;
    s->phase = PHASE_POWER_OFF;
    s->processes.over = true;
    event_timer_disarm(s->timeout_timer);
    event_timer_disarm(s->stop_timer);
    if (!s->machine) {
        ending_over(s);
        return;
    }
    event_timer_arm(s->phase_timer, s->last_resort > 1 ? FORCED_NS : POWER_OFF_NS);
    if (!can_ask ||
        agent_client_call(s->agent, "shutdown", json_object(), 0, on_shutdown, s, &error))
        cut_off(s);
}

/* It may be the first that is heard of an end. */
void ending_machine_stopped(void *arg, const char *why)
{
    struct supervisor *s = arg;
    struct husk_error error;

    if (s->torn_down)
        return;
    if (s->phase == PHASE_POWER_OFF && !why[0] && !s->cut_off)
        s->mounted = false;
    if (s->phase < PHASE_POWER_OFF && !s->state.ended) {
        error_set(&error, EIO, "the virtual machine", "has stopped", "%s", why);
        life_fail(s, &error, s->phase < PHASE_RUNNING ? STATUS_HUSK : STATUS_LOST);
    }
    ending_over(s);
}

void ending_over(struct supervisor *s)
{
    s->phase = PHASE_OVER;
    event_timer_arm(s->phase_timer, 0); /* what calls may be the machine itself */
}

static void power_off_late(struct supervisor *s)
{
    log_warn(s->log, "supervisor",
             "the guest did not shut down in time: its machine is turned off");
    cut_off(s);
    if (s->phase ==
        PHASE_POWER_OFF) /* one that does not even say that it stops is ended by force */
        event_timer_arm(s->phase_timer, FORCED_NS);
    s->phase = PHASE_OVER;
}

/* ---- the supervisor's end ---- */

static void tear_down(struct supervisor *s)
{
    s->torn_down = true;
    agent_client_close(s->agent); /* answers what is open */
    s->agent = NULL;
    prepare_destroy(s);
    exec_destroy_all(&s->processes);
    hub_abandon(s->hub);
    s->ops->destroy(s->machine);
    s->machine = NULL;
    /* A disk that the guest did not write back is never mounted again. */
    if (s->mounted)
        (void)unlinkat(s->container->dir, SCRATCH_FILE, 0);
    s->state.status = CONTAINER_EXITED;
    s->state.machine_pid = 0;
}

/* Whether there is nothing more to try. */
static bool recorded(struct supervisor *s)
{
    if (state_save(s) == 0)
        return true;
    if (s->save_failures < SAVE_TRIES_MAX && !entry_is_gone(s->container))
        return false;
    event_timer_disarm(s->save_timer);
    log_error(s->log, "supervisor", "the container ended with status %u, which is in no record",
              s->state.exit.status);
    s->record_failed = true;
    return true;
}

static void finish(struct supervisor *s)
{
    struct husk_error error;
    char text[512];
    json_t *exit;

    if (s->record.remove && entry_remove_own(s->container, &error))
        log_error(s->log, "supervisor", "%s", error_format(&error, text, sizeof(text)));
    entry_give_up(s->container);
    server_stop_listening(s->server);
    exit = ending_exit_json(s);
    waiters_answer(&s->waiters, s->server, exit);
    json_decref(exit);
    server_tell(s->server, json_pack("{s:s, s:o}", "event", "state", "state", state_json(s)));
    s->finished = true;
    s->leave_at_ns = monotonic_ns() + LEAVE_NS;
}

/* What was said has been heard. A container may fail before the command that made it has asked for
 * anything: then that is waited for, or nobody could be told why. */
static bool may_leave(const struct supervisor *s)
{
    if (!hub_flushed(s->hub))
        return false;
    if (monotonic_ns() > s->leave_at_ns)
        return true;
    return server_is_idle(s->server) && (s->state.started_ns || server_count(s->server) == 0);
}

void ending_timer(void *arg)
{
    struct supervisor *s = arg;

    if (s->phase < PHASE_DRAINING) {
        life_lost(s);
        return;
    }
    if (s->phase == PHASE_DRAINING) {
        drain_late(s);
        return;
    }
    if (s->phase == PHASE_POWER_OFF) {
        power_off_late(s);
        return;
    }
    if (s->phase != PHASE_OVER)
        return;
    if (!s->torn_down)
        tear_down(s);
    if (!s->finished && !recorded(s))
        return;
    if (!s->finished)
        finish(s);
    if (may_leave(s))
        event_loop_stop(s->loop);
    else
        event_timer_arm(s->phase_timer, LEAVE_STEP_NS);
}
