// SPDX-License-Identifier: Apache-2.0
/*
 * What a manifest has changed of a pod. One that does not run is written down anew; of one that
 * runs its supervisor changes what can be changed in place, and nothing when something cannot.
 */
#include <errno.h>

#include "base/error.h"
#include "pod/lib/pods.h"
#include "pod/lib/publish.h"
#include "pod/manifest/change.h"

static int change_running(const struct entry *pod, const char *name,
                          const struct pod_record *record, struct husk_error *err)
{
    struct control_client *client = NULL;
    char file[POD_APPLY_BYTES];
    int ret = pods_connect(pod, name, &client, err);

    if (!ret)
        ret = pod_apply_prepare(pod, record, file, err);
    if (!ret) {
        ret = control_client_call(client, "apply", json_pack("{s:s}", "file", file), NULL, err);
        if (ret)
            pod_apply_drop(pod, file);
    }
    control_client_close(client);
    return ret;
}

/* What differs, in *changed, also with -EEXIST of change_of_pod(). */
static int compare(const struct pod_record *record, const json_t *wanted, const json_t *objects,
                   json_t **changed, struct husk_error *err)
{
    json_t *more = NULL;
    int refused = change_of_pod(record->pod, wanted, changed, err);
    int ret = change_of_objects(record->objects, objects, &more, err);

    if (refused && refused != -EEXIST)
        ret = refused;
    if (!ret && *changed && json_array_extend(*changed, more))
        ret = error_set(err, ENOMEM, "", "cannot compare the pod", NULL);
    json_decref(more);
    return ret ? ret : refused;
}

/* The record as it is to be. */
static void replace(struct pod_record *record, const json_t *wanted, const json_t *objects)
{
    json_decref(record->pod);
    json_decref(record->objects);
    record->pod = json_incref((json_t *)wanted);
    record->objects = json_incref((json_t *)objects);
}

static int apply(struct entry *pod, const char *name, const json_t *manifest, const json_t *objects,
                 json_t **changed, struct husk_error *err)
{
    struct pod_record record = {.uid = ""};
    bool alive = !pod_is_over(pod);
    json_t *wanted = NULL;
    int ret = pod_load_record(pod, &record, err);

    if (!ret)
        ret = publish_again(record.pod, manifest, &wanted, err);
    if (!ret) {
        ret = compare(&record, wanted, objects, changed, err);
        if (ret == -EEXIST && !alive)
            ret = 0; /* of a pod that does not run everything may be changed */
    }
    if (!ret && json_array_size(*changed)) {
        replace(&record, wanted, objects);
        ret = alive ? change_running(pod, name, &record, err) : pod_save_record(pod, &record, err);
    }
    json_decref(wanted);
    pod_record_clear(&record);
    return ret;
}

int husk_pod_apply(struct husk_pods *pods, const struct husk_manifest *manifest, unsigned index,
                   char **changed, struct husk_error *err)
{
    json_t *objects = NULL, *fields = NULL;
    struct entry *pod = NULL;
    const char *name;
    int ret = pods_check_index(manifest, index, err);

    if (ret)
        return ret;
    name = husk_manifest_pod_name(manifest, index);
    ret = pods_find(pods, name, &pod, err);
    if (!ret)
        ret = manifest_objects(manifest, index, &objects, err);
    if (!ret)
        ret = apply(pod, name, manifest_pod(manifest, index), objects, &fields, err);
    entry_close(pod);
    json_decref(objects);
    if (ret) {
        json_decref(fields);
        return ret;
    }
    return pods_text(fields, changed, err);
}
