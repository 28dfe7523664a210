// SPDX-License-Identifier: Apache-2.0
/* Probes, hooks and the stop signal of a container: see handlers.h. No state. */
#include "pod/manifest/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* A name must be one of the container's ports. */
static int check_port(struct schema_check *check, const json_t *container, const json_t *action,
                      const char *below)
{
    const char *name = json_string_value(json_object_get(action, "port"));
    const json_t *port;
    size_t i;

    json_array_foreach(json_object_get(container, "ports"), i, port)
    {
        const char *own = json_string_value(json_object_get(port, "name"));

        if (name && own && !strcmp(own, name))
            return 0;
    }
    return name ? schema_fail(check, EINVAL, below, "is no name of a port of this container") : 0;
}

static int check_handler(struct schema_check *check, const json_t *container, const json_t *handler)
{
    int ret = check_port(check, container, json_object_get(handler, "httpGet"), ".httpGet.port");

    return ret ? ret
               : check_port(check, container, json_object_get(handler, "tcpSocket"),
                            ".tcpSocket.port");
}

static int check_probe(struct schema_check *check, const json_t *probe, bool readiness)
{
    if (!readiness && json_integer_value(json_object_get(probe, "successThreshold")) != 1)
        return schema_fail(check, EINVAL, ".successThreshold", "must be 1");
    if (readiness && json_object_get(probe, "terminationGracePeriodSeconds"))
        return schema_fail(check, EINVAL, ".terminationGracePeriodSeconds",
                           "is not for readiness probes, which end nothing");
    return 0;
}

static int check_probes(struct schema_check *check, const json_t *container)
{
    static const char *const names[] = {"livenessProbe", "readinessProbe", "startupProbe"};
    int ret = 0;

    for (unsigned i = 0; !ret && i < ARRAY_SIZE(names); i++) {
        const json_t *probe = json_object_get(container, names[i]);
        unsigned before = schema_enter(check, ".%s", names[i]);

        if (probe)
            ret = check_handler(check, container, probe);
        if (probe && !ret)
            ret = check_probe(check, probe, i == 1);
        schema_leave(check, before);
    }
    return ret;
}

static int check_lifecycle(struct schema_check *check, const json_t *spec, const json_t *container)
{
    static const char *const names[] = {"postStart", "preStop"};
    const json_t *lifecycle = json_object_get(container, "lifecycle");
    unsigned whole = schema_enter(check, ".lifecycle");
    int ret = 0;

    for (unsigned i = 0; !ret && i < ARRAY_SIZE(names); i++) {
        unsigned before = schema_enter(check, ".%s", names[i]);

        ret = check_handler(check, container, json_object_get(lifecycle, names[i]));
        schema_leave(check, before);
    }
    if (!ret && json_object_get(lifecycle, "stopSignal") && !json_object_get(spec, "os"))
        ret = schema_fail(check, EINVAL, ".stopSignal", "is only for pods with spec.os.name");
    schema_leave(check, whole);
    return ret;
}

int handlers_check(struct schema_check *check, const json_t *spec, const json_t *container)
{
    int ret = check_probes(check, container);

    return ret ? ret : check_lifecycle(check, spec, container);
}
