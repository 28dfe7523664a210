// SPDX-License-Identifier: Apache-2.0
/* The life of a machine: see machine.h, whose invariants this file keeps. */
#include "vmm/machine.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/thread.h"
#include "vmm/confine.h"

/* ---- devices, on the I/O thread (or on the caller's while that does not run) ---- */

static void resume_devices(void *arg)
{
    struct machine *machine = arg;

    if (machine->devices_settled || machine->devices_running)
        return;
    machine->devices_running = true;
    for (struct device *device = machine->devices; device; device = device->next) {
        if (device->ops->resume)
            device->ops->resume(device);
    }
}

static void pause_devices(void *arg)
{
    struct machine *machine = arg;

    if (!machine->devices_running)
        return;
    machine->devices_running = false;
    for (struct device *device = machine->devices; device; device = device->next) {
        if (device->ops->pause)
            device->ops->pause(device);
    }
}

/* For good: a resume that was on its way comes too late. */
static void settle_devices(void *arg)
{
    struct machine *machine = arg;

    pause_devices(machine);
    machine->devices_settled = true;
}

static void *io_thread(void *arg)
{
    struct machine *machine = arg;
    struct husk_error error;
    int ret;

    thread_cpu_time_begin(&machine->io_cpu_time);
    ret = event_loop_run(machine->loop);
    thread_cpu_time_end(&machine->io_cpu_time);
    if (ret) {
        error_set(&error, -ret, "I/O thread", "cannot wait for events", NULL);
        machine_stop(machine, HUSK_STOP_MONITOR_ERROR, 0, &error);
    }
    return NULL;
}

/* ---- stopping ---- */

/* With `lock` held. */
static void kick_all(struct machine *machine)
{
    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        if (machine->vcpus[i].has_thread)
            vcpu_kick(machine->vcpus[i].vcpu, machine->vcpus[i].thread);
    }
}

void machine_stop(struct machine *machine, enum husk_stop_reason reason, uint8_t guest_status,
                  const struct husk_error *error)
{
    pthread_mutex_lock(&machine->lock);
    if (machine->end.reason == HUSK_STOP_NONE) {
        timeline_mark(&machine->timeline, TIMELINE_STOPPED);
        machine->end.reason = reason;
        machine->end.guest_status = guest_status;
        if (error)
            machine->end.error = *error;
        machine->command = MACHINE_QUIT;
        kick_all(machine);
        pthread_cond_broadcast(&machine->changed);
    }
    pthread_mutex_unlock(&machine->lock);
}

/* The last vCPU has left: let device I/O come to rest, then tell the host. */
static void finish(struct machine *machine)
{
    struct husk_event end;

    event_loop_call(machine->loop, settle_devices, machine);
    pthread_mutex_lock(&machine->lock);
    machine->state = HUSK_STATE_STOPPED;
    end = machine->end;
    pthread_cond_broadcast(&machine->changed);
    pthread_mutex_unlock(&machine->lock);
    event_queue_push(&machine->events, &end);
}

void machine_ready(struct machine *machine)
{
    const struct husk_event event = {.type = HUSK_EVENT_READY};
    bool first;

    timeline_mark(&machine->timeline, TIMELINE_INIT);
    pthread_mutex_lock(&machine->lock);
    first = !machine->ready;
    machine->ready = true;
    pthread_mutex_unlock(&machine->lock);
    if (first)
        event_queue_push(&machine->events, &event);
}

/* ---- vCPU threads ---- */

/* Wait until there is guest code to run. False: quit. */
static bool go_inside(struct machine_vcpu *self)
{
    struct machine *machine = self->machine;
    bool run;

    pthread_mutex_lock(&machine->lock);
    while (machine->command == MACHINE_HOLD)
        pthread_cond_wait(&machine->changed, &machine->lock);
    run = machine->command == MACHINE_RUN;
    if (run) {
        /* Kicks so far asked for what `command` says no longer. */
        vcpu_clear_kick(self->vcpu);
        machine->inside++;
    }
    pthread_mutex_unlock(&machine->lock);
    return run;
}

static void come_outside(struct machine *machine)
{
    pthread_mutex_lock(&machine->lock);
    machine->inside--;
    pthread_cond_broadcast(&machine->changed);
    pthread_mutex_unlock(&machine->lock);
}

static void *vcpu_thread(void *arg)
{
    struct machine_vcpu *self = arg;
    struct machine *machine = self->machine;
    bool is_last;

    thread_cpu_time_begin(&self->cpu_time);
    while (go_inside(self)) {
        struct vcpu_end end;

        if (vcpu_run(self->vcpu, &end))
            machine_stop(machine, end.reason, 0, &end.error);
        come_outside(machine);
    }
    thread_cpu_time_end(&self->cpu_time);
    pthread_mutex_lock(&machine->lock);
    is_last = --machine->alive == 0;
    pthread_mutex_unlock(&machine->lock);
    if (is_last)
        finish(machine);
    return NULL;
}

/* ---- starting ---- */

static int start_threads(struct machine *machine)
{
    char name[32];
    int ret;

    /* Calls to the I/O thread may come before it gets as far as running its loop. */
    event_loop_expect_run(machine->loop, true);
    ret = thread_start_with(&machine->io_thread, "husk-io", 0,
                            confine_prologue(machine->config, SECCOMP_IO), io_thread, machine);
    if (ret) {
        event_loop_expect_run(machine->loop, false);
        return ret;
    }
    machine->has_io_thread = true;
    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        struct machine_vcpu *vcpu = &machine->vcpus[i];

        snprintf(name, sizeof(name), "husk-vcpu%u", i);
        /* They wait at `command`; `alive` is theirs to count down once all of them exist. */
        ret = thread_start_with(&vcpu->thread, name, 0,
                                confine_prologue(machine->config, SECCOMP_VCPU), vcpu_thread, vcpu);
        if (ret)
            return ret;
        vcpu->has_thread = true;
    }
    return 0;
}

static void join_threads(struct machine *machine)
{
    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        if (machine->vcpus[i].has_thread)
            pthread_join(machine->vcpus[i].thread, NULL);
        machine->vcpus[i].has_thread = false;
    }
    if (machine->has_io_thread) {
        event_loop_stop(machine->loop);
        pthread_join(machine->io_thread, NULL);
        machine->has_io_thread = false;
    }
}

void machine_join(struct machine *machine)
{
    machine_stop(machine, HUSK_STOP_HOST_REQUEST, 0, NULL);
    join_threads(machine);
}

static void set_command(struct machine *machine, enum machine_command command)
{
    pthread_mutex_lock(&machine->lock);
    machine->command = command;
    pthread_cond_broadcast(&machine->changed);
    pthread_mutex_unlock(&machine->lock);
}

static int wrong_state(struct husk_error *err, const char *what, enum husk_state state)
{
    static const char *const names[] = {"not started", "running", "paused", "stopped"};

    return error_set(err, EINVAL, "", what, "the VM is %s", names[state]);
}

/* Leave HOLD for RUN, unless a reason to stop came first. */
static bool enter_running(struct machine *machine, const struct husk_event *event)
{
    bool running;

    pthread_mutex_lock(&machine->lock);
    running = machine->end.reason == HUSK_STOP_NONE;
    if (running) {
        machine->state = HUSK_STATE_RUNNING;
        if (event)
            event_queue_push(&machine->events, event);
        machine->command = MACHINE_RUN;
        pthread_cond_broadcast(&machine->changed);
    }
    pthread_mutex_unlock(&machine->lock);
    return running;
}

/* With control_lock held. All threads or none. */
static int make_threads(struct machine *machine, struct husk_error *err)
{
    int ret;

    if (machine->has_io_thread)
        return 0;
    confine_check(machine->config, machine->log);
    machine->alive = machine->vcpu_count + 1; /* ours keeps finish() away from a failed start */
    ret = start_threads(machine);
    if (ret) {
        set_command(machine, MACHINE_QUIT);
        join_threads(machine);
        set_command(machine, MACHINE_HOLD);
        return error_set(err, -ret, "", "cannot start the VM's threads", NULL);
    }
    pthread_mutex_lock(&machine->lock);
    machine->alive--;
    pthread_mutex_unlock(&machine->lock);
    return 0;
}

int machine_make_threads(struct machine *machine, struct husk_error *err)
{
    int ret;

    pthread_mutex_lock(&machine->control_lock);
    ret = make_threads(machine, err);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

int machine_start(struct machine *machine, struct husk_error *err)
{
    int ret;

    pthread_mutex_lock(&machine->control_lock);
    if (machine_state(machine) != HUSK_STATE_CREATED) {
        ret = wrong_state(err, "cannot start the VM", machine_state(machine));
    } else {
        ret = make_threads(machine, err);
        if (!ret) {
            event_loop_call(machine->loop, resume_devices, machine);
            enter_running(machine, NULL);
        }
    }
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

/* ---- pause and resume ---- */

/* Send the vCPUs out of the guest and wait. False when the machine is stopping instead. */
static bool hold_vcpus(struct machine *machine, struct husk_error *err)
{
    bool held = false;

    pthread_mutex_lock(&machine->lock);
    if (machine->state != HUSK_STATE_RUNNING) {
        wrong_state(err, "cannot pause the VM", machine->state);
        goto out;
    }
    if (machine->command == MACHINE_RUN) {
        machine->command = MACHINE_HOLD;
        kick_all(machine);
    }
    while (machine->inside > 0 && machine->command == MACHINE_HOLD)
        pthread_cond_wait(&machine->changed, &machine->lock);
    held = machine->command == MACHINE_HOLD;
    if (!held)
        error_set(err, EINVAL, "", "cannot pause the VM", "it is stopping");
out:
    pthread_mutex_unlock(&machine->lock);
    return held;
}

int machine_pause(struct machine *machine, struct husk_error *err)
{
    const struct husk_event event = {.type = HUSK_EVENT_PAUSED};
    int ret = 0;

    pthread_mutex_lock(&machine->control_lock);
    if (!hold_vcpus(machine, err)) {
        ret = -EINVAL;
        goto out;
    }
    event_loop_call(machine->loop, pause_devices, machine);
    pthread_mutex_lock(&machine->lock);
    if (machine->command == MACHINE_HOLD) {
        machine->state = HUSK_STATE_PAUSED;
        event_queue_push(&machine->events, &event);
    } else {
        ret = error_set(err, EINVAL, "", "cannot pause the VM", "it is stopping");
    }
    pthread_mutex_unlock(&machine->lock);
out:
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

int machine_resume(struct machine *machine, struct husk_error *err)
{
    const struct husk_event event = {.type = HUSK_EVENT_RESUMED};
    enum husk_state state;
    int ret = 0;

    pthread_mutex_lock(&machine->control_lock);
    state = machine_state(machine);
    if (state != HUSK_STATE_PAUSED) {
        ret = wrong_state(err, "cannot resume the VM", state);
        goto out;
    }
    event_loop_call(machine->loop, resume_devices, machine);
    if (!enter_running(machine, &event))
        ret = error_set(err, EINVAL, "", "cannot resume the VM", "it is stopping");
out:
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

enum husk_state machine_state(struct machine *machine)
{
    enum husk_state state;

    pthread_mutex_lock(&machine->lock);
    state = machine->state;
    pthread_mutex_unlock(&machine->lock);
    return state;
}

int machine_check_started(struct machine *machine, const char *what, struct husk_error *err)
{
    enum husk_state state = machine_state(machine);

    if (state == HUSK_STATE_RUNNING || state == HUSK_STATE_PAUSED)
        return 0;
    return wrong_state(err, what, state);
}
