// SPDX-License-Identifier: Apache-2.0
/* An --env-file. What comes out are variables, each once, that the agent can be told. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/spec/environment.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *const callers[] = {(char *)"A=1", (char *)"HOME=/root", (char *)"=odd", NULL};
    struct environment *environment = environment_new();
    json_t *array;

    demand(environment != NULL);
    if (environment_set(environment, "PATH=/bin", NULL) == 0 &&
        environment_parse(environment, (const char *)data, size, callers, "fuzz", NULL) == 0) {
        for (unsigned i = 0; i < environment->count; i++) {
            const char *equals = strchr(environment->entries[i], '=');

            demand(equals && equals != environment->entries[i]);
            for (unsigned j = 0; j < i; j++)
                demand(strncmp(environment->entries[i], environment->entries[j],
                               (size_t)(equals + 1 - environment->entries[i])) != 0);
        }
        demand(environment_json(environment, &array, NULL) == 0);
        demand(json_array_size(array) == environment->count);
        json_decref(array);
    }
    environment_free(environment);
    return 0;
}
