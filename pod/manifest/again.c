// SPDX-License-Identifier: Apache-2.0
/* Records once more, and what has changed between two: see manifest.h and change.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pod/manifest/change.h"
#include "pod/manifest/fields.h"
#include "pod/manifest/internal.h"
#include "pod/manifest/pod.h"

int manifest_check_pod(const json_t *pod, const char *where, struct husk_error *err)
{
    struct schema_check check = {.where = where, .err = err};
    json_t *again = NULL;
    int ret = pod_read(&check, pod, &again);

    if (ret)
        return ret;
    if (!json_equal(again, pod))
        ret = error_set(err, EINVAL, where, "is no pod as husk writes it down",
                        "it lacks defaults, or has what means nothing");
    else if (json_dumpb(pod, NULL, 0, JSON_COMPACT) > MANIFEST_POD_JSON_MAX)
        ret = error_set(err, E2BIG, where, "has a pod that is too long", NULL);
    json_decref(again);
    return ret;
}

static int check_kind(const json_t *objects, const char *list, enum manifest_kind kind,
                      const char *where, struct husk_error *err)
{
    struct schema_check check = {.where = where, .err = err};
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(objects, list), name, value)
    {
        const struct schema_object *fields =
            kind == MANIFEST_SECRET ? &secret_fields : &config_map_fields;
        json_t *whole = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", fields->name,
                                  "metadata", "name", name);
        json_t *read = NULL, *again = NULL;
        unsigned before = schema_enter(&check, ".%s[%s]", list, name);
        int ret = 0;

        if (!whole || json_object_update(whole, value))
            ret = json_is_object(value) ? schema_fail(&check, ENOMEM, "", "memory is short")
                                        : schema_fail(&check, EINVAL, "", "must be a map");
        if (!ret)
            ret = schema_read(&check, fields, whole, &read);
        if (!ret)
            ret = object_read(&check, kind, read, &again);
        if (!ret && !json_equal(again, value))
            ret = schema_fail(&check, EINVAL, "", "is not as husk writes it down");
        schema_leave(&check, before);
        json_decref(whole);
        json_decref(read);
        json_decref(again);
        if (ret)
            return ret;
    }
    return 0;
}

int manifest_check_objects(const json_t *objects, const char *where, struct husk_error *err)
{
    int ret;

    if (!json_is_object(json_object_get(objects, "configMaps")) ||
        !json_is_object(json_object_get(objects, "secrets")) || json_object_size(objects) != 2)
        return error_set(err, EINVAL, where, "does not have configMaps and secrets", NULL);
    ret = check_kind(objects, "configMaps", MANIFEST_CONFIG_MAP, where, err);
    if (!ret)
        ret = check_kind(objects, "secrets", MANIFEST_SECRET, where, err);
    if (!ret && json_dumpb(objects, NULL, 0, JSON_COMPACT) > MANIFEST_OBJECTS_MAX)
        ret = error_set(err, E2BIG, where, "has objects that are too long", NULL);
    return ret;
}

/* ---- changes ---- */

int change_of_pod(const json_t *before, const json_t *after, json_t **changed,
                  struct husk_error *err)
{
    char fixed[512] = "";
    int ret;

    *changed = json_array();
    ret = *changed ? schema_compare(&pod_fields, before, after, *changed, fixed) : -ENOMEM;
    if (ret) {
        json_decref(*changed);
        *changed = NULL;
        return error_set(err, ENOMEM, "", "cannot compare the pods", NULL);
    }
    return fixed[0]
               ? error_set(err, EEXIST, fixed, "cannot be changed while the pod runs", "%s", "")
               : 0;
}

/* Those of either that the other has not, or otherwise. */
static int compare_objects(const json_t *before, const json_t *after, const char *list,
                           json_t *changed)
{
    const json_t *old = json_object_get(before, list), *now = json_object_get(after, list);
    const char *name;
    json_t *value;
    int ret = 0;

    json_object_foreach((json_t *)now, name, value)
    {
        json_t *was = json_object_get(old, name);

        if (!was || !json_equal(was, value))
            ret |= json_array_append_new(changed, json_sprintf("%s[%s]", list, name));
    }
    json_object_foreach((json_t *)old, name, value)
    {
        if (!json_object_get(now, name))
            ret |= json_array_append_new(changed, json_sprintf("%s[%s]", list, name));
    }
    return ret ? -ENOMEM : 0;
}

int change_of_objects(const json_t *before, const json_t *after, json_t **changed,
                      struct husk_error *err)
{
    *changed = json_array();
    if (!*changed || compare_objects(before, after, "configMaps", *changed) ||
        compare_objects(before, after, "secrets", *changed))
        return error_set(err, ENOMEM, "", "cannot compare the pods' objects", NULL);
    return 0;
}
