// SPDX-License-Identifier: Apache-2.0
/*
 * The images of a pod, got by the command itself, as `husk run` does: with progress on a terminal,
 * and with an error before anything is made. The supervisor finds them there. Those of a pod with
 * imagePullSecrets are left to its supervisor, which has what is in them.
 */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/pod/image.h"
#include "cli/pods/pods.h"

static enum pull_policy policy_of(const json_t *container)
{
    static const struct {
        const char *name;
        enum pull_policy policy;
    } policies[] = {{"Always", PULL_ALWAYS}, {"Never", PULL_NEVER}, {"IfNotPresent", PULL_MISSING}};
    const char *text = json_string_value(json_object_get(container, "imagePullPolicy"));

    for (unsigned i = 0; text && i < ARRAY_SIZE(policies); i++) {
        if (!strcmp(text, policies[i].name))
            return policies[i].policy;
    }
    return PULL_MISSING;
}

static int pull_for(const json_t *container, bool quiet)
{
    const char *name = json_string_value(json_object_get(container, "image"));
    struct pod_image image;
    struct husk_error err = {0};

    if (!name)
        return 0;
    if (pod_image_get(name, policy_of(container), quiet, &image, &err)) {
        if (err.code) /* else it has been printed */
            cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    pod_image_release(&image);
    return 0;
}

int pods_pull(const struct husk_manifest *manifest, unsigned index, bool quiet)
{
    static const char *const lists[] = {"initContainers", "containers"};
    char *text = husk_manifest_pod_json(manifest, index);
    json_t *pod = text ? json_loads(text, 0, NULL) : NULL;
    int status = 0;

    husk_pod_text_free(text);
    if (json_object_get(json_object_get(pod, "spec"), "imagePullSecrets")) {
        json_decref(pod);
        return 0;
    }
    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_t *container;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(pod, "spec"), lists[k]), i, container)
        {
            if (!status)
                status = pull_for(container, quiet);
        }
    }
    json_decref(pod);
    return status;
}
