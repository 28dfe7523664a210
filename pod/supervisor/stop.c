// SPDX-License-Identifier: Apache-2.0
/*
 * Ending a container that runs: the signal, the grace, SIGKILL for all of it, and the machine's
 * power when even that has not helped. See supervisor.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/supervisor/supervisor.h"

/* After SIGKILL: the guest's kernel needs that long only when it is in trouble. */
#define LAST_RESORT_NS (10000 * MS_NS)

static void on_killed(void *arg, const json_t *result, const struct husk_error *error)
{
    struct supervisor *s = arg;
    char text[512];

    (void)result;
    if (error && error->code != EBUSY && s->phase < PHASE_DRAINING)
        log_warn(s->log, "supervisor", "a signal could not be sent: %s",
                 error_format(error, text, sizeof(text)));
}

static void send_signal(struct supervisor *s, int signal, bool all)
{
    struct husk_error error;
    json_t *params = json_pack("{s:s, s:i, s:b}", "container", s->record.name, "signal", signal,
                               "all", (int)all);

    if (agent_client_call(s->agent, "kill", params, AGENT_CLIENT_TIMEOUT_MS, on_killed, s, &error))
        on_killed(s, NULL, &error);
}

/* One that is paused cannot make use of its grace. */
static void wake(struct supervisor *s)
{
    struct husk_error error;

    if (s->state.status != CONTAINER_PAUSED)
        return;
    s->state.status = CONTAINER_RUNNING;
    state_changed(s);
    if (agent_client_call(s->agent, "resume", json_pack("{s:s}", "container", s->record.name),
                          AGENT_CLIENT_TIMEOUT_MS, on_killed, s, &error))
        on_killed(s, NULL, &error);
}

static void kill_all(struct supervisor *s)
{
    s->last_resort++;
    send_signal(s, SIGKILL, true);
    event_timer_arm(s->stop_timer, LAST_RESORT_NS);
}

static void end_machine(struct supervisor *s, const char *why)
{
    struct husk_error error;

    if (!s->state.ended) {
        s->state.ended = true;
        s->state.exit = (struct container_exit){.status = STATUS_KILLED, .signal = SIGKILL};
        s->state.finished_ns = process_now_ns();
        state_set_error(s, why);
        state_changed(s);
    }
    error_set(&error, ECANCELED, s->record.name, "has not started", "%s", why);
    life_refuse_start(s, &error, STATUS_HUSK);
    ending_power_off(s);
}

static void on_grace_over(void *arg)
{
    struct supervisor *s = arg;

    if (s->phase >= PHASE_POWER_OFF)
        return;
    if (s->phase < PHASE_RUNNING)
        end_machine(s, "it was stopped before it had started");
    else if (s->phase == PHASE_DRAINING || s->last_resort)
        end_machine(s, "it did not end by SIGKILL: the machine was turned off");
    else
        kill_all(s);
}

void stop_begin(struct supervisor *s, int signal, uint64_t grace_ms)
{
    uint64_t at = monotonic_ns() + grace_ms * MS_NS;

    if (s->phase >= PHASE_POWER_OFF)
        return;
    s->stop_asked = true;
    if (s->phase < PHASE_RUNNING) {
        end_machine(s, "it was stopped before it had started");
        return;
    }
    if (s->phase == PHASE_DRAINING || s->last_resort)
        return;
    if (grace_ms && !s->kill_at_ns) {
        send_signal(s, signal, false);
        wake(s);
    }
    if (s->kill_at_ns && at >= s->kill_at_ns)
        return;
    s->kill_at_ns = at;
    event_timer_arm(s->stop_timer, grace_ms * MS_NS);
    if (!grace_ms)
        on_grace_over(s);
}

static void on_timeout(void *arg)
{
    struct supervisor *s = arg;
    char text[96];

    if (s->phase != PHASE_RUNNING || s->last_resort)
        return;
    snprintf(text, sizeof(text), "it was killed after its time of %llu ms",
             (unsigned long long)s->record.timeout_ms);
    state_set_error(s, text);
    s->stop_asked = true;
    kill_all(s);
}

int stop_create(struct supervisor *s)
{
    int ret = event_loop_add_timer(s->loop, on_grace_over, s, &s->stop_timer);

    return ret ? ret : event_loop_add_timer(s->loop, on_timeout, s, &s->timeout_timer);
}

void stop_timeout_arm(struct supervisor *s)
{
    if (s->record.timeout_ms)
        event_timer_arm(s->timeout_timer, s->record.timeout_ms * MS_NS);
}
