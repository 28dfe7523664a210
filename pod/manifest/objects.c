// SPDX-License-Identifier: Apache-2.0
/* Config maps and secrets, and what of them a pod refers to: see manifest.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/manifest/base64.h"
#include "pod/manifest/internal.h"

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

/* ---- reading ---- */

static int no_memory(struct schema_check *check)
{
    return schema_fail(check, ENOMEM, "", "memory is short");
}

static int check_sizes(struct schema_check *check, const json_t *data, size_t *total)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)data, key, value)
    {
        *total += strlen(key) + json_string_length(value);
    }
    return *total > MANIFEST_DATA_MAX + MANIFEST_DATA_MAX / 3
               ? schema_fail(check, E2BIG, "", "has more than 1 MiB of data")
               : 0;
}

/* Base64 in its one form: padded, without line ends. */
static int add_base64(struct schema_check *check, json_t *out, const json_t *from)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)from, key, value)
    {
        uint8_t *bytes = NULL;
        size_t len = 0;
        char *again;
        int ret = manifest_base64_decode(json_string_value(value), json_string_length(value),
                                         &bytes, &len);

        if (ret == -EINVAL)
            return schema_fail(check, EINVAL, ".data", "has a value that is no base64");
        again = ret ? NULL : manifest_base64_encode(bytes, len);
        free(bytes);
        ret = again ? json_object_set_new(out, key, json_string(again)) : -1;
        free(again);
        if (ret)
            return no_memory(check);
    }
    return 0;
}

/* stringData comes over data. */
static int add_texts(struct schema_check *check, json_t *out, const json_t *from)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)from, key, value)
    {
        char *again = manifest_base64_encode(json_string_value(value), json_string_length(value));
        int ret = again ? json_object_set_new(out, key, json_string(again)) : -1;

        free(again);
        if (ret)
            return no_memory(check);
    }
    return 0;
}

static int read_secret(struct schema_check *check, const json_t *value, json_t *out)
{
    json_t *data = json_object();
    int ret = data ? add_base64(check, data, json_object_get(value, "data")) : no_memory(check);
    size_t total = 0;

    if (!ret)
        ret = add_texts(check, data, json_object_get(value, "stringData"));
    if (!ret)
        ret = check_sizes(check, data, &total);
    if (!ret && json_object_set(out, "data", data))
        ret = no_memory(check);
    json_decref(data);
    return ret;
}

static int read_config_map(struct schema_check *check, const json_t *value, json_t *out)
{
    json_t *data = json_object_get(value, "data"), *binary = json_object();
    const char *key;
    json_t *member;
    size_t total = 0;
    int ret =
        binary ? add_base64(check, binary, json_object_get(value, "binaryData")) : no_memory(check);

    json_object_foreach(binary, key, member)
    {
        if (!ret && json_object_get(data, key))
            ret = schema_fail(check, EINVAL, ".binaryData", "has a key that data has, too");
    }
    if (!ret)
        ret = check_sizes(check, data, &total);
    if (!ret)
        ret = check_sizes(check, binary, &total);
    if (!ret && (json_object_set_new(out, "data", data ? json_incref(data) : json_object()) ||
                 json_object_set(out, "binaryData", binary)))
        ret = no_memory(check);
    json_decref(binary);
    return ret;
}

int object_read(struct schema_check *check, enum manifest_kind kind, const json_t *value,
                json_t **out)
{
    json_t *object = json_object();
    int ret;

    if (!object)
        return no_memory(check);
    ret = kind == MANIFEST_SECRET ? read_secret(check, value, object)
                                  : read_config_map(check, value, object);
    if (ret)
        json_decref(object);
    else
        *out = object;
    return ret;
}

/* ---- what a pod refers to ---- */

struct gathering {
    const struct husk_manifest *manifest;
    const struct manifest_object *pod;
    json_t *config_maps, *secrets;
    char path[256]; /* of the field that is looked at */
    struct husk_error *err;
};

static int missing(struct gathering *gathering, const char *below, const char *what,
                   const char *name)
{
    const struct manifest_origin *origin = &gathering->pod->origin;
    char path[512], where[700];

    snprintf(path, sizeof(path), "%s%s%s", origin->prefix, gathering->path, below);
    snprintf(where, sizeof(where), "%s:%u: %s", origin->source->name,
             yaml_line(origin->place, path), path);
    return error_set(gathering->err, ENOENT, where, "refers to what is not there",
                     "there is no %s \"%s\"", what, name);
}

/* A reference to an object, and, when `key` is given, to a key in it. */
static int gather(struct gathering *gathering, enum manifest_kind kind, const char *name,
                  const char *key, bool optional, const char *below)
{
    const char *space = text(json_object_get(gathering->pod->value, "metadata"), "namespace");
    bool secret = kind == MANIFEST_SECRET;
    char *full = manifest_full_name(space, name);
    const struct manifest_object *object =
        full ? manifest_find(gathering->manifest, kind, full) : NULL;

    free(full);
    if (!full)
        return error_set(gathering->err, ENOMEM, name, "cannot be looked for", NULL);
    if (!object)
        return optional ? 0 : missing(gathering, below, secret ? "secret" : "config map", name);
    if (key && !optional && !json_object_get(json_object_get(object->value, "data"), key) &&
        !json_object_get(json_object_get(object->value, "binaryData"), key))
        return missing(gathering, below, secret ? "key of the secret" : "key of the config map",
                       key);
    if (json_object_set(secret ? gathering->secrets : gathering->config_maps, name, object->value))
        return error_set(gathering->err, ENOMEM, name, "cannot be described", NULL);
    return 0;
}

static int gather_env(struct gathering *gathering, const json_t *container)
{
    static const struct {
        const char *list, *in, *name;
        enum manifest_kind kind;
    } places[] = {{"env", "valueFrom", "configMapKeyRef", MANIFEST_CONFIG_MAP},
                  {"env", "valueFrom", "secretKeyRef", MANIFEST_SECRET},
                  {"envFrom", NULL, "configMapRef", MANIFEST_CONFIG_MAP},
                  {"envFrom", NULL, "secretRef", MANIFEST_SECRET}};
    int ret = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(places); k++) {
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(container, places[k].list), i, one)
        {
            const json_t *holder = places[k].in ? json_object_get(one, places[k].in) : one;
            const json_t *reference = json_object_get(holder, places[k].name);
            char below[96];

            if (ret || !reference)
                continue;
            snprintf(below, sizeof(below), ".%s[%zu]%s%s.%s", places[k].list, i,
                     places[k].in ? "." : "", places[k].in ? places[k].in : "", places[k].name);
            ret = gather(gathering, places[k].kind, text(reference, "name"),
                         json_string_value(json_object_get(reference, "key")),
                         json_is_true(json_object_get(reference, "optional")), below);
        }
    }
    return ret;
}

/* A volume or a source of one: the object, and the keys of its items. */
static int gather_source(struct gathering *gathering, const json_t *source, const char *member,
                         enum manifest_kind kind, const char *below)
{
    const json_t *reference = json_object_get(source, member);
    bool optional = json_is_true(json_object_get(reference, "optional"));
    const char *name =
        text(reference, json_object_get(reference, "secretName") ? "secretName" : "name");
    char place[160];
    json_t *item;
    size_t i;
    int ret;

    if (!reference)
        return 0;
    snprintf(place, sizeof(place), "%s.%s", below, member);
    ret = gather(gathering, kind, name, NULL, optional, place);
    json_array_foreach(json_object_get(reference, "items"), i, item)
    {
        snprintf(place, sizeof(place), "%s.%s.items[%zu].key", below, member, i);
        if (!ret)
            ret = gather(gathering, kind, name, text(item, "key"), optional, place);
    }
    return ret;
}

static int gather_volume(struct gathering *gathering, const json_t *volume, const char *below)
{
    int ret = gather_source(gathering, volume, "configMap", MANIFEST_CONFIG_MAP, below);
    json_t *source;
    size_t i;

    if (!ret)
        ret = gather_source(gathering, volume, "secret", MANIFEST_SECRET, below);
    json_array_foreach(json_object_get(json_object_get(volume, "projected"), "sources"), i, source)
    {
        char place[96];

        snprintf(place, sizeof(place), "%s.projected.sources[%zu]", below, i);
        if (!ret)
            ret = gather_source(gathering, source, "configMap", MANIFEST_CONFIG_MAP, place);
        if (!ret)
            ret = gather_source(gathering, source, "secret", MANIFEST_SECRET, place);
    }
    return ret;
}

static int gather_all(struct gathering *gathering)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const json_t *spec = json_object_get(gathering->pod->value, "spec");
    json_t *one;
    size_t i;
    int ret = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_array_foreach(json_object_get(spec, lists[k]), i, one)
        {
            snprintf(gathering->path, sizeof(gathering->path), "spec.%s[%zu]", lists[k], i);
            if (!ret)
                ret = gather_env(gathering, one);
        }
    }
    snprintf(gathering->path, sizeof(gathering->path), "spec");
    /* Kubelets go on without those that are not there, and say so. */
    json_array_foreach(json_object_get(spec, "imagePullSecrets"), i, one)
    {
        if (!ret)
            ret = gather(gathering, MANIFEST_SECRET, text(one, "name"), NULL, true, "");
    }
    json_array_foreach(json_object_get(spec, "volumes"), i, one)
    {
        char below[32];

        snprintf(below, sizeof(below), ".volumes[%zu]", i);
        if (!ret)
            ret = gather_volume(gathering, one, below);
    }
    return ret;
}

int manifest_objects(const struct husk_manifest *manifest, unsigned index, json_t **objects,
                     struct husk_error *err)
{
    struct gathering gathering = {.manifest = manifest,
                                  .pod = manifest_nth(manifest, MANIFEST_POD, index),
                                  .config_maps = json_object(),
                                  .secrets = json_object(),
                                  .err = err};
    json_t *all =
        json_pack("{s:o, s:o}", "configMaps", gathering.config_maps, "secrets", gathering.secrets);
    int ret;

    if (!all || !gathering.pod) {
        ret = all ? EINVAL : ENOMEM;
        json_decref(all);
        return error_set(err, ret, "", "cannot describe the pod's objects", NULL);
    }
    ret = gather_all(&gathering);
    if (!ret && json_dumpb(all, NULL, 0, JSON_COMPACT) > MANIFEST_OBJECTS_MAX)
        ret = error_set(err, E2BIG, gathering.pod->name, "refers to too much",
                        "its config maps and secrets come to more than %u bytes",
                        MANIFEST_OBJECTS_MAX);
    if (ret)
        json_decref(all);
    else
        *objects = all;
    return ret;
}
