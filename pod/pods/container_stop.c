// SPDX-License-Identifier: Apache-2.0
/*
 * Ending a container that runs: its preStop hook, its stop signal, and SIGKILL for all of it when
 * its grace is over; a hook that takes all of that is given up, and there are 2 s for the signal,
 * as kubelets have it. One whose SIGKILL does not help is asked again; the pod's own end has the
 * machine's power as its last resort (ending.c). See container.h.
 */
#include <signal.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/container.h"
#include "pod/pods/pod.h"

#define AGAIN_NS (10000 * MS_NS)
#define LEAST_NS (2000 * MS_NS) /* for the signal after a hook that took all the time */

static void on_killed(void *arg, const json_t *result, const struct husk_error *error)
{
    struct container *c = arg;
    char text[512];

    (void)result;
    if (error && !c->lost && c->step == STEP_STOPPING)
        log_warn(c->pod->log, "supervisor", "%s: a signal could not be sent: %s", c->status.name,
                 error_format(error, text, sizeof(text)));
}

static void send_signal(struct container *c, int signal, bool all)
{
    struct husk_error error;
    json_t *params = json_pack("{s:s, s:i, s:b}", "container", c->status.name, "signal", signal,
                               "all", (int)all);

    if (agent_client_call(c->pod->agent, "kill", params, AGENT_CLIENT_TIMEOUT_MS, on_killed, c,
                          &error))
        on_killed(c, NULL, &error);
}

void container_kill(struct container *c)
{
    c->killed = true;
    send_signal(c, SIGKILL, true);
    event_timer_arm(c->step_timer, AGAIN_NS);
}

static void arm(struct container *c)
{
    uint64_t now = monotonic_ns();

    event_timer_arm(c->step_timer, c->kill_at_ns > now ? c->kill_at_ns - now : 0);
}

void container_signal(struct container *c)
{
    uint64_t now = monotonic_ns();

    if (c->signalled || c->killed || c->held)
        return;
    c->signalled = true;
    if (c->kill_at_ns < now + LEAST_NS) {
        c->kill_at_ns = now + LEAST_NS;
        arm(c);
    }
    send_signal(c, container_plan(c)->stop_signal, false);
}

void container_stop_timer(struct container *c)
{
    if (c->signalled || c->killed) {
        container_kill(c);
        return;
    }
    container_watch_end(c); /* the hook has taken all the time */
    c->held = false;
    container_signal(c);
}

static void begin(struct container *c, uint64_t at_ns)
{
    container_watch_end(c);
    c->step = STEP_STOPPING;
    c->status.ready = false;
    c->kill_at_ns = at_ns;
    save_changed(c->pod);
}

/* One that is ending already. */
static void hasten(struct container *c, uint64_t at_ns)
{
    if (c->held) {
        c->held = false;
        if (!c->hook)
            container_signal(c);
    }
    if (at_ns >= c->kill_at_ns)
        return;
    c->kill_at_ns = at_ns;
    arm(c);
}

void container_stop(struct container *c, uint64_t grace_ms)
{
    uint64_t at = monotonic_ns() + grace_ms * MS_NS;

    if (c->killed || (c->step != STEP_RUNNING && c->step != STEP_STOPPING))
        return; /* what is being made finds out by itself that the pod ends */
    if (grace_ms && c->step == STEP_STOPPING) {
        hasten(c, at);
        return;
    }
    if (c->step == STEP_RUNNING)
        begin(c, at);
    if (!grace_ms) {
        container_kill(c);
        return;
    }
    arm(c);
    container_pre_stop(c);
}

void container_stop_soon(struct container *c, uint64_t grace_ms)
{
    if (c->step != STEP_RUNNING || !container_has_pre_stop(c) || !grace_ms)
        return;
    begin(c, monotonic_ns() + grace_ms * MS_NS);
    c->held = true;
    arm(c);
    container_pre_stop(c);
}
