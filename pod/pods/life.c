// SPDX-License-Identifier: Apache-2.0
/* From the pod's start to its machine: images, network, plan. See pod.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/pod.h"
#include "pod/pods/pull_secrets.h"
#include "pod/pods/restore.h"

const json_t *pod_spec(const struct pod *pod)
{
    return json_object_get(pod->record.pod, "spec");
}

/* ---- plan ---- */

static struct spec_words words_of(const char **out, const char *texts, size_t size, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        out[i] = texts + i * size;
    return (struct spec_words){.words = out, .count = count};
}

void pod_life_plan_input(struct pod *pod, const struct pod_record *record, struct life_words *words,
                         struct plan_input *input)
{
    const struct pod_network_result *result = pod->network_result;
    const struct pod_network_dns *dns = &result->dns;
    char name[256] = "";

    (void)gethostname(name, sizeof(name) - 1);
    snprintf(words->node, sizeof(words->node), "%s", name);
    for (unsigned i = 0; i < pod->images.count; i++)
        words->images[i] = (struct plan_image){.reference = pod->images.list[i].reference,
                                               .config = &pod->images.list[i].config};
    *input = (struct plan_input){
        .pod = record->pod,
        .objects = record->objects,
        .uid = record->uid,
        .images = words->images,
        .image_count = pod->images.count,
        .addresses =
            words_of(words->addresses, result->ips[0], sizeof(result->ips[0]), result->ip_count),
        .nameservers = words_of(words->nameservers, dns->servers[0], sizeof(dns->servers[0]),
                                dns->server_count),
        .searches = words_of(words->searches, dns->searches[0], sizeof(dns->searches[0]),
                             dns->search_count),
        .resolver_options =
            words_of(words->options, dns->options[0], sizeof(dns->options[0]), dns->option_count),
        .host_addresses = words_of(words->host, result->host_ip, sizeof(result->host_ip),
                                   result->host_ip[0] != '\0'),
        .node_name = words->node,
        .kernel = record->kernel,
        .host_memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
        .host_cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
    };
}

void pod_life_reduce(const struct pod *pod, const struct pod_plan *plan)
{
    for (unsigned i = 0; pod->ops->reduce && i < plan->container_count; i++)
        pod->ops->reduce(plan->containers[i].create);
}

static int make_plan(struct pod *pod, struct husk_error *err)
{
    struct life_words *words = calloc(1, sizeof(*words));
    struct plan_input input;
    int ret;

    if (!words)
        return error_set(err, ENOMEM, pod->record.key, "cannot be planned", NULL);
    pod_life_plan_input(pod, &pod->record, words, &input);
    ret = plan_build(&input, &pod->plan, err);
    free(words);
    if (ret == 0) {
        pod->planned = true;
        pod_life_reduce(pod, &pod->plan);
    }
    return ret;
}

static void tell_warnings(struct pod *pod)
{
    size_t index;
    json_t *one;

    json_array_foreach(pod->plan.warnings, index, one)
    {
        const char *reason = json_string_value(json_object_get(one, "reason"));
        const char *message = json_string_value(json_object_get(one, "message"));

        if (reason && message)
            save_notice(pod, NULL, true, reason, message);
    }
}

static void plan_and_boot(struct pod *pod)
{
    struct husk_error error;
    char text[512];

    if (make_plan(pod, &error)) {
        pod_ending_fail(pod, "CreateContainerConfigError", error_format(&error, text, sizeof(text)),
                        0);
        return;
    }
    tell_warnings(pod);
    machine_boot(pod);
}

/* ---- network ---- */

static void on_network(void *arg, const struct husk_error *error)
{
    struct pod *pod = arg;
    uint64_t delay_ns;
    char text[512];

    if (pod->phase == POD_NETWORK_DOWN) {
        pod_ending_network_done(pod, error);
        return;
    }
    pod->network_is_up = !error;
    if (pod->ending) {
        pod_ending_network_down(pod);
    } else if (error) {
        error_format(error, text, sizeof(text));
        log_error(pod->log, "supervisor", "%s", text);
        save_notice(pod, NULL, true, "FailedCreatePodSandBox", text);
        pod_life_set_waiting(pod, "FailedCreatePodSandBox", text);
        delay_ns = backoff_failed(&pod->boots, 0);
        event_timer_arm(pod->phase_timer,
                        delay_ns > BACKOFF_FIRST_NS ? delay_ns : BACKOFF_FIRST_NS);
        save_changed(pod);
    } else {
        pod->boots = (struct backoff){.next_ns = 0};
        pod_life_set_waiting(pod, "", "");
        plan_and_boot(pod);
        save_changed(pod);
    }
}

void pod_life_network(struct pod *pod)
{
    struct husk_error error;
    int ret;

    pod->phase = POD_NETWORK;
    *pod->network_result = (struct pod_network_result){.ip_count = 0};
    ret = network_worker_up(&pod->network);
    if (ret) {
        error_set(&error, -ret, pod->record.key, "has no network", NULL);
        on_network(pod, &error);
    }
}

/* ---- images ---- */

/* Why containers that have never been made are not. "": as long as all goes well. */
void pod_life_set_waiting(struct pod *pod, const char *reason, const char *message)
{
    bool inits = pod->containers[0].kind != RESTART_MAIN;

    for (unsigned i = 0; i < pod->container_count; i++) {
        struct container_status *status = &pod->containers[i].status;

        if (status->phase != CONTAINER_WAITING)
            continue;
        snprintf(status->reason, sizeof(status->reason), "%s",
                 reason[0] ? reason
                 : inits   ? "PodInitializing"
                           : "ContainerCreating");
        snprintf(status->message, sizeof(status->message), "%s", message);
    }
}

static void on_image(void *arg, unsigned index, const char *reason, const char *message)
{
    struct pod *pod = arg;
    const struct pod_image *image = &pod->images.list[index];
    bool inits = pod->containers[0].kind != RESTART_MAIN;

    for (unsigned i = 0; i < pod->container_count; i++) {
        struct container_status *status = &pod->containers[i].status;

        if (strcmp(status->image, image->reference) != 0)
            continue;
        snprintf(status->image_id, sizeof(status->image_id), "%s", image->id);
        snprintf(status->reason, sizeof(status->reason), "%s",
                 image->reason[0] ? image->reason
                 : inits          ? "PodInitializing"
                                  : "ContainerCreating");
        snprintf(status->message, sizeof(status->message), "%s", image->message);
    }
    if (reason)
        save_notice(pod, NULL, image->reason[0] != '\0', reason, message);
    save_changed(pod);
}

static void on_all_images(void *arg)
{
    struct pod *pod = arg;

    if (pod->phase == POD_IMAGES)
        pod_life_network(pod);
}

/* ---- the start ---- */

static void on_deadline(void *arg)
{
    struct pod *pod = arg;

    pod_ending_fail(pod, "DeadlineExceeded",
                    "Pod was active on the node longer than the specified deadline",
                    pod_ending_grace_ms(pod));
}

static void on_kill(void *arg)
{
    struct pod *pod = arg;

    if (pod->phase != POD_RUNNING)
        return;
    log_error(pod->log, "supervisor",
              "containers did not end by SIGKILL: the machine is turned off");
    pod_ending_power_off(pod);
}

static int make_timers(struct pod *pod)
{
    const struct {
        event_call_fn fn;
        struct event_timer **timer;
    } timers[] = {{pod_ending_timer, &pod->phase_timer}, {on_kill, &pod->kill_timer},
                  {on_deadline, &pod->deadline_timer},   {usage_look, &pod->usage_timer},
                  {flow_now, &pod->flow_timer},          {save_again, &pod->save_timer}};
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < sizeof(timers) / sizeof(timers[0]); i++)
        ret = event_loop_add_timer(pod->loop, timers[i].fn, pod, timers[i].timer);
    return ret;
}

static int make_network(struct pod *pod, struct husk_error *err)
{
    const json_t *metadata = json_object_get(pod->record.pod, "metadata");

    pod->network_request = calloc(1, sizeof(*pod->network_request));
    pod->network_result = calloc(1, sizeof(*pod->network_result));
    if (!pod->network_request || !pod->network_result)
        return error_set(err, ENOMEM, pod->record.key, "cannot be supervised", NULL);
    snprintf(pod->name, sizeof(pod->name), "%s",
             json_string_value(json_object_get(metadata, "name")));
    snprintf(pod->space, sizeof(pod->space), "%s",
             json_string_value(json_object_get(metadata, "namespace")));
    *pod->network_request = (struct pod_network_request){
        .id = pod->record.uid,
        .name = pod->name,
        .space = pod->space,
        .mode = pod->record.network,
        .dir = pod->entry->dir,
    };
    pod->network = (struct network_worker){.loop = pod->loop,
                                           .request = pod->network_request,
                                           .result = pod->network_result,
                                           .dir = pod->entry->dir,
                                           .done = on_network,
                                           .arg = pod};
    return pod_network_read(pod->record.pod, pod->network_request, err);
}

static int make_containers(struct pod *pod)
{
    size_t count = json_array_size(json_object_get(pod_spec(pod), "initContainers")) +
                   json_array_size(json_object_get(pod_spec(pod), "containers"));
    int ret = 0;

    pod->containers = calloc(count, sizeof(*pod->containers));
    if (!pod->containers)
        return -ENOMEM;
    pod->container_count = (unsigned)count;
    for (unsigned i = 0; ret == 0 && i < count; i++)
        ret = container_init(pod, &pod->containers[i], i);
    return ret;
}

int pod_life_create(struct pod *pod, struct husk_error *err)
{
    int ret = make_timers(pod);

    pod->policy =
        restart_policy_of(json_string_value(json_object_get(pod_spec(pod), "restartPolicy")));
    pod->images = (struct images){.loop = pod->loop,
                                  .store = pod->record.store,
                                  .changed = on_image,
                                  .all_there = on_all_images,
                                  .arg = pod};
    if (ret == 0)
        ret = asking_create(&pod->preparing, pod->loop);
    if (ret == 0)
        ret = make_containers(pod);
    if (ret == 0)
        ret = images_create(&pod->images, pod->record.pod);
    return ret ? error_set(err, -ret, pod->record.key, "cannot be supervised", NULL)
               : make_network(pod, err);
}

void pod_life_deadline(struct pod *pod)
{
    const json_t *deadline = json_object_get(pod_spec(pod), "activeDeadlineSeconds");
    uint64_t at, now = monotonic_ns();

    if (!json_is_integer(deadline)) {
        event_timer_disarm(pod->deadline_timer);
        return;
    }
    at = pod->begun_ns + (uint64_t)json_integer_value(deadline) * 1000 * MS_NS;
    event_timer_arm(pod->deadline_timer, at > now ? at - now : 0);
}

static void warn_of_secret(void *arg, const char *line)
{
    struct pod *pod = arg;

    log_warn(pod->log, "supervisor", "%s", line);
    save_notice(pod, NULL, true, "FailedToRetrieveImagePullSecret", line);
}

void pod_life_begin(struct pod *pod)
{
    restore_last(pod);
    pod->started_ns = process_now_ns();
    pod->begun_ns = monotonic_ns();
    pod_life_deadline(pod);
    save_changed(pod);
    if (pull_secrets_read(pod_spec(pod), json_object_get(pod->record.objects, "secrets"),
                          &pod->images.auths, warn_of_secret, pod))
        log_error(pod->log, "supervisor", "memory is short: image pull secrets are left out");
    images_begin(&pod->images);
}
