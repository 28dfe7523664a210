// SPDX-License-Identifier: Apache-2.0
/*
 * What is to be started next, or ended, seen from what there is: init containers one after the
 * other, then all others; sidecars live on. Called again after every change. See pod.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "pod/pods/pod.h"

void flow_update(struct pod *pod)
{
    event_timer_arm(pod->flow_timer, 0);
}

/* ---- what follows a run ---- */

static void wait_for(struct container *c, uint64_t delay_ns)
{
    struct container_status *status = &c->status;

    c->waiting = delay_ns > 0;
    if (!c->waiting)
        return;
    status->backs_off = true;
    snprintf(status->reason, sizeof(status->reason), "%s",
             strcmp(status->end.reason, "CreateContainerError") != 0 ? "CrashLoopBackOff"
                                                                     : "CreateContainerError");
    snprintf(status->message, sizeof(status->message), "%s waits %llu s before it is started again",
             status->name, (unsigned long long)(delay_ns / 1000000000));
    save_notice(c->pod, status->name, true, "BackOff", status->message);
    event_timer_arm(c->step_timer, delay_ns);
    save_changed(c->pod);
}

/* One that ended is looked at once. */
static void settle(struct container *c)
{
    struct container_status *status = &c->status;
    enum restart_verdict verdict;
    uint64_t ran_ns;

    if (c->step != STEP_IDLE || status->phase != CONTAINER_TERMINATED || status->done || c->settled)
        return;
    c->settled = true;
    verdict = restart_decide(c->pod->policy, c->kind, status->end.exit_code, c->probed);
    /* What was never made did not fail by itself: it is tried again, whatever the policy. */
    if (!strcmp(status->end.reason, "CreateContainerError"))
        verdict = RESTART_AGAIN;
    if (verdict == RESTART_AGAIN) {
        if (c->pod->ending)
            return;
        ran_ns = status->end.started_ns ? monotonic_ns() - c->ran_since_ns : 0;
        wait_for(c, backoff_failed(&c->backoff, ran_ns));
        return;
    }
    status->done = true;
    if (verdict == RESTART_FATAL)
        pod_ending_fail(c->pod, "", "an init container has failed", pod_ending_grace_ms(c->pod));
}

void flow_settle(struct pod *pod)
{
    for (unsigned i = 0; i < pod->container_count; i++)
        settle(&pod->containers[i]);
}

/* ---- what is to be started ---- */

static bool may_begin(const struct container *c)
{
    return c->step == STEP_IDLE && !c->status.done && !c->waiting;
}

/* Whether those after it may start. */
static bool pass(struct container *c)
{
    if (c->kind == RESTART_INIT && c->status.done)
        return true;
    if (may_begin(c))
        container_begin(c);
    return c->kind == RESTART_SIDECAR && c->status.started;
}

bool flow_mains_done(const struct pod *pod)
{
    for (unsigned i = 0; i < pod->container_count; i++) {
        if (pod->containers[i].kind == RESTART_MAIN && !pod->containers[i].status.done)
            return false;
    }
    return true;
}

static void start_more(struct pod *pod)
{
    unsigned i = 0;

    for (; i < pod->container_count && pod->containers[i].kind != RESTART_MAIN; i++) {
        if (!pass(&pod->containers[i]))
            return;
    }
    if (!pod->initialized) {
        pod->initialized = true;
        save_changed(pod);
    }
    for (; i < pod->container_count; i++) {
        if (may_begin(&pod->containers[i]))
            container_begin(&pod->containers[i]);
    }
}

/* Sidecars are restarted also while a later one has not come up. */
static void start_sidecars(struct pod *pod)
{
    for (unsigned i = 0; pod->initialized && i < pod->container_count; i++) {
        struct container *c = &pod->containers[i];

        if (c->kind == RESTART_SIDECAR && may_begin(c))
            container_begin(c);
    }
}

/* ---- the end ---- */

static uint64_t left_ms(const struct pod *pod)
{
    uint64_t now = monotonic_ns();

    return pod->kill_at_ns > now ? (pod->kill_at_ns - now) / MS_NS : 0;
}

/* Sidecars have at least this, however much the others took of the pod's grace: kubelets'
 * minimumGracePeriodInSeconds. */
#define SIDECAR_LEAST_MS 2000u

/* In reverse order, each when the one before has ended, or all at once when the grace is over. */
static bool end_sidecars(struct pod *pod)
{
    uint64_t left = left_ms(pod), grace = left < SIDECAR_LEAST_MS ? SIDECAR_LEAST_MS : left;
    bool busy = false;

    for (unsigned i = pod->container_count; (!busy || !left) && i > 0; i--) {
        struct container *c = &pod->containers[i - 1];

        if (!container_is_busy(c))
            continue;
        container_stop(c, pod->at_once ? 0 : grace);
        busy = true;
    }
    return busy;
}

/* Their hooks begin with the pod's end. */
static void warn_sidecars(struct pod *pod)
{
    for (unsigned i = 0; i < pod->container_count; i++) {
        if (pod->containers[i].kind == RESTART_SIDECAR)
            container_stop_soon(&pod->containers[i], left_ms(pod));
    }
}

/* Sidecars last, when all others have ended. */
static void end_containers(struct pod *pod)
{
    uint64_t left = left_ms(pod);
    bool busy = false;

    for (unsigned i = 0; i < pod->container_count; i++) {
        struct container *c = &pod->containers[i];

        if (c->kind == RESTART_SIDECAR || !container_is_busy(c))
            continue;
        /* One whose time is just over hears of it by its own timer. */
        container_stop(c, left || pod->at_once ? left : 1);
        busy = true;
    }
    if (!pod->at_once)
        warn_sidecars(pod);
    if (!busy && !end_sidecars(pod))
        pod_ending_power_off(pod);
}

void flow_now(void *arg)
{
    struct pod *pod = arg;

    if (pod->phase != POD_RUNNING)
        return;
    flow_settle(pod);
    if (!pod->ending && flow_mains_done(pod))
        pod_ending_begin(pod, pod_ending_grace_ms(pod));
    if (pod->ending) {
        end_containers(pod);
        return;
    }
    start_sidecars(pod);
    start_more(pod);
}
