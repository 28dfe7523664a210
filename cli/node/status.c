// SPDX-License-Identifier: Apache-2.0
#include <jansson.h>
#include <string.h>

#include "cli/node/events.h"
#include "cli/node/status.h"

#define NS_PER_S 1e9

static json_t *list_problems(const struct problems *problems, const char *file, const char *pod)
{
    json_t *list = json_array();

    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *at = &problems->items[i];

        if (strcmp(at->file, file) != 0 || (pod ? strcmp(at->pod, pod) != 0 : *at->pod))
            continue;
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "reason", at->reason, "message", at->message));
    }
    return list;
}

static const struct backoff_pod *backoff_for(const struct backoff *backoff, const char *name)
{
    for (size_t i = 0; i < backoff->count; i++) {
        if (!strcmp(backoff->pods[i].name, name))
            return &backoff->pods[i];
    }
    return NULL;
}

static json_t *describe_pod(const struct status_input *input, const char *name, const char *file)
{
    const struct observed_pod *seen = observed_find(input->observed, name);
    const struct backoff_pod *state = backoff_for(input->backoff, name);
    json_t *pod = json_pack("{s:s, s:o}", "name", name, "problems",
                            list_problems(input->problems, file, name));

    if (seen && seen->file) {
        json_object_set_new(pod, "uid", json_string(seen->uid));
        json_object_set_new(pod, "phase", json_string(phase_name(seen->phase)));
        json_object_set_new(pod, "ready", json_boolean(seen->ready));
        json_object_set_new(pod, "restarts", json_integer((json_int_t)seen->restarts));
    }
    if (state && state->next_ns > input->now_ns)
        json_object_set_new(pod, "nextTrySeconds",
                            json_real((double)(state->next_ns - input->now_ns) / NS_PER_S));
    return pod;
}

static bool is_wanted(const struct wanted *wanted, size_t file, const char *name)
{
    for (size_t i = 0; i < wanted->pod_count; i++) {
        if (wanted->pods[i].file == file && !strcmp(wanted->pods[i].name, name))
            return true;
    }
    return false;
}

/* The pods that it wants, and those that are still there of what it wanted before. */
static json_t *describe_file(const struct status_input *input, size_t file)
{
    const char *name = input->wanted->files[file].name;
    json_t *pods = json_array();

    for (size_t i = 0; i < input->wanted->pod_count; i++) {
        if (input->wanted->pods[i].file == file)
            json_array_append_new(pods, describe_pod(input, input->wanted->pods[i].name, name));
    }
    for (size_t i = 0; i < input->observed->count; i++) {
        const struct observed_pod *pod = &input->observed->pods[i];

        if (pod->file && !strcmp(pod->file, name) && !is_wanted(input->wanted, file, pod->name))
            json_array_append_new(pods, describe_pod(input, pod->name, name));
    }
    return json_pack("{s:s, s:o, s:o}", "name", name, "problems",
                     list_problems(input->problems, name, NULL), "pods", pods);
}

static bool has_file(const struct wanted *wanted, const char *name)
{
    for (size_t i = 0; i < wanted->file_count; i++) {
        if (!strcmp(wanted->files[i].name, name))
            return true;
    }
    return false;
}

/* Pods of files that are gone; they are being ended. */
static json_t *list_orphans(const struct status_input *input)
{
    json_t *list = json_array();

    for (size_t i = 0; i < input->observed->count; i++) {
        const struct observed_pod *pod = &input->observed->pods[i];

        if (pod->file && !has_file(input->wanted, pod->file))
            json_array_append_new(list, describe_pod(input, pod->name, pod->file));
    }
    return list;
}

char *status_format(const struct status_input *input)
{
    json_t *files = json_array(), *root;
    char at[TIME_BYTES], *text;

    for (size_t i = 0; i < input->wanted->file_count; i++)
        json_array_append_new(files, describe_file(input, i));
    time_text(realtime_ns(), at);
    root = json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s, s:f}}", "node", input->node, "manifests",
                     input->directory, "problems", list_problems(input->problems, "", NULL),
                     "files", files, "podsWithoutFile", list_orphans(input), "lastReconcile",
                     "finishedAt", at, "seconds", (double)input->took_ns / NS_PER_S);
    text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}
