// SPDX-License-Identifier: Apache-2.0
/*
 * The pod's machine: booting it, what its agent is asked before any container, and one that is
 * lost. See pod.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/pod.h"

/* How long a guest may take to boot; one that stops is noticed at once. */
#define BOOT_TIMEOUT_MS 120000u

/* ---- ready ---- */

static void on_prepared(void *arg, const struct husk_error *error)
{
    struct pod *pod = arg;
    char text[512];

    if (pod->phase != POD_PREPARING)
        return;
    if (error) {
        machine_lost(pod, error_format(error, text, sizeof(text)));
        return;
    }
    pod->phase = POD_RUNNING;
    usage_begin(pod);
    save_notice(pod, NULL, false, "MachineStarted", "the pod's machine runs");
    save_changed(pod);
    flow_update(pod);
}

static json_t *preparations(struct pod *pod)
{
    json_t *all = json_array();

    if (all && json_array_extend(all, pod->plan.pod) == 0 &&
        (!pod->machine_plan.requests || json_array_extend(all, pod->machine_plan.requests) == 0) &&
        json_array_extend(all, pod->plan.requests) == 0)
        return all;
    json_decref(all);
    return NULL;
}

static void on_ready(void *arg, const struct agent_hello *hello)
{
    struct pod *pod = arg;

    (void)hello;
    if (pod->phase != POD_BOOTING)
        return;
    pod->phase = POD_PREPARING;
    asking_begin(&pod->preparing, pod->agent, preparations(pod), on_prepared, pod);
}

/* ---- lost ---- */

static void on_event(void *arg, const struct agent_event *event)
{
    struct pod *pod = arg;
    char text[96];

    if (event->kind != AGENT_EVENT_OOM || pod->phase != POD_RUNNING)
        return;
    for (unsigned i = 0; i < pod->container_count; i++) {
        if (strcmp(pod->containers[i].status.name, event->container) != 0)
            continue;
        snprintf(text, sizeof(text), "%llu processes in all were killed for want of memory",
                 (unsigned long long)event->kills);
        save_notice(pod, event->container, true, "OOMKilling", text);
    }
}

static void on_lost(void *arg, const struct husk_error *why)
{
    struct pod *pod = arg;
    char text[512], words[1024] = "";

    if (pod->phase >= POD_LOST)
        return;
    pod->ops->last_words(pod->machine, words, sizeof(words));
    if (words[0])
        log_error(pod->log, "supervisor", "the guest's last words: %s", words);
    machine_lost(pod, error_format(why, text, sizeof(text)));
}

static void on_stopped(void *arg, const char *why)
{
    struct pod *pod = arg;

    if (pod->phase == POD_POWER_OFF)
        event_timer_arm(pod->phase_timer, 0); /* what calls is the machine itself */
    else if (pod->phase < POD_LOST)
        machine_lost(pod, why[0] ? why : "the virtual machine has stopped");
}

void machine_release(struct pod *pod)
{
    asking_cancel(&pod->preparing);
    pod_requests_machine_gone(pod);
    agent_client_close(pod->agent); /* answers what is open */
    pod->agent = NULL;
    pod->ops->destroy(pod->machine);
    pod->machine = NULL;
    json_decref(pod->machine_plan.requests);
    json_decref(pod->machine_plan.rootfs);
    pod->machine_plan = (struct machine_plan){.requests = NULL};
    pod->state.machine_pid = 0;
}

/* Init containers have to do their work again in another machine, unless nobody needs it. */
static void forget_inits(struct pod *pod)
{
    for (unsigned i = 0; i < pod->container_count; i++) {
        if (pod->containers[i].kind == RESTART_INIT)
            pod->containers[i].status.done = false;
    }
    pod->initialized = false;
}

void machine_lost(struct pod *pod, const char *why)
{
    uint64_t delay_ns;

    if (pod->phase >= POD_LOST)
        return;
    log_error(pod->log, "supervisor", "the pod's machine is lost: %s", why);
    save_notice(pod, NULL, true, "MachineLost", why);
    delay_ns = backoff_failed(&pod->boots, pod->booted_ns ? monotonic_ns() - pod->booted_ns : 0);
    pod->phase = POD_LOST;
    for (unsigned i = 0; i < pod->container_count; i++)
        container_lost(&pod->containers[i], "MachineLost", why);
    event_timer_arm(pod->phase_timer, 0); /* what calls may be the machine itself, or its agent */
    pod->boot_at_ns = monotonic_ns() + delay_ns;
    pod->just_lost = true;
}

/* From the loop: the rest of it. */
void machine_after_loss(struct pod *pod)
{
    uint64_t now;

    if (pod->just_lost) {
        pod->just_lost = false;
        machine_release(pod);
        flow_settle(pod);
        if (pod->phase != POD_LOST) /* an init container was not to fail */
            return;
        if (pod->ending || flow_mains_done(pod)) {
            pod->ending = true;
            pod_ending_network_down(pod);
            return;
        }
        forget_inits(pod);
        save_changed(pod);
    }
    now = monotonic_ns();
    if (now < pod->boot_at_ns)
        event_timer_arm(pod->phase_timer, pod->boot_at_ns - now);
    else
        machine_boot(pod);
}

/* ---- boot ---- */

static int start_machine(struct pod *pod, struct husk_error *err)
{
    struct machine_image images[IMAGES_MAX];
    struct machine_request request = {.name = pod->record.key,
                                      .id = pod->record.uid,
                                      .options = pod->plan.machine,
                                      .store = pod->record.store[0] ? pod->record.store : NULL,
                                      .images = images,
                                      .image_count = pod->images.count};
    int ret;

    for (unsigned i = 0; i < pod->images.count && i < IMAGES_MAX; i++) {
        const struct image_config *config = &pod->images.list[i].config;

        images[i] = (struct machine_image){.layers = config->diff_ids,
                                           .layer_count = config->diff_id_count};
    }
    pod->plan.machine->network = pod->network_result->machine;
    /* One that a machine was cut off from is never mounted again. */
    (void)unlinkat(pod->entry->dir, "scratch.img", 0);
    pod->host = (struct machine_host){.loop = pod->loop,
                                      .log = pod->log,
                                      .dir = pod->entry->dir,
                                      .path = pod->entry->path,
                                      .stopped = on_stopped,
                                      .arg = pod};
    ret = pod->ops->start(&request, &pod->host, &pod->machine, &pod->machine_plan, err);
    if (ret == 0)
        pod->state.machine_pid = pod->ops->pid(pod->machine);
    return ret;
}

void machine_boot(struct pod *pod)
{
    const struct agent_client_callbacks callbacks = {
        .ready = on_ready, .event = on_event, .lost = on_lost, .arg = pod};
    struct husk_error error;
    char text[512];
    int ret;

    pod->phase = POD_BOOTING;
    pod->booted_ns = monotonic_ns();
    ret = start_machine(pod, &error);
    if (ret == 0)
        ret = agent_client_open(pod->loop, pod->ops->connector(pod->machine), BOOT_TIMEOUT_MS,
                                &callbacks, &pod->agent, &error);
    if (ret)
        machine_lost(pod, error_format(&error, text, sizeof(text)));
    save_changed(pod);
}
