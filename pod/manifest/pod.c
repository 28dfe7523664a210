// SPDX-License-Identifier: Apache-2.0
/* A Pod object as a whole: see pod.h. Rules are those of Kubernetes' validation (core/v1). */
#include "pod/manifest/pod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/manifest/fields.h"
#include "pod/manifest/handlers.h"
#include "pod/manifest/manifest.h"
#include "pod/manifest/once.h"
#include "pod/manifest/quantity.h"

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

/* ---- containers ---- */

/* Always for what may change under its name: no tag, or "latest", without a digest. */
static int set_pull_policy(struct schema_check *check, json_t *container)
{
    const char *image = text(container, "image"), *slash = strrchr(image, '/');
    const char *tag = strchr(slash ? slash : image, ':');
    bool always = !strchr(image, '@') && (!tag || !strcmp(tag, ":latest"));

    if (json_object_get(container, "imagePullPolicy"))
        return 0;
    if (json_object_set_new(container, "imagePullPolicy",
                            json_string(always ? "Always" : "IfNotPresent")))
        return schema_fail(check, ENOMEM, ".imagePullPolicy", "memory is short");
    return 0;
}

/* Both quantities of one resource. */
static int compare_resource(struct schema_check *check, const char *name, const json_t *limit,
                            const json_t *request)
{
    bool milli = !strcmp(name, "cpu");
    uint64_t most = 0, wanted = 0;
    char below[64];
    int ret = milli ? quantity_milli(json_string_value(limit), &most)
                    : quantity_bytes(json_string_value(limit), &most);

    snprintf(below, sizeof(below), ".resources.limits.%s", name);
    if (ret)
        return schema_fail(check, EINVAL, below, "is no whole number of bytes, or too large");
    snprintf(below, sizeof(below), ".resources.requests.%s", name);
    ret = milli ? quantity_milli(json_string_value(request), &wanted)
                : quantity_bytes(json_string_value(request), &wanted);
    if (ret)
        return schema_fail(check, EINVAL, below, "is no whole number of bytes, or too large");
    return wanted > most ? schema_fail(check, EINVAL, below, "is more than its limit") : 0;
}

/* What has a limit and no request requests its limit. */
static int complete_resources(struct schema_check *check, json_t *container)
{
    json_t *given = json_object_get(container, "resources"), *limit;
    json_t *requests = json_object_get(given, "requests");
    const char *name;
    int ret = 0;

    if (!json_object_get(given, "limits"))
        return 0;
    if (!requests && json_object_set_new(given, "requests", json_object()))
        return schema_fail(check, ENOMEM, ".resources", "memory is short");
    requests = json_object_get(given, "requests");
    json_object_foreach(json_object_get(given, "limits"), name, limit)
    {
        if (!json_object_get(requests, name) && json_object_set(requests, name, limit))
            ret = schema_fail(check, ENOMEM, ".resources", "memory is short");
        if (!ret)
            ret = compare_resource(check, name, limit, json_object_get(requests, name));
        if (ret)
            break;
    }
    return ret;
}

static const json_t *named(const json_t *list, const char *name, size_t before)
{
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        if (i >= before)
            break;
        if (!strcmp(text(one, "name"), name))
            return one;
    }
    return NULL;
}

static int check_mount(struct schema_check *check, const json_t *spec, const json_t *mount,
                       json_t *paths, const char *below)
{
    int ret;

    if (!named(json_object_get(spec, "volumes"), text(mount, "name"), SIZE_MAX))
        return schema_fail(check, EINVAL, below, "its volume is not among spec.volumes");
    if (json_object_get(mount, "subPath") && json_object_get(mount, "subPathExpr"))
        return schema_fail(check, EINVAL, below, "has subPath and subPathExpr");
    ret = once_add(paths, text(mount, "mountPath"));
    if (ret == -EEXIST)
        return schema_fail(check, EINVAL, below, "another one has the same mountPath");
    return ret ? schema_fail(check, ENOMEM, below, "memory is short") : 0;
}

static int check_mounts(struct schema_check *check, const json_t *spec, const json_t *container)
{
    json_t *paths = json_object(), *mount;
    size_t i;
    int ret = 0;

    json_array_foreach(json_object_get(container, "volumeMounts"), i, mount)
    {
        char below[64];

        snprintf(below, sizeof(below), ".volumeMounts[%zu]", i);
        ret = check_mount(check, spec, mount, paths, below);
        if (ret)
            break;
    }
    json_decref(paths);
    return ret;
}

static int check_env(struct schema_check *check, const json_t *container)
{
    json_t *one;
    size_t i;

    json_array_foreach(json_object_get(container, "env"), i, one)
    {
        char below[48];

        snprintf(below, sizeof(below), ".env[%zu]", i);
        if (json_object_get(one, "value") && json_object_get(one, "valueFrom"))
            return schema_fail(check, EINVAL, below, "has value and valueFrom");
    }
    return 0;
}

static int check_ports(struct schema_check *check, const json_t *container)
{
    json_t *names = json_object(), *port;
    size_t i;
    int ret = 0;

    json_array_foreach(json_object_get(container, "ports"), i, port)
    {
        const char *name = text(port, "name");
        char below[48];

        snprintf(below, sizeof(below), ".ports[%zu].name", i);
        ret = name[0] ? once_add(names, name) : 0;
        if (ret == -EEXIST)
            ret = schema_fail(check, EINVAL, below, "is the name of another port");
        else if (ret)
            ret = schema_fail(check, ENOMEM, below, "memory is short");
        if (ret)
            break;
    }
    json_decref(names);
    return ret;
}

/* Of init containers only sidecars may have these. */
static int check_init(struct schema_check *check, const json_t *container)
{
    static const char *const names[] = {"livenessProbe", "readinessProbe", "startupProbe",
                                        "lifecycle"};

    if (!strcmp(text(container, "restartPolicy"), "Always"))
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        char below[48];

        snprintf(below, sizeof(below), ".%s", names[i]);
        if (json_object_get(container, names[i]))
            return schema_fail(check, EINVAL, below,
                               "is only for init containers with restartPolicy Always");
    }
    return 0;
}

static int complete_container(struct schema_check *check, const json_t *spec, json_t *container,
                              bool init)
{
    int ret = init ? check_init(check, container) : 0;

    if (!ret)
        ret = set_pull_policy(check, container);
    if (!ret)
        ret = complete_resources(check, container);
    if (!ret)
        ret = check_mounts(check, spec, container);
    if (!ret)
        ret = handlers_check(check, spec, container);
    if (!ret)
        ret = check_env(check, container);
    return ret ? ret : check_ports(check, container);
}

static int complete_containers(struct schema_check *check, json_t *spec, const char *list,
                               const char *other)
{
    json_t *all = json_object_get(spec, list), *container;
    size_t i;
    int ret = 0;

    json_array_foreach(all, i, container)
    {
        unsigned before = schema_enter(check, ".%s[%zu]", list, i);
        const char *name = text(container, "name");

        if (named(all, name, i) || (other && named(json_object_get(spec, other), name, SIZE_MAX)))
            ret = schema_fail(check, EINVAL, ".name", "is the name of another container");
        if (!ret)
            ret = complete_container(check, spec, container, !other);
        schema_leave(check, before);
        if (ret)
            break;
    }
    return ret;
}

/* ---- the rest of the spec ---- */

static int check_field_refs(struct schema_check *check, const json_t *value, bool volume);

static int check_field_path(struct schema_check *check, const char *path, bool volume)
{
    static const char *const both[] = {"metadata.name", "metadata.namespace", "metadata.uid"};
    static const char *const of_env[] = {"spec.nodeName", "spec.serviceAccountName",
                                         "status.hostIP", "status.hostIPs",
                                         "status.podIP",  "status.podIPs"};
    static const char *const of_volumes[] = {"metadata.labels", "metadata.annotations"};

    for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
        if (!strcmp(path, both[i]))
            return 0;
    }
    for (unsigned i = 0; !volume && i < ARRAY_SIZE(of_env); i++) {
        if (!strcmp(path, of_env[i]))
            return 0;
    }
    for (unsigned i = 0; volume && i < ARRAY_SIZE(of_volumes); i++) {
        if (!strcmp(path, of_volumes[i]))
            return 0;
    }
    if ((!strncmp(path, "metadata.labels['", 17) || !strncmp(path, "metadata.annotations['", 22)) &&
        strlen(path) > 19 && !strcmp(path + strlen(path) - 2, "']"))
        return 0;
    return schema_fail(check, EINVAL, ".fieldRef.fieldPath", "is no field that can be had here");
}

/* In lists and objects, wherever they are. */
static int check_members(struct schema_check *check, const json_t *value, bool volume)
{
    const char *key;
    json_t *member;
    size_t i;
    int ret = 0;

    json_array_foreach((json_t *)value, i, member)
    {
        unsigned before = schema_enter(check, "[%zu]", i);

        ret = check_field_refs(check, member, volume);
        schema_leave(check, before);
        if (ret)
            return ret;
    }
    if (!json_is_object(value))
        return 0;
    json_object_foreach((json_t *)value, key, member)
    {
        unsigned before = schema_enter(check, ".%s", key);

        ret = check_field_refs(check, member, volume);
        schema_leave(check, before);
        if (ret)
            break;
    }
    return ret;
}

static int check_field_refs(struct schema_check *check, const json_t *value, bool volume)
{
    const char *path =
        json_string_value(json_object_get(json_object_get(value, "fieldRef"), "fieldPath"));

    if (path)
        return check_field_path(check, path, volume);
    return check_members(check, value, volume);
}

static int check_refs_of(struct schema_check *check, const json_t *spec)
{
    static const char *const lists[] = {"initContainers", "containers"};
    unsigned before = schema_enter(check, ".volumes");
    int ret = check_field_refs(check, json_object_get(spec, "volumes"), true);

    schema_leave(check, before);
    for (unsigned k = 0; !ret && k < ARRAY_SIZE(lists); k++) {
        json_t *container;
        size_t i;

        json_array_foreach(json_object_get(spec, lists[k]), i, container)
        {
            before = schema_enter(check, ".%s[%zu].env", lists[k], i);
            ret = check_field_refs(check, json_object_get(container, "env"), false);
            schema_leave(check, before);
            if (ret)
                break;
        }
    }
    return ret;
}

static int check_volumes(struct schema_check *check, const json_t *spec)
{
    const json_t *volumes = json_object_get(spec, "volumes");
    json_t *volume;
    size_t i;

    if (json_array_size(volumes) > MANIFEST_VOLUMES_MAX)
        return schema_fail(check, EINVAL, ".volumes", "are too many: at most 64");
    json_array_foreach((json_t *)volumes, i, volume)
    {
        const json_t *limit = json_object_get(json_object_get(volume, "emptyDir"), "sizeLimit");
        uint64_t bytes;
        char below[64];

        snprintf(below, sizeof(below), ".volumes[%zu].name", i);
        if (named(volumes, text(volume, "name"), i))
            return schema_fail(check, EINVAL, below, "is the name of another volume");
        snprintf(below, sizeof(below), ".volumes[%zu].emptyDir.sizeLimit", i);
        if (limit && quantity_bytes(json_string_value(limit), &bytes))
            return schema_fail(check, EINVAL, below, "is no whole number of bytes, or too large");
    }
    return 0;
}

static int check_profile(struct schema_check *check, const json_t *context, const char *below)
{
    const json_t *profile = json_object_get(context, "seccompProfile");
    bool local = !strcmp(text(profile, "type"), "Localhost");

    if (!profile || local == (json_object_get(profile, "localhostProfile") != NULL))
        return 0;
    return schema_fail(check, EINVAL, below,
                       local ? "is required" : "is only for the type Localhost");
}

static int check_profiles(struct schema_check *check, const json_t *spec)
{
    static const char *const lists[] = {"initContainers", "containers"};
    int ret = check_profile(check, json_object_get(spec, "securityContext"),
                            ".securityContext.seccompProfile.localhostProfile");

    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_t *container;
        size_t i;

        json_array_foreach(json_object_get(spec, lists[k]), i, container)
        {
            char below[96];

            snprintf(below, sizeof(below),
                     ".%s[%zu].securityContext.seccompProfile.localhostProfile", lists[k], i);
            if (!ret)
                ret = check_profile(check, json_object_get(container, "securityContext"), below);
        }
    }
    return ret;
}

/* ---- what two containers, or a container and the pod, cannot both say ---- */

static int check_user(struct schema_check *check, const json_t *spec, const json_t *container)
{
    const json_t *own = json_object_get(container, "securityContext");
    const json_t *pods = json_object_get(spec, "securityContext");
    const json_t *non_root = json_object_get(own, "runAsNonRoot");
    const json_t *user = json_object_get(own, "runAsUser");

    non_root = non_root ? non_root : json_object_get(pods, "runAsNonRoot");
    user = user ? user : json_object_get(pods, "runAsUser");
    return json_is_true(non_root) && user && json_integer_value(user) == 0
               ? schema_fail(check, EINVAL, ".securityContext", "has runAsNonRoot and the user 0")
               : 0;
}

/* A port of all addresses clashes with that of any, and the other way about. `taken` has
 * "PORT/PROTOCOL" of each, and "PORT/PROTOCOL/ADDRESS", the address being empty for all. */
static int take_host_port(json_t *taken, const json_t *port)
{
    json_int_t number = json_integer_value(json_object_get(port, "hostPort"));
    const char *ip = text(port, "hostIP");
    char any[32], all[40], own[104];
    int ret;

    if (!number)
        return 0;
    snprintf(any, sizeof(any), "%d/%.8s", (int)number, text(port, "protocol"));
    snprintf(all, sizeof(all), "%s/", any);
    snprintf(own, sizeof(own), "%s%.60s", all, ip);
    if (json_object_get(taken, ip[0] ? all : any))
        return -EEXIST;
    ret = once_add(taken, own);
    if (!ret && once_add(taken, any) == -ENOMEM)
        ret = -ENOMEM;
    return ret;
}

static int check_host_ports(struct schema_check *check, const json_t *container, json_t *taken)
{
    json_t *port;
    size_t i;

    json_array_foreach(json_object_get(container, "ports"), i, port)
    {
        int ret = take_host_port(taken, port);
        char below[64];

        snprintf(below, sizeof(below), ".ports[%zu].hostPort", i);
        if (ret == -EEXIST)
            return schema_fail(check, EINVAL, below, "is that of another port of the pod");
        if (ret)
            return schema_fail(check, ENOMEM, below, "memory is short");
    }
    return 0;
}

static int check_all_together(struct schema_check *check, const json_t *spec)
{
    static const char *const lists[] = {"initContainers", "containers"};
    json_t *taken = json_object();
    int ret = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_t *container;
        size_t i;

        json_array_foreach(json_object_get(spec, lists[k]), i, container)
        {
            unsigned before = schema_enter(check, ".%s[%zu]", lists[k], i);

            ret = ret ? ret : check_user(check, spec, container);
            ret = ret ? ret : check_host_ports(check, container, taken);
            schema_leave(check, before);
        }
    }
    json_decref(taken);
    return ret;
}

int pod_complete(struct schema_check *check, json_t *spec)
{
    int ret = 0;

    if (json_array_size(json_object_get(spec, "containers")) +
            json_array_size(json_object_get(spec, "initContainers")) >
        MANIFEST_CONTAINERS_MAX)
        return schema_fail(check, EINVAL, ".containers", "are too many: at most 64");
    if (!strcmp(text(spec, "dnsPolicy"), "None") &&
        !json_object_get(json_object_get(spec, "dnsConfig"), "nameservers"))
        return schema_fail(check, EINVAL, ".dnsConfig.nameservers",
                           "is required with dnsPolicy None");
    ret = check_volumes(check, spec);
    if (!ret)
        ret = complete_containers(check, spec, "initContainers", NULL);
    if (!ret)
        ret = complete_containers(check, spec, "containers", "initContainers");
    if (!ret)
        ret = check_refs_of(check, spec);
    if (!ret)
        ret = check_all_together(check, spec);
    return ret ? ret : check_profiles(check, spec);
}

int pod_read(struct schema_check *check, const json_t *value, json_t **out)
{
    json_t *pod = NULL, *without = NULL;
    unsigned before;
    int ret;

    if (json_object_get(value, "status")) {
        without = json_copy((json_t *)value);
        if (!without || json_object_del(without, "status")) {
            json_decref(without);
            return schema_fail(check, ENOMEM, "", "memory is short");
        }
    }
    ret = schema_read(check, &pod_fields, without ? without : value, &pod);
    json_decref(without);
    if (ret)
        return ret;
    before = schema_enter(check, ".spec");
    ret = pod_complete(check, json_object_get(pod, "spec"));
    schema_leave(check, before);
    if (ret)
        json_decref(pod);
    else
        *out = pod;
    return ret;
}
