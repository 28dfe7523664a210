// SPDX-License-Identifier: Apache-2.0
/* Reads a PodList. It is the library's, but what is in it was written by strangers: a pod that is
 * not understood is an error of the list, not a pod that does not exist. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "cli/node/names.h"
#include "cli/node/observed.h"

static const char *const phases[PHASES] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};

const char *phase_name(enum pod_phase phase)
{
    return phases[phase];
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static enum pod_phase read_phase(const char *text)
{
    for (unsigned i = 0; i < PHASES; i++) {
        if (!strcmp(phases[i], text))
            return (enum pod_phase)i;
    }
    return PHASE_UNKNOWN;
}

static enum pod_restart read_restart(const char *text)
{
    if (!strcmp(text, "Never"))
        return RESTART_NEVER;
    return !strcmp(text, "OnFailure") ? RESTART_ON_FAILURE : RESTART_ALWAYS;
}

static bool is_ready(const json_t *status)
{
    const json_t *condition;
    size_t i;

    json_array_foreach(json_object_get(status, "conditions"), i, condition)
    {
        if (!strcmp(text_of(condition, "type"), "Ready"))
            return !strcmp(text_of(condition, "status"), "True");
    }
    return false;
}

static void count_containers(const json_t *statuses, struct observed_pod *pod)
{
    const json_t *status;
    size_t i;

    json_array_foreach(statuses, i, status)
    {
        json_int_t restarts = json_integer_value(json_object_get(status, "restartCount"));

        if (json_object_get(json_object_get(status, "state"), "running"))
            pod->containers_running++;
        if (restarts > 0)
            pod->restarts += (unsigned long long)restarts;
    }
}

/* The file's name in the directory; NULL when it lies elsewhere. */
static const char *name_in(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    if (strncmp(path, directory, len) || path[len] != '/' || strchr(path + len + 1, '/'))
        return NULL;
    return path[len + 1] ? path + len + 1 : NULL;
}

static char *full_name(const json_t *metadata)
{
    const char *name = text_of(metadata, "name"), *space = text_of(metadata, "namespace");
    char *out;

    if (!*space || !strcmp(space, "default"))
        return strdup(name);
    return asprintf(&out, "%s/%s", space, name) < 0 ? NULL : out;
}

static int read_pod(const json_t *from, const char *directory, struct observed_pod *pod)
{
    const json_t *metadata = json_object_get(from, "metadata");
    const json_t *status = json_object_get(from, "status");
    const json_t *notes = json_object_get(metadata, "annotations");
    const char *file = name_in(text_of(notes, ANNOTATION_MANIFEST), directory);

    if (!*text_of(metadata, "name"))
        return -EBADMSG;
    pod->name = full_name(metadata);
    pod->uid = strdup(text_of(metadata, "uid"));
    pod->hash = strdup(text_of(notes, ANNOTATION_HASH));
    pod->reason = strdup(text_of(status, "reason"));
    pod->message = strdup(text_of(status, "message"));
    if (!pod->name || !pod->uid || !pod->hash || !pod->reason || !pod->message)
        return -ENOMEM;
    if (file && !strcmp(text_of(notes, ANNOTATION_SOURCE), SOURCE_FILE)) {
        pod->file = strdup(file);
        if (!pod->file)
            return -ENOMEM;
    }
    pod->phase = read_phase(text_of(status, "phase"));
    pod->restart = read_restart(text_of(json_object_get(from, "spec"), "restartPolicy"));
    pod->started = *text_of(status, "startTime");
    pod->stopping = *text_of(metadata, "deletionTimestamp");
    pod->ready = is_ready(status);
    count_containers(json_object_get(status, "initContainerStatuses"), pod);
    count_containers(json_object_get(status, "containerStatuses"), pod);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct observed_pod *)a)->name, ((const struct observed_pod *)b)->name);
}

static int read_items(const json_t *items, const char *directory, struct observed *out)
{
    const json_t *item;
    size_t i;
    int ret = 0;

    out->pods = calloc(max_u64(json_array_size(items), 1), sizeof(*out->pods));
    if (!out->pods)
        return -ENOMEM;
    json_array_foreach(items, i, item)
    {
        out->count = i + 1;
        ret = read_pod(item, directory, &out->pods[i]);
        if (ret)
            return ret;
    }
    qsort(out->pods, out->count, sizeof(*out->pods), by_name);
    return 0;
}

int observed_parse(const char *list, const char *directory, struct observed *out,
                   struct husk_error *err)
{
    static const char cannot_read[] = "cannot read the list of pods";
    json_t *root = json_loads(list, 0, NULL);
    const json_t *items = json_object_get(root, "items");
    int ret;

    *out = (struct observed){0};
    if (!json_is_array(items)) {
        json_decref(root);
        return error_set(err, EBADMSG, "", cannot_read, NULL);
    }
    ret = read_items(items, directory, out);
    json_decref(root);
    if (ret) {
        observed_free(out);
        return error_set(err, -ret, "", cannot_read, NULL);
    }
    return 0;
}

void observed_free(struct observed *observed)
{
    for (size_t i = 0; i < observed->count; i++) {
        struct observed_pod *pod = &observed->pods[i];

        free(pod->name);
        free(pod->uid);
        free(pod->file);
        free(pod->hash);
        free(pod->reason);
        free(pod->message);
    }
    free(observed->pods);
    *observed = (struct observed){0};
}

const struct observed_pod *observed_find(const struct observed *observed, const char *name)
{
    struct observed_pod key = {.name = (char *)name};

    if (!observed->count)
        return NULL;
    return bsearch(&key, observed->pods, observed->count, sizeof(*observed->pods), by_name);
}
