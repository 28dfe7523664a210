// SPDX-License-Identifier: Apache-2.0
/* What differs between two objects, by the tables: see schema.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pod/manifest/schema.h"

struct comparing {
    json_t *changed;
    char *fixed; /* of 512 bytes */
    char path[512];
};

static int note(struct comparing *comparing, bool in_place)
{
    const char *path = comparing->path + (comparing->path[0] == '.');

    if (!in_place && !comparing->fixed[0])
        snprintf(comparing->fixed, 512, "%s", path);
    return json_array_append_new(comparing->changed, json_string(path)) ? -ENOMEM : 0;
}

static int note_key(struct comparing *comparing, const char *key, bool in_place)
{
    size_t len = strlen(comparing->path);
    int ret;

    snprintf(comparing->path + len, sizeof(comparing->path) - len, "[%s]", key);
    ret = note(comparing, in_place);
    comparing->path[len] = '\0';
    return ret;
}

/* A map that can be changed in place, key by key; each may be missing as a whole. */
static int compare_map(struct comparing *comparing, const json_t *before, const json_t *after)
{
    const char *key;
    json_t *value;
    int ret = 0;

    json_object_foreach((json_t *)before, key, value)
    {
        if (!ret && !json_equal(value, json_object_get(after, key)))
            ret = note_key(comparing, key, true);
    }
    json_object_foreach((json_t *)after, key, value)
    {
        if (!ret && !json_object_get(before, key))
            ret = note_key(comparing, key, true);
    }
    return ret;
}

static int compare_object(struct comparing *comparing, const struct schema_object *object,
                          const json_t *before, const json_t *after);

/* Members of lists are held against each other one by one where both have as many. */
static int compare_list(struct comparing *comparing, const struct schema_field *field,
                        const json_t *before, const json_t *after)
{
    size_t len = strlen(comparing->path), count = json_array_size(before);
    int ret = 0;

    if (count != json_array_size(after))
        return note(comparing, false);
    for (size_t i = 0; !ret && i < count; i++) {
        snprintf(comparing->path + len, sizeof(comparing->path) - len, "[%zu]", i);
        ret = compare_object(comparing, field->object, json_array_get(before, i),
                             json_array_get(after, i));
        comparing->path[len] = '\0';
    }
    return ret;
}

static int compare_field(struct comparing *comparing, const struct schema_field *field,
                         const json_t *before, const json_t *after)
{
    if (before == after || (before && after && json_equal(before, after)))
        return 0;
    if (field->type == SCHEMA_MAP && (field->flags & FIELD_IN_PLACE))
        return compare_map(comparing, before, after);
    if (field->flags & (FIELD_IN_PLACE | FIELD_NO_EFFECT))
        return note(comparing, true);
    if (before && after && field->type == SCHEMA_OBJECT)
        return compare_object(comparing, field->object, before, after);
    if (before && after && field->type == SCHEMA_OBJECTS)
        return compare_list(comparing, field, before, after);
    return note(comparing, false);
}

static int compare_object(struct comparing *comparing, const struct schema_object *object,
                          const json_t *before, const json_t *after)
{
    size_t len = strlen(comparing->path);
    int ret = 0;

    for (const struct schema_field *at = object->fields; !ret && at->name; at++) {
        snprintf(comparing->path + len, sizeof(comparing->path) - len, ".%s", at->name);
        ret = compare_field(comparing, at, json_object_get(before, at->name),
                            json_object_get(after, at->name));
        comparing->path[len] = '\0';
    }
    return ret;
}

int schema_compare(const struct schema_object *object, const json_t *before, const json_t *after,
                   json_t *changed, char fixed[512])
{
    struct comparing comparing = {.changed = changed, .fixed = fixed};

    return compare_object(&comparing, object, before, after);
}
