// SPDX-License-Identifier: Apache-2.0
/*
 * A container's variables: envFrom, then env, whose values may refer to what is before them (API
 * reference, EnvVar v1 core). No state.
 */
#include "pod/plan/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pod/plan/expand.h"
#include "pod/plan/values.h"

struct variables {
    struct plan *plan;
    const json_t *container;
    json_t *map; /* the result */
    size_t bytes;
};

/* Values can be made of values many times over; "create" has to hold them all. */
static int set(struct variables *v, const char *name, const char *value, const char *where,
               struct husk_error *err)
{
    v->bytes += strlen(name) + strlen(value) + 2;
    if (v->bytes > HUSK_AGENT_FRAME_MAX || json_object_size(v->map) == SPEC_LIST_MAX)
        return plan_refuse(err, E2BIG, where,
                           "the variables are more than %u, or have more than %u bytes",
                           SPEC_LIST_MAX, HUSK_AGENT_FRAME_MAX);
    return plan_put(v->map, name, json_string(value), err);
}

/* As in Kubernetes before its rule was relaxed: letters, digits, '_', '-' and '.', no digit first.
 */
static bool is_name(const char *name)
{
    if (!*name || isdigit((unsigned char)*name) || !strcmp(name, ".") || !strncmp(name, "..", 2))
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
            return false;
    }
    return true;
}

static int add_key(struct variables *v, const char *prefix, const char *key, const char *value,
                   bool base64, const char *where, unsigned *invalid, struct husk_error *err)
{
    char *name = NULL, *text = NULL;
    int ret = asprintf(&name, "%s%s", prefix, key) < 0 ? plan_no_memory(err) : 0;

    if (ret)
        return ret;
    if (!is_name(name)) {
        ++*invalid;
    } else {
        ret = value_as_text(value, base64, where, &text, err);
        if (!ret)
            ret = set(v, name, text, where, err);
    }
    free(text);
    free(name);
    return ret;
}

static int add_from(struct variables *v, const json_t *source, const char *where,
                    struct husk_error *err)
{
    const json_t *config = json_object_get(source, "configMapRef");
    enum value_kind kind = config ? VALUE_CONFIG_MAP : VALUE_SECRET;
    const json_t *ref = config ? config : json_object_get(source, "secretRef"), *object;
    const char *name = plan_text(ref, "name"), *prefix = plan_text(source, "prefix"), *key;
    unsigned invalid = 0;
    json_t *value;
    int ret = 0;

    object = value_object(v->plan, kind, name);
    if (!object && json_is_true(json_object_get(ref, "optional")))
        return 0;
    if (!object)
        return plan_refuse(err, ENOENT, where, "there is no %s \"%s\"", value_kind_name(kind),
                           name);
    /* binaryData is not for variables. */
    json_object_foreach(json_object_get(object, "data"), key, value)
    {
        if (!ret)
            ret = add_key(v, prefix ? prefix : "", key, json_string_value(value),
                          kind == VALUE_SECRET, where, &invalid, err);
    }
    if (!ret && invalid &&
        plan_warn(v->plan, "InvalidEnvironmentVariableNames",
                  "%s: %u keys of the %s \"%s\" are left out: they are no names of variables",
                  where, invalid, value_kind_name(kind), name))
        ret = plan_no_memory(err);
    return ret;
}

/* configMapKeyRef or secretKeyRef; *text stays NULL when it is optional and not there. */
static int value_of_ref(const struct variables *v, const json_t *ref, enum value_kind kind,
                        const char *where, char **text, struct husk_error *err)
{
    const char *name = plan_text(ref, "name"), *key = plan_text(ref, "key"), *value = NULL;
    const json_t *object = value_object(v->plan, kind, name);
    bool base64 = false;

    if (object)
        value = value_of_key(object, kind, key, &base64);
    if (value)
        return value_as_text(value, base64, where, text, err);
    if (json_is_true(json_object_get(ref, "optional")))
        return 0;
    if (!object)
        return plan_refuse(err, ENOENT, where, "there is no %s \"%s\"", value_kind_name(kind),
                           name);
    return plan_refuse(err, ENOENT, where, "the %s \"%s\" has no key \"%s\"", value_kind_name(kind),
                       name, key);
}

static int add_one(struct variables *v, const json_t *variable, const char *where,
                   struct husk_error *err)
{
    const json_t *from = json_object_get(variable, "valueFrom");
    const json_t *config = json_object_get(from, "configMapKeyRef");
    const json_t *secret = json_object_get(from, "secretKeyRef");
    const char *value = plan_text(variable, "value");
    char place[PLAN_WHERE_BYTES], *text = NULL;
    int ret = 0;

    plan_where(place, "%s%s", where,
               config   ? ".valueFrom.configMapKeyRef"
               : secret ? ".valueFrom.secretKeyRef"
               : from   ? ".valueFrom"
                        : ".value");
    if (config || secret) {
        ret = value_of_ref(v, config ? config : secret, config ? VALUE_CONFIG_MAP : VALUE_SECRET,
                           place, &text, err);
        if (!ret && !text)
            return 0;
    } else if (from) {
        ret = value_of_downward(v->plan, from, v->container, place, &text, err);
    } else {
        ret = expand(value ? value : "", v->map, &text, NULL, NULL);
        if (ret)
            ret = plan_refuse(err, -ret, place, "is longer than %u bytes with what it refers to",
                              EXPAND_MAX);
    }
    if (!ret)
        ret = set(v, plan_text(variable, "name"), text, place, err);
    free(text);
    return ret;
}

int environment_of(struct plan *plan, const json_t *container, const char *field, json_t **out,
                   struct husk_error *err)
{
    struct variables v = {.plan = plan, .container = container, .map = json_object()};
    char where[PLAN_WHERE_BYTES];
    const json_t *element;
    size_t index;
    int ret = v.map ? 0 : plan_no_memory(err);

    json_array_foreach(json_object_get(container, "envFrom"), index, element)
    {
        if (!ret)
            ret = add_from(&v, element, plan_where(where, "%s.envFrom[%zu]", field, index), err);
    }
    json_array_foreach(json_object_get(container, "env"), index, element)
    {
        if (!ret)
            ret = add_one(&v, element, plan_where(where, "%s.env[%zu]", field, index), err);
    }
    if (ret) {
        json_decref(v.map);
        return ret;
    }
    *out = v.map;
    return 0;
}
