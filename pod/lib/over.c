// SPDX-License-Identifier: Apache-2.0
/* Whether a container is over: restartPolicy as Kubernetes has it. */
#include <string.h>

#include "pod/lib/pods.h"

static const json_t *named(const json_t *list, const char *name)
{
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        const char *its = json_string_value(json_object_get(one, "name"));

        if (its && !strcmp(its, name))
            return one;
    }
    return NULL;
}

static bool is(const json_t *object, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && !strcmp(text, wanted);
}

bool pods_container_goes_on(const json_t *pod, const char *container)
{
    const json_t *spec = json_object_get(pod, "spec"), *status = json_object_get(pod, "status");
    const json_t *init = named(json_object_get(spec, "initContainers"), container);
    const json_t *its = named(
        json_object_get(status, init ? "initContainerStatuses" : "containerStatuses"), container);
    const json_t *ended = json_object_get(json_object_get(its, "state"), "terminated");
    bool succeeded = json_integer_value(json_object_get(ended, "exitCode")) == 0;

    if (is(status, "phase", "Succeeded") || is(status, "phase", "Failed"))
        return false;
    if (!ended)
        return true;
    if (init && is(init, "restartPolicy", "Always"))
        return true;
    if (init && succeeded)
        return false;
    if (is(spec, "restartPolicy", "Never"))
        return false;
    return !(is(spec, "restartPolicy", "OnFailure") && succeeded);
}
