// SPDX-License-Identifier: Apache-2.0
/* A pod in a line: see status.h. */
#include "cli/pods/status.h"

#include <stdio.h>
#include <string.h>

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value > 0 ? (uint64_t)value : 0;
}

static bool is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static const json_t *state_of(const json_t *status, const char *kind)
{
    return json_object_get(json_object_get(status, "state"), kind);
}

/* Whether the init container of this name is to go on running beside the others. */
static bool is_sidecar(const json_t *pod, const char *name)
{
    const json_t *all = json_object_get(json_object_get(pod, "spec"), "initContainers");
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)all, i, one)
    {
        if (!strcmp(text(one, "name"), name))
            return !strcmp(text(one, "restartPolicy"), "Always");
    }
    return false;
}

bool pod_condition(const json_t *pod, const char *type)
{
    const json_t *all = json_object_get(json_object_get(pod, "status"), "conditions");
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)all, i, one)
    {
        if (!strcmp(text(one, "type"), type))
            return !strcmp(text(one, "status"), "True");
    }
    return false;
}

/* ---- the columns ---- */

static void set_status(struct pod_summary *out, const char *before, const char *words)
{
    snprintf(out->status, sizeof(out->status), "%s%s", before, words);
}

/* How one that has ended is called. */
static void set_ended(struct pod_summary *out, const char *before, const json_t *ended)
{
    const char *reason = text(ended, "reason");
    char words[64];

    if (!reason[0] && number(ended, "signal"))
        snprintf(words, sizeof(words), "Signal:%llu", (unsigned long long)number(ended, "signal"));
    else if (!reason[0])
        snprintf(words, sizeof(words), "ExitCode:%llu",
                 (unsigned long long)number(ended, "exitCode"));
    set_status(out, before, reason[0] ? reason : words);
}

static void count_restarts(struct pod_summary *out, const json_t *status)
{
    const json_t *last = json_object_get(json_object_get(status, "lastState"), "terminated");
    const char *when = text(last, "finishedAt");

    out->restarts += number(status, "restartCount");
    /* Times of one form: comparing the texts compares the times. */
    if (when[0] && (!out->restarted || strcmp(when, out->restarted) > 0))
        out->restarted = when;
}

/* Whether the pod still is about its init containers, the status then being said. */
static bool sum_init(const json_t *pod, struct pod_summary *out)
{
    const json_t *status = json_object_get(pod, "status");
    const json_t *all = json_object_get(status, "initContainerStatuses");
    size_t count = json_array_size(json_object_get(json_object_get(pod, "spec"), "initContainers"));
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)all, i, one)
    {
        const json_t *ended = state_of(one, "terminated"), *waiting = state_of(one, "waiting");
        bool sidecar = is_sidecar(pod, text(one, "name"));
        char words[64];

        count_restarts(out, one);
        if (sidecar && is_true(one, "started")) {
            out->ready += is_true(one, "ready");
            continue;
        }
        if (ended && !number(ended, "exitCode"))
            continue;
        if (ended) {
            set_ended(out, "Init:", ended);
        } else if (waiting && text(waiting, "reason")[0] &&
                   strcmp(text(waiting, "reason"), "PodInitializing") != 0) {
            set_status(out, "Init:", text(waiting, "reason"));
        } else {
            snprintf(words, sizeof(words), "%zu/%zu", i, count);
            set_status(out, "Init:", words);
        }
        return true;
    }
    return false;
}

static void sum_main(const json_t *pod, struct pod_summary *out)
{
    const json_t *all = json_object_get(json_object_get(pod, "status"), "containerStatuses");
    bool some_run = false;

    for (size_t i = json_array_size(all); i-- > 0;) {
        const json_t *one = json_array_get(all, i);
        const json_t *ended = state_of(one, "terminated"), *waiting = state_of(one, "waiting");

        count_restarts(out, one);
        if (waiting && text(waiting, "reason")[0]) {
            set_status(out, "", text(waiting, "reason"));
        } else if (ended) {
            set_ended(out, "", ended);
        } else if (is_true(one, "ready") && state_of(one, "running")) {
            out->ready++;
            some_run = true;
        }
    }
    /* One that is done beside one that works does not make the pod done. */
    if (some_run && !strcmp(out->status, "Completed"))
        set_status(out, "", pod_condition(pod, "Ready") ? "Running" : "NotReady");
}

void pod_summary(const json_t *pod, struct pod_summary *out)
{
    const json_t *metadata = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
    const json_t *status = json_object_get(pod, "status");
    const json_t *init = json_object_get(spec, "initContainers");
    const char *created = text(metadata, "creationTimestamp");
    json_t *one;
    size_t i;

    *out = (struct pod_summary){
        .name = text(metadata, "name"),
        .space = text(metadata, "namespace"),
        .phase = text(status, "phase"),
        .ip = text(status, "podIP"),
        .created = created[0] ? created : NULL,
        .containers = (unsigned)json_array_size(json_object_get(spec, "containers")),
    };
    if (!out->space[0])
        out->space = "default";
    json_array_foreach((json_t *)init, i, one)
    {
        out->containers += !strcmp(text(one, "restartPolicy"), "Always");
    }
    set_status(out, "", text(status, "reason")[0] ? text(status, "reason") : out->phase);
    if (!sum_init(pod, out) || pod_condition(pod, "Initialized"))
        sum_main(pod, out);
    if (text(metadata, "deletionTimestamp")[0])
        set_status(out, "", "Terminating");
}

/* ---- whether it comes up ---- */

/* Reasons of waiting in which nothing has failed yet. */
static bool is_patient(const char *reason)
{
    return !reason[0] || !strcmp(reason, "ContainerCreating") || !strcmp(reason, "PodInitializing");
}

/* "container NAME: REASON: MESSAGE" of what there is of these. */
static void say(char why[PROGRESS_BYTES], const char *name, const char *reason, const char *message)
{
    snprintf(why, PROGRESS_BYTES, "%s%s%s%s%s%s", name[0] ? "container " : "", name,
             name[0] && (reason[0] || message[0]) ? ": " : "", reason,
             reason[0] && message[0] ? ": " : "", message);
}

/* Goes through the containers of a list. */
struct look {
    const json_t *pod;
    bool init;                /* they are init containers */
    bool ran;                 /* one of them has been started */
    enum pod_progress worst;  /* of all */
    char why[PROGRESS_BYTES]; /* of the first of the worst */
};

static enum pod_progress look_at(struct look *look, const json_t *one, char why[PROGRESS_BYTES])
{
    const json_t *waiting = state_of(one, "waiting"), *ended = state_of(one, "terminated");
    const json_t *last = json_object_get(json_object_get(one, "lastState"), "terminated");
    bool ran = text(last, "startedAt")[0] != '\0';
    const char *name = text(one, "name");
    char words[64];

    look->ran |= state_of(one, "running") || text(ended, "startedAt")[0] || ran;
    if (ended && text(ended, "startedAt")[0]) {
        if (!look->init || !number(ended, "exitCode"))
            return POD_UP;
        snprintf(words, sizeof(words), "it has ended with %llu",
                 (unsigned long long)number(ended, "exitCode"));
        say(why, name, text(ended, "reason"), words);
        return POD_STUCK;
    }
    if (ended) {
        say(why, name, text(ended, "reason"), text(ended, "message"));
        return POD_STUCK;
    }
    /* It has been started, and has ended since: it may do so before another one is started. */
    if (waiting && !look->init && ran)
        return POD_UP;
    if (waiting) {
        say(why, name, text(waiting, "reason"), text(waiting, "message"));
        return is_patient(text(waiting, "reason")) ? POD_COMING : POD_STUCK;
    }
    say(why, name, "", look->init ? "it has not ended yet" : "");
    if (look->init && !(is_sidecar(look->pod, name) && is_true(one, "started")))
        return POD_COMING;
    return POD_UP;
}

static void look_at_all(struct look *look, const json_t *all)
{
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)all, i, one)
    {
        char words[PROGRESS_BYTES] = "";
        enum pod_progress here = look_at(look, one, words);

        if (here == look->worst || here == POD_UP || look->worst == POD_STUCK)
            continue;
        look->worst = here;
        memcpy(look->why, words, sizeof(words));
    }
}

enum pod_progress pod_progress(const json_t *pod, char why[PROGRESS_BYTES], bool *ran)
{
    const json_t *status = json_object_get(pod, "status");
    const json_t *all = json_object_get(status, "containerStatuses");
    const char *phase = text(status, "phase");
    struct look init = {.pod = pod, .init = true, .worst = POD_UP};
    struct look rest = {.pod = pod, .worst = json_array_size(all) ? POD_UP : POD_COMING};

    look_at_all(&init, json_object_get(status, "initContainerStatuses"));
    look_at_all(&rest, all);
    *ran = init.ran || rest.ran;
    memcpy(why, init.worst != POD_UP ? init.why : rest.why, PROGRESS_BYTES);
    if (!strcmp(phase, "Running") || !strcmp(phase, "Succeeded"))
        return POD_UP;
    if (!strcmp(phase, "Failed")) {
        if (*ran && init.worst == POD_UP && rest.worst == POD_UP)
            return POD_UP;
        if (text(status, "message")[0] || text(status, "reason")[0])
            say(why, "", text(status, "reason"), text(status, "message"));
        return POD_FAILED;
    }
    return init.worst != POD_UP ? init.worst : rest.worst;
}

int pod_end_status(const json_t *pod, int otherwise)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const json_t *status = json_object_get(pod, "status");

    if (!strcmp(text(status, "phase"), "Succeeded"))
        return 0;
    for (unsigned k = 0; k < 2; k++) {
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(status, lists[k]), i, one)
        {
            uint64_t code = number(state_of(one, "terminated"), "exitCode");

            if (code)
                return code > 255 ? 255 : (int)code;
        }
    }
    return otherwise;
}
