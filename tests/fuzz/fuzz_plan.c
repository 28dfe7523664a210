// SPDX-License-Identifier: Apache-2.0
/*
 * A pod's record of a stranger: {"pod": POD, "objects": OBJECTS}. What pod/manifest lets pass is
 * planned, twice alike, with sizes that a machine may have and requests that fit into frames; what
 * is refused leaves nothing behind. No file is opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pod/manifest/manifest.h"
#include "pod/plan/plan.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static int host_path(void *arg, const char *path, const char *type, const char *where,
                     struct plan_host_path *out, struct husk_error *err)
{
    (void)arg, (void)type;
    if (strlen(path) % 3 == 0)
        return error_set(err, ENOENT, where, "is not there", NULL);
    if (strlen(path) % 3 == 1) {
        out->kind = PLAN_HOST_DISK;
        strcpy(out->path, "/disk");
        strcpy(out->fstype, "ext4");
        return 0;
    }
    out->kind = PLAN_HOST_FILE;
    out->bytes = (uint8_t *)strdup("text");
    out->len = out->bytes ? 4 : 0;
    return 0;
}

/* Each image that the pod names, once. */
static unsigned name_images(const json_t *pod, const struct image_config *config,
                            struct plan_image *images, unsigned max)
{
    static const char *const lists[] = {"initContainers", "containers"};
    unsigned count = 0;

    for (unsigned i = 0; i < 2; i++) {
        const json_t *container;
        size_t index;

        json_array_foreach(json_object_get(json_object_get(pod, "spec"), lists[i]), index,
                           container)
        {
            if (count < max)
                images[count++] = (struct plan_image){
                    json_string_value(json_object_get(container, "image")), config};
        }
    }
    return count;
}

static void check_requests(const json_t *requests)
{
    const json_t *request;
    size_t index;

    json_array_foreach(requests, index, request)
    {
        demand(json_is_string(json_object_get(request, "method")));
        demand(json_is_object(json_object_get(request, "params")));
        demand(json_dumpb(request, NULL, 0, JSON_COMPACT) < HUSK_AGENT_FRAME_MAX);
    }
}

static void check_plan(const struct pod_plan *plan)
{
    demand(pod_machine_options_check(plan->machine, NULL) == 0);
    check_requests(plan->pod);
    check_requests(plan->requests);
    for (unsigned i = 0; i < plan->container_count; i++) {
        demand(json_dumpb(plan->containers[i].create, NULL, 0, JSON_COMPACT) <
               HUSK_AGENT_FRAME_MAX);
        check_requests(plan->containers[i].before);
        check_requests(plan->containers[i].after);
    }
}

static void plan_pod(const json_t *pod, const json_t *objects)
{
    static const char text[] = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":"
                               "[\"/x\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    struct plan_image images[PLAN_CONTAINERS_MAX];
    struct plan_input input = {.pod = pod,
                               .objects = objects,
                               .uid = "0",
                               .images = images,
                               .seccomp_directory = "/nonexistent",
                               .host_path = host_path};
    struct pod_plan plan, again;
    struct husk_error err = {.code = 0};
    struct image_config config;

    if (image_config_parse(text, strlen(text), "image", &config, NULL))
        return;
    input.image_count = name_images(pod, &config, images, PLAN_CONTAINERS_MAX);
    if (plan_build(&input, &plan, &err)) {
        demand(err.code && err.where[0] && !plan.containers && !plan.machine);
    } else {
        check_plan(&plan);
        if (plan_build(&input, &again, NULL) == 0) {
            demand(json_equal(plan.requests, again.requests));
            plan_clear(&again);
        }
        plan_clear(&plan);
    }
    image_config_clear(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *record = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *pod = json_object_get(record, "pod"),
                 *objects = json_object_get(record, "objects");

    if (pod && objects && manifest_check_pod(pod, "record", NULL) == 0 &&
        manifest_check_objects(objects, "record", NULL) == 0)
        plan_pod(pod, objects);
    json_decref(record);
    return 0;
}
