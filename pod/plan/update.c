// SPDX-License-Identifier: Apache-2.0
/*
 * Changes while a pod runs: which fields may change is pod/manifest's to say; what is to be done is
 * the difference of the two plans. No state.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "pod/manifest/change.h"
#include "pod/plan/part.h"
#include "pod/plan/payload.h"

static int list_changes(const struct plan_input *old, const struct plan_input *now,
                        struct plan_changes *changes, struct husk_error *err)
{
    json_t *objects;
    int ret = change_of_pod(old->pod, now->pod, &changes->changed, err);

    if (ret)
        return ret;
    ret = change_of_objects(old->objects, now->objects, &objects, err);
    if (ret)
        return ret;
    if (json_array_extend(changes->changed, objects))
        ret = plan_no_memory(err);
    json_decref(objects);
    return ret;
}

/* Of what does not fit into the machine, the first change that wants more. */
static int blame(const struct plan_changes *changes, const struct husk_error *inner,
                 struct husk_error *err)
{
    const char *where = inner->where;
    const json_t *path;
    size_t index;

    json_array_foreach(changes->changed, index, path)
    {
        if (strstr(json_string_value(path), "resources")) {
            where = json_string_value(path);
            break;
        }
    }
    return error_set(err, EEXIST, where, "cannot be changed while the pod runs", "%s", inner->why);
}

static int update_containers(const struct pod_plan *before, const struct pod_plan *plan,
                             struct plan_changes *changes, struct husk_error *err)
{
    int ret = 0;

    for (unsigned i = 0; i < plan->container_count && !ret; i++) {
        const struct plan_container *container = &plan->containers[i];

        if (json_equal(before->containers[i].resources, container->resources))
            continue;
        ret = plan_append(changes->updates,
                          json_pack("{s:s, s:s, s:{s:s, s:O}}", "container", container->name,
                                    "method", "update", "params", "container", container->name,
                                    "resources", container->resources),
                          err);
    }
    return ret;
}

/* The volumes are the same ones: their kinds cannot change. */
static int update_volumes(const struct pod_plan *before, const struct pod_plan *plan,
                          struct plan_changes *changes, struct husk_error *err)
{
    const json_t *payload;
    size_t index;
    int ret = 0;

    json_array_foreach(plan->payloads, index, payload)
    {
        if (!ret)
            ret = payload_change(json_array_get(before->payloads, index), payload,
                                 changes->requests, err);
    }
    return ret;
}

/* The new plan, where the machine has room for it. */
static int build_now(const struct plan_input *now, struct pod_plan *plan,
                     const struct plan_changes *changes, struct husk_error *err)
{
    struct husk_error inner = {.code = 0};
    int ret = plan_build(now, plan, &inner);

    if (ret == -ENOSPC)
        return blame(changes, &inner, err);
    if (ret && err)
        *err = inner;
    return ret;
}

int plan_update(const struct plan_input *old, const struct plan_input *now, struct pod_plan *plan,
                struct plan_changes *changes, struct husk_error *err)
{
    struct plan_input was = *old;
    struct pod_plan before = {.machine = NULL};
    int ret;

    memset(plan, 0, sizeof(*plan));
    *changes = (struct plan_changes){.requests = json_array(), .updates = json_array()};
    was.memory_bytes = now->memory_bytes;
    was.vcpus = now->vcpus;
    ret = changes->requests && changes->updates ? list_changes(old, now, changes, err)
                                                : plan_no_memory(err);
    if (!ret)
        ret = plan_build(&was, &before, err);
    if (!ret)
        ret = build_now(now, plan, changes, err);
    if (!ret)
        ret = update_containers(&before, plan, changes, err);
    if (!ret)
        ret = update_volumes(&before, plan, changes, err);
    plan_clear(&before);
    if (ret) {
        plan_clear(plan);
        plan_changes_clear(changes);
    }
    return ret;
}

void plan_changes_clear(struct plan_changes *changes)
{
    json_decref(changes->changed);
    json_decref(changes->requests);
    json_decref(changes->updates);
    *changes = (struct plan_changes){.changed = NULL};
}
