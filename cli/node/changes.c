// SPDX-License-Identifier: Apache-2.0
#include "cli/node/changes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/node/names.h"

#define ANNOTATION(name) "metadata.annotations[" name "]"

static bool is_own(const char *field)
{
    static const char *const own[] = {ANNOTATION(ANNOTATION_SOURCE), ANNOTATION(ANNOTATION_HASH),
                                      ANNOTATION(ANNOTATION_MANIFEST)};

    for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (!strcmp(field, own[i]))
            return true;
    }
    return false;
}

char *changes_described(const char *changed)
{
    json_t *fields = changed ? json_loads(changed, 0, NULL) : NULL;
    char *text = strdup("");

    for (size_t i = 0; text && i < json_array_size(fields); i++) {
        const char *field = json_string_value(json_array_get(fields, i));
        char *before = text;

        if (!field || is_own(field))
            continue;
        if (asprintf(&text, "%s%s%s", before, before[0] ? ", " : ": ", field) < 0)
            text = NULL;
        free(before);
    }
    json_decref(fields);
    return text;
}
