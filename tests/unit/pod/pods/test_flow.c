// SPDX-License-Identifier: Apache-2.0
/* The order in which containers start and end, with containers and an end of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "pod/pods/pod.h"

#define COUNT    6
#define GRACE_MS 30000u

static struct pod pod;
static struct container containers[COUNT];
static char done[512]; /* what was done since the last look, in words */
static uint64_t armed_ns;

static void note(const char *what, const char *name)
{
    size_t len = strlen(done);

    snprintf(done + len, sizeof(done) - len, "%s%s%s%s", len ? ", " : "", what, name[0] ? " " : "",
             name);
}

/* ---- what flow.c calls ---- */

void container_begin(struct container *container)
{
    note("begin", container->status.name);
    container->step = STEP_RUNNING;
    container->settled = container->waiting = false;
    container->status.phase = CONTAINER_RUNS;
    container->status.backs_off = false;
}

bool container_is_busy(const struct container *container)
{
    return container->step != STEP_IDLE;
}

void container_stop(struct container *container, uint64_t grace_ms)
{
    note(grace_ms ? "stop" : "kill", container->status.name);
    container->step = STEP_STOPPING;
}

void container_stop_soon(struct container *container, uint64_t grace_ms)
{
    (void)grace_ms;
    if (container->step == STEP_RUNNING && container->status.stop_signal[0])
        note("warn", container->status.name);
}

void event_timer_arm(struct event_timer *timer, uint64_t delay_ns)
{
    if (timer)
        armed_ns = delay_ns;
}

void pod_ending_begin(struct pod *which, uint64_t grace_ms)
{
    note("end", "");
    which->ending = true;
    which->kill_at_ns = monotonic_ns() + grace_ms * MS_NS;
}

void pod_ending_fail(struct pod *which, const char *reason, const char *message, uint64_t grace_ms)
{
    (void)reason;
    (void)message;
    note("fail", "");
    which->ending = true;
    which->kill_at_ns = monotonic_ns() + grace_ms * MS_NS;
}

uint64_t pod_ending_grace_ms(const struct pod *which)
{
    (void)which;
    return GRACE_MS;
}

void pod_ending_power_off(struct pod *which)
{
    note("power off", "");
    which->phase = POD_POWER_OFF;
}

void save_changed(struct pod *which)
{
    (void)which;
}

void save_notice(struct pod *which, const char *container, bool warning, const char *reason,
                 const char *message)
{
    (void)which;
    (void)container;
    (void)warning;
    (void)message;
    if (strcmp(reason, "BackOff") == 0)
        note("back off", container);
}

/* ---- the pod ---- */

enum { I1, I2, S1, S2, A, B };

static int setup(void **state)
{
    static const char *const names[COUNT] = {"i1", "i2", "s1", "s2", "a", "b"};
    static const enum restart_kind kinds[COUNT] = {RESTART_INIT,    RESTART_INIT, RESTART_SIDECAR,
                                                   RESTART_SIDECAR, RESTART_MAIN, RESTART_MAIN};

    (void)state;
    memset(&pod, 0, sizeof(pod));
    memset(containers, 0, sizeof(containers));
    pod.phase = POD_RUNNING;
    pod.containers = containers;
    pod.container_count = COUNT;
    pod.policy = RESTART_NEVER;
    for (unsigned i = 0; i < COUNT; i++) {
        containers[i].pod = &pod;
        containers[i].kind = kinds[i];
        containers[i].status.name = names[i];
        containers[i].status.kind = kinds[i];
        containers[i].step_timer = (struct event_timer *)&containers[i];
    }
    done[0] = '\0';
    armed_ns = 0;
    return 0;
}

static void turn(const char *wanted)
{
    flow_now(&pod);
    assert_string_equal(done, wanted);
    done[0] = '\0';
}

static void ends(unsigned index, int exit_code)
{
    struct container *c = &containers[index];

    c->step = STEP_IDLE;
    c->status.phase = CONTAINER_TERMINATED;
    c->status.started = false;
    c->status.end = (struct container_end){.known = true, .exit_code = exit_code, .started_ns = 1};
    c->ran_since_ns = monotonic_ns();
    c->settled = false;
}

/* All of them run. */
static void run_all(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        if (containers[i].kind == RESTART_INIT) {
            ends(i, 0);
            containers[i].status.done = true;
        } else {
            container_begin(&containers[i]);
            containers[i].status.started = true;
        }
    }
    pod.initialized = true;
    done[0] = '\0';
}

static void one_after_the_other(void **state)
{
    (void)state;
    turn("begin i1");
    turn("");
    ends(I1, 0);
    turn("begin i2");
    ends(I2, 0);
    turn("begin s1");
    turn(""); /* s1 has not come up */
    containers[S1].status.started = true;
    turn("begin s2");
    assert_false(pod.initialized);
    containers[S2].status.started = true;
    turn("begin a, begin b");
    assert_true(pod.initialized);
    turn("");
}

static void an_init_container_that_fails(void **state)
{
    (void)state;
    turn("begin i1");
    ends(I1, 3);
    turn("fail, power off");
    setup(NULL);
    pod.policy = RESTART_ON_FAILURE;
    turn("begin i1");
    ends(I1, 3);
    turn("begin i1"); /* at once */
    ends(I1, 3);
    turn("back off i1");
    assert_true(containers[I1].waiting && armed_ns == BACKOFF_FIRST_NS);
    turn("");
    containers[I1].waiting = false; /* its timer */
    turn("begin i1");
}

static void main_containers_that_end(void **state)
{
    (void)state;
    run_all();
    ends(A, 0);
    turn(""); /* Never */
    assert_true(containers[A].status.done);
    ends(B, 0);
    containers[S1].status.stop_signal[0] = 'S'; /* which has a hook */
    turn("end, warn s1, stop s2");
    turn("warn s1, stop s2");
    ends(S2, 0);
    turn("warn s1, stop s1");
    ends(S1, 143);
    turn("power off");
    turn("");
}

static void a_sidecar_is_started_again(void **state)
{
    (void)state;
    run_all();
    ends(S1, 0);
    turn("begin s1");
    assert_false(containers[S1].status.started);
    ends(S2, 1); /* also while an earlier one has not come up */
    turn("begin s2");
}

static void policies(void **state)
{
    (void)state;
    run_all();
    pod.policy = RESTART_ON_FAILURE;
    ends(A, 0);
    ends(B, 1);
    turn("begin b");
    pod.policy = RESTART_ALWAYS;
    ends(B, 0);
    turn("back off b");
    assert_true(containers[B].status.backs_off);
    assert_false(flow_mains_done(&pod));
}

static void what_could_not_be_made_is_tried_again(void **state)
{
    (void)state;
    run_all();
    ends(A, 128);
    strcpy(containers[A].status.end.reason, "CreateContainerError");
    turn("begin a"); /* though it is Never */
    ends(A, 128);
    strcpy(containers[A].status.end.reason, "CreateContainerError");
    turn("back off a");
    assert_string_equal(containers[A].status.reason, "CreateContainerError");
}

static void a_stop(void **state)
{
    (void)state;
    run_all();
    pod.policy = RESTART_ALWAYS;
    pod.ending = true;
    pod.kill_at_ns = monotonic_ns() + GRACE_MS * MS_NS;
    turn("stop a, stop b");
    ends(A, 0);
    turn("stop b"); /* and a is not started again */
    assert_false(containers[A].status.backs_off);
    ends(B, 137);
    turn("stop s2");
    ends(S2, 0);
    turn("stop s1");
    ends(S1, 0);
    turn("power off");
}

static void a_stop_without_grace(void **state)
{
    (void)state;
    run_all();
    pod.ending = pod.at_once = true;
    pod.kill_at_ns = monotonic_ns();
    turn("kill a, kill b");
    ends(A, 137);
    ends(B, 137);
    turn("kill s2, kill s1"); /* all at once: the grace is over */
}

static void nothing_is_done_without_a_machine(void **state)
{
    (void)state;
    pod.phase = POD_LOST;
    turn("");
    assert_int_equal(containers[I1].step, STEP_IDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_after_the_other, setup),
        cmocka_unit_test_setup(an_init_container_that_fails, setup),
        cmocka_unit_test_setup(main_containers_that_end, setup),
        cmocka_unit_test_setup(a_sidecar_is_started_again, setup),
        cmocka_unit_test_setup(policies, setup),
        cmocka_unit_test_setup(what_could_not_be_made_is_tried_again, setup),
        cmocka_unit_test_setup(a_stop, setup),
        cmocka_unit_test_setup(a_stop_without_grace, setup),
        cmocka_unit_test_setup(nothing_is_done_without_a_machine, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
