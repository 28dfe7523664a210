// SPDX-License-Identifier: Apache-2.0
/*
 * Golden files of pod/spec: JSON with sorted keys in golden/NAME.json beside this file. With
 * HUSK_UPDATE_GOLDEN=1 in the environment they are written instead of compared; look at what git
 * says of them then.
 */
#ifndef HUSK_TESTS_UNIT_POD_SPEC_GOLDEN_H
#define HUSK_TESTS_UNIT_POD_SPEC_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes the reference. */
static inline void golden_expect(const char *name, json_t *json)
{
    char path[512], *found = json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS);
    char *wanted = NULL;
    json_t *file;

    assert_non_null(found);
    snprintf(path, sizeof(path), "%s/%s.json", HUSK_GOLDEN, name);
    if (getenv("HUSK_UPDATE_GOLDEN")) {
        FILE *out = fopen(path, "w");

        assert_non_null(out);
        assert_true(fprintf(out, "%s\n", found) > 0);
        assert_int_equal(fclose(out), 0);
    }
    file = json_load_file(path, 0, NULL);
    if (!file)
        fail_msg("%s cannot be read; HUSK_UPDATE_GOLDEN=1 makes it", path);
    wanted = json_dumps(file, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (strcmp(found, wanted) != 0)
        fail_msg("%s is not what came out:\n%s", path, found);
    free(found);
    free(wanted);
    json_decref(file);
    json_decref(json);
}

/* What RFC 7396 makes `now` of `before`: the members that differ, null for those that are gone. A
 * new reference. */
static inline json_t *golden_difference(json_t *before, json_t *now)
{
    json_t *patch = json_object(), *value;
    const char *key;

    json_object_foreach(before, key, value)
    {
        json_t *other = json_object_get(now, key);

        if (!other)
            json_object_set_new(patch, key, json_null());
        else if (json_is_object(value) && json_is_object(other) && !json_equal(value, other))
            json_object_set_new(patch, key, golden_difference(value, other));
        else if (!json_equal(value, other))
            json_object_set(patch, key, other);
    }
    json_object_foreach(now, key, value)
    {
        if (!json_object_get(before, key))
            json_object_set(patch, key, value);
    }
    return patch;
}

#endif
