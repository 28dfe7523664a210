// SPDX-License-Identifier: Apache-2.0
/* Pods as objects of Kubernetes' API: description, status, and lists by labels. */
#include <errno.h>
#include <string.h>

#include "base/calendar.h"
#include "base/error.h"
#include "pod/lib/pods.h"
#include "pod/manifest/selector.h"

/* "2026-11-29T02:00:00Z" */
static json_t *time_of(uint64_t since_1970_ns)
{
    struct calendar date;

    calendar_utc((int64_t)(since_1970_ns / 1000000000), &date);
    return json_sprintf("%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)date.year, date.month, date.day,
                        date.hour, date.minute, date.second);
}

/* The Pod object and its status in one. What is not changed is shared. */
static json_t *join(const struct pod_record *record, const struct pod_state *state)
{
    json_t *pod = json_copy(record->pod);
    json_t *metadata = json_copy(json_object_get(record->pod, "metadata"));

    if (!pod || !metadata || json_object_set(pod, "metadata", metadata) ||
        json_object_set_new(metadata, "uid", json_string(record->uid)) ||
        json_object_set_new(metadata, "creationTimestamp", time_of(record->created_ns)) ||
        json_object_set(pod, "status", state->status)) {
        json_decref(pod);
        pod = NULL;
    }
    json_decref(metadata);
    return pod;
}

int pods_object(const struct entry *pod, json_t **out, struct husk_error *err)
{
    struct pod_record record = {.uid = ""};
    struct pod_state state = {.status = NULL};
    int ret = pod_load_state(pod, &state, err);

    if (!ret)
        ret = pod_load_record(pod, &record, err);
    if (!ret) {
        *out = join(&record, &state);
        if (!*out)
            ret = error_set(err, ENOMEM, pod->name, "cannot be described", NULL);
    }
    pod_record_clear(&record);
    pod_state_clear(&state);
    return ret;
}

int husk_pod_get(struct husk_pods *pods, const char *name, char **json, struct husk_error *err)
{
    json_t *object = NULL;
    struct entry *pod;
    int ret = pods_find(pods, name, &pod, err);

    if (ret)
        return ret;
    ret = pods_object(pod, &object, err);
    entry_close(pod);
    return ret ? ret : pods_text(object, json, err);
}

struct listing {
    const struct selector *selector;
    json_t *items;
    struct husk_error *err;
};

static int add(void *arg, struct entry *pod)
{
    struct listing *listing = arg;
    json_t *object = NULL;
    int ret = pods_object(pod, &object, listing->err);

    /* One that has just been removed, or cannot be read, does not hide the others. */
    if (ret)
        return ret == -ENOMEM ? ret : 0;
    if (selector_match(listing->selector,
                       json_object_get(json_object_get(object, "metadata"), "labels")) &&
        json_array_append(listing->items, object))
        ret = -ENOMEM;
    json_decref(object);
    return ret;
}

int husk_pods_list(struct husk_pods *pods, const char *selector, char **json,
                   struct husk_error *err)
{
    struct husk_error passing;
    struct listing listing = {.items = json_array(), .err = &passing};
    struct selector *parsed = NULL;
    int ret = listing.items ? selector_parse(selector, &parsed, err) : -ENOMEM;

    listing.selector = parsed;
    if (!ret)
        ret = entry_each(pods->store, add, &listing, err);
    selector_free(parsed);
    if (ret) {
        json_decref(listing.items);
        return ret == -ENOMEM ? error_set(err, ENOMEM, "", "cannot list the pods", NULL) : ret;
    }
    return pods_text(json_pack("{s:s, s:s, s:{}, s:o}", "apiVersion", "v1", "kind", "PodList",
                               "metadata", "items", listing.items),
                     json, err);
}
