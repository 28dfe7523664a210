// SPDX-License-Identifier: Apache-2.0
/* Documents by their kind: Pod, ConfigMap, Secret, Deployment, and lists of these. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/manifest/fields.h"
#include "pod/manifest/internal.h"
#include "pod/manifest/pod.h"
#include "pod/manifest/selector.h"

struct adding {
    struct husk_manifest *manifest;
    const struct manifest_source *source;
    const struct husk_manifest_options *options; /* NULL: the defaults */
    struct husk_error *err;
};

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

static unsigned line_of(void *arg, const char *path)
{
    return yaml_line(arg, path);
}

static struct schema_check check_of(const struct adding *adding, const struct yaml_place *place)
{
    const struct husk_manifest_options *options = adding->options;

    return (struct schema_check){
        .where = adding->source->name,
        .line = line_of,
        .line_arg = (void *)place,
        .lenient = options && options->lenient,
        .warn = options ? options->warn : NULL,
        .warn_arg = options ? options->arg : NULL,
        .err = adding->err,
    };
}

static int add(struct adding *adding, enum manifest_kind kind, const json_t *metadata,
               const struct yaml_place *place, const char *prefix, json_t *value)
{
    struct manifest_object object = {
        .kind = kind,
        .name = manifest_full_name(text(metadata, "namespace"), text(metadata, "name")),
        .value = value,
        .origin = {adding->source, place, prefix},
    };

    return manifest_add(adding->manifest, &object, adding->err);
}

static int check_size(struct schema_check *check, const json_t *pod)
{
    return json_dumpb(pod, NULL, 0, JSON_COMPACT) > MANIFEST_POD_JSON_MAX
               ? schema_fail(check, E2BIG, "", "comes to more than 1 MiB")
               : 0;
}

static int add_pod(struct adding *adding, const json_t *value, const struct yaml_place *place)
{
    struct schema_check check = check_of(adding, place);
    json_t *pod = NULL;
    int ret = pod_read(&check, value, &pod);

    if (!ret)
        ret = check_size(&check, pod);
    if (ret) {
        json_decref(pod);
        return ret;
    }
    return add(adding, MANIFEST_POD, json_object_get(pod, "metadata"), place, "", pod);
}

static int add_data(struct adding *adding, enum manifest_kind kind, const json_t *value,
                    const struct yaml_place *place)
{
    struct schema_check check = check_of(adding, place);
    json_t *object = NULL, *metadata;
    int ret = schema_read(&check, kind == MANIFEST_SECRET ? &secret_fields : &config_map_fields,
                          value, &object);

    if (ret)
        return ret;
    metadata = json_incref(json_object_get(object, "metadata"));
    value = object;
    object = NULL;
    ret = object_read(&check, kind, value, &object);
    json_decref((json_t *)value);
    if (!ret)
        ret = add(adding, kind, metadata, place, "", object);
    json_decref(metadata);
    return ret;
}

/* ---- Deployments ---- */

/* A pod of a Deployment: the template's metadata with a name of its own; the spec is shared. */
static json_t *pod_of(const json_t *deployment, const json_t *template, unsigned number)
{
    const json_t *owner = json_object_get(deployment, "metadata");
    json_t *metadata = json_copy(json_object_get(template, "metadata"));
    json_t *pod = json_pack("{s:s, s:s, s:o*, s:O}", "apiVersion", "v1", "kind", "Pod", "metadata",
                            metadata, "spec", json_object_get(template, "spec"));

    if (pod && (json_object_set_new(metadata, "name",
                                    json_sprintf("%s-%u", text(owner, "name"), number)) ||
                json_object_set_new(metadata, "namespace", json_string(text(owner, "namespace"))) ||
                json_object_set_new(metadata, "ownerReferences",
                                    json_pack("[{s:s, s:s, s:s, s:b}]", "apiVersion", "apps/v1",
                                              "kind", "Deployment", "name", text(owner, "name"),
                                              "controller", 1)))) {
        json_decref(pod);
        return NULL;
    }
    return pod;
}

/* Each pod would want the same port of the one host that there is. */
static int check_host_ports(struct schema_check *check, const json_t *deployment)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const json_t *spec = json_object_get(deployment, "spec");
    const json_t *inner = json_object_get(json_object_get(spec, "template"), "spec");

    if (json_integer_value(json_object_get(spec, "replicas")) <= 1)
        return 0;
    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_t *container, *port;
        size_t i, j;

        json_array_foreach(json_object_get(inner, lists[k]), i, container)
        {
            json_array_foreach(json_object_get(container, "ports"), j, port)
            {
                char below[96];

                snprintf(below, sizeof(below), ".spec.template.spec.%s[%zu].ports[%zu].hostPort",
                         lists[k], i, j);
                if (json_object_get(port, "hostPort"))
                    return schema_fail(check, EINVAL, below,
                                       "is one port of one host: several replicas cannot have it");
            }
        }
    }
    return 0;
}

static int check_deployment(struct schema_check *check, const json_t *deployment)
{
    const json_t *spec = json_object_get(deployment, "spec");
    json_t *template = json_object_get(spec, "template");
    struct selector *selector = NULL;
    unsigned before;
    int ret;

    /* Names of pods are that of the Deployment, '-', and a number. */
    if (strlen(text(json_object_get(deployment, "metadata"), "name")) > MANIFEST_NAME_MAX - 4)
        return schema_fail(check, EINVAL, ".metadata.name", "is too long for names of its pods");
    if (strcmp(text(json_object_get(template, "spec"), "restartPolicy"), "Always") != 0)
        return schema_fail(check, EINVAL, ".spec.template.spec.restartPolicy", "must be Always");
    ret = selector_from_object(json_object_get(spec, "selector"), &selector, check->err);
    if (ret)
        return schema_fail(check, -ret, ".spec.selector", "is no selector");
    if (!selector_match(selector, json_object_get(json_object_get(template, "metadata"), "labels")))
        ret = schema_fail(check, EINVAL, ".spec.selector", "does not match the template's labels");
    selector_free(selector);
    if (ret)
        return ret;
    before = schema_enter(check, ".spec.template.spec");
    ret = pod_complete(check, json_object_get(template, "spec"));
    schema_leave(check, before);
    if (!ret)
        ret = check_host_ports(check, deployment);
    return ret ? ret : check_size(check, template);
}

static int add_pods(struct adding *adding, const json_t *deployment, const struct yaml_place *place)
{
    const json_t *spec = json_object_get(deployment, "spec");
    const json_t *template = json_object_get(spec, "template");
    json_int_t replicas = json_integer_value(json_object_get(spec, "replicas"));
    int ret =
        add(adding, MANIFEST_DEPLOYMENT, json_object_get(deployment, "metadata"), place, "", NULL);

    for (unsigned i = 0; !ret && (json_int_t)i < replicas; i++) {
        json_t *pod = pod_of(deployment, template, i);

        if (!pod)
            return error_set(adding->err, ENOMEM, adding->source->name, "cannot be read", NULL);
        ret = add(adding, MANIFEST_POD, json_object_get(pod, "metadata"), place, "spec.template.",
                  pod);
    }
    return ret;
}

static int add_deployment(struct adding *adding, const json_t *value,
                          const struct yaml_place *place)
{
    struct schema_check check = check_of(adding, place);
    json_t *deployment = NULL, *without = json_copy((json_t *)value), *template;
    int ret = 0;

    if (!without)
        return schema_fail(&check, ENOMEM, "", "memory is short");
    (void)json_object_del(without, "status");
    ret = schema_read(&check, &deployment_fields, without, &deployment);
    json_decref(without);
    if (ret)
        return ret;
    template = json_object_get(json_object_get(deployment, "spec"), "template");
    if (!json_object_get(template, "metadata"))
        json_object_set_new(template, "metadata", json_object());
    ret = check_deployment(&check, deployment);
    if (!ret)
        ret = add_pods(adding, deployment, place);
    json_decref(deployment);
    return ret;
}

/* ---- kinds ---- */

static int add_value(struct adding *adding, const json_t *value, const struct yaml_place *place,
                     bool inside);

static int add_list(struct adding *adding, const json_t *value, const struct yaml_place *place)
{
    const json_t *items = json_object_get(value, "items");
    struct schema_check check = check_of(adding, place);
    int ret = 0;

    if (items && !json_is_array(items))
        return schema_fail(&check, EINVAL, ".items", "must be a list");
    for (size_t i = 0; !ret && i < json_array_size(items); i++) {
        const struct yaml_place *inner = place;

        for (unsigned k = 0; inner == place && place->keys && k < place->count; k++) {
            if (!strcmp(place->keys[k], "items") && i < place->members[k]->count)
                inner = place->members[k]->members[i];
        }
        ret = add_value(adding, json_array_get(items, i), inner, true);
    }
    return ret;
}

static int wrong_kind(struct schema_check *check, const char *kind)
{
    char line[128];

    snprintf(line, sizeof(line), "must be Pod, ConfigMap, Secret, Deployment or List%s%.40s",
             *kind ? ", not " : "", kind);
    return schema_fail(check, EINVAL, ".kind", line);
}

static int add_value(struct adding *adding, const json_t *value, const struct yaml_place *place,
                     bool inside)
{
    static const struct {
        const char *version, *kind;
    } kinds[] = {{"v1", "Pod"},  {"v1", "ConfigMap"}, {"v1", "Secret"}, {"apps/v1", "Deployment"},
                 {"v1", "List"}, {"v1", "PodList"}};
    struct schema_check check = check_of(adding, place);
    const char *kind = text(value, "kind"), *version = text(value, "apiVersion");
    unsigned i = 0;

    if (!json_is_object(value))
        return schema_fail(&check, EINVAL, "", "must be an object with apiVersion and kind");
    while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].kind, kind) != 0)
        i++;
    if (i == ARRAY_SIZE(kinds) || (inside && i >= 4))
        return wrong_kind(&check, kind);
    if (strcmp(version, kinds[i].version) != 0)
        return schema_fail(&check, EINVAL, ".apiVersion",
                           i == 3 ? "must be apps/v1 for this kind" : "must be v1 for this kind");
    switch (i) {
    case 0:
        return add_pod(adding, value, place);
    case 1:
        return add_data(adding, MANIFEST_CONFIG_MAP, value, place);
    case 2:
        return add_data(adding, MANIFEST_SECRET, value, place);
    case 3:
        return add_deployment(adding, value, place);
    default:
        return add_list(adding, value, place);
    }
}

int manifest_add_document(struct husk_manifest *manifest, const struct manifest_source *source,
                          const struct yaml_document *document,
                          const struct husk_manifest_options *options, struct husk_error *err)
{
    struct adding adding = {manifest, source, options, err};

    manifest->document_count++;
    return add_value(&adding, document->value, document->place, false);
}
