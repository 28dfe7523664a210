// SPDX-License-Identifier: Apache-2.0
/*
 * The request "apply": what has been changed of a pod's description is put to work while it runs.
 * pod/plan says what that takes, or that it cannot be done; the record is replaced before anything
 * is, so that whoever starts the pod anew does so with what was promised.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pod/pods/requests.h"

struct applying {
    struct plan_input old, now;
    struct life_words old_words, now_words;
    struct pod_record record;
    struct pod_plan plan;
    struct plan_changes changes;
};

/* What the record says besides its Pod object and objects stays. */
static int read_new(struct pod *pod, const char *file, struct pod_record *out,
                    struct husk_error *err)
{
    struct pod_record read;
    int ret = pod_load_record_of(pod->entry, file, &read, err);

    if (ret)
        return ret;
    if (strcmp(read.key, pod->record.key) != 0) {
        pod_record_clear(&read);
        return error_set(err, EINVAL, read.key, "is another pod", "this one is %s",
                         pod->record.key);
    }
    *out = pod->record;
    out->pod = read.pod;
    out->objects = read.objects;
    return 0;
}

static void on_answer(void *arg, const json_t *result, const struct husk_error *error)
{
    struct pod *pod = arg;
    char text[512];

    (void)result;
    if (error && pod->phase == POD_RUNNING)
        log_error(pod->log, "supervisor", "a change is not in effect: %s",
                  error_format(error, text, sizeof(text)));
}

static void ask(struct pod *pod, const json_t *request)
{
    struct husk_error error;

    if (agent_client_call(pod->agent, json_string_value(json_object_get(request, "method")),
                          json_incref(json_object_get(request, "params")), AGENT_CLIENT_TIMEOUT_MS,
                          on_answer, pod, &error))
        on_answer(pod, NULL, &error);
}

static const struct container *find(const struct pod *pod, const char *name)
{
    for (unsigned i = 0; name && i < pod->container_count; i++) {
        if (!strcmp(pod->containers[i].status.name, name))
            return &pod->containers[i];
    }
    return NULL;
}

static void bring_about(struct pod *pod, const struct plan_changes *changes)
{
    size_t index;
    json_t *one;

    if (pod->phase != POD_RUNNING) /* what boots has it */
        return;
    json_array_foreach(changes->requests, index, one)
    {
        ask(pod, one);
    }
    json_array_foreach(changes->updates, index, one)
    {
        const struct container *c = find(pod, json_string_value(json_object_get(one, "container")));

        if (c && c->made && c->step >= STEP_STARTING && c->step <= STEP_STOPPING)
            ask(pod, one);
    }
}

/* The new Pod object takes the old one's place. Nobody but the containers points into it, who keep
 * it as long as they do. */
static void take_over(struct pod *pod, struct applying *applying)
{
    json_t *old_pod = pod->record.pod, *old_objects = pod->record.objects;

    pod->record.pod = applying->record.pod;
    pod->record.objects = applying->record.objects;
    applying->record.pod = old_pod;
    applying->record.objects = old_objects;
    for (unsigned i = 0; i < pod->container_count; i++)
        container_reread(&pod->containers[i]);
    if (pod->planned) {
        plan_clear(&pod->plan);
        pod->plan = applying->plan;
        memset(&applying->plan, 0, sizeof(applying->plan));
        pod_life_reduce(pod, &pod->plan);
    }
}

static int change(struct pod *pod, struct applying *applying, struct husk_error *err)
{
    int ret;

    if (!pod->planned)
        return error_set(err, EBUSY, pod->record.key, "cannot be changed yet",
                         "its images are not there");
    pod_life_plan_input(pod, &pod->record, &applying->old_words, &applying->old);
    pod_life_plan_input(pod, &applying->record, &applying->now_words, &applying->now);
    applying->now.memory_bytes = pod->plan.machine->memory_bytes;
    applying->now.vcpus = pod->plan.machine->vcpus;
    ret = plan_update(&applying->old, &applying->now, &applying->plan, &applying->changes, err);
    if (ret == 0)
        ret = pod_save_record(pod->entry, &applying->record, err);
    return ret;
}

static int apply(struct pod *pod, struct applying *applying, const char *file,
                 struct husk_error *err)
{
    int ret = read_new(pod, file, &applying->record, err);

    if (ret == 0 && (pod->ending || pod->phase >= POD_POWER_OFF))
        ret = error_set(err, EBUSY, pod->record.key, "cannot be changed", "it ends");
    return ret ? ret : change(pod, applying, err);
}

void apply_request(struct pod *pod, struct ticket ticket, const char *file)
{
    struct applying *applying = calloc(1, sizeof(*applying));
    struct husk_error error;

    if (!applying) {
        error_set(&error, ENOMEM, "apply", "is not possible", NULL);
        server_refuse(pod->server, ticket, &error, 0);
    } else if (apply(pod, applying, file, &error)) {
        server_refuse(pod->server, ticket, &error, 0);
    } else {
        take_over(pod, applying);
        pod_life_deadline(pod);
        bring_about(pod, &applying->changes);
        server_answer(pod->server, ticket,
                      json_pack("{s:O}", "changed", applying->changes.changed));
        save_changed(pod);
    }
    pod_apply_drop(pod->entry, file);
    if (!applying)
        return;
    json_decref(applying->record.pod);
    json_decref(applying->record.objects);
    plan_clear(&applying->plan);
    plan_changes_clear(&applying->changes);
    free(applying);
}
