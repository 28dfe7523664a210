// SPDX-License-Identifier: Apache-2.0
/* Records of containers (spec.json, state.json) that anybody may have written: what is accepted
 * must be the same when it is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "pod/supervisor/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_again(json_t *document, bool is_spec)
{
    char *text = json_dumps(document, JSON_COMPACT), *again;
    struct container_spec spec = {.id = ""};
    struct container_state state;

    json_decref(document);
    if (!text)
        return;
    if (is_spec ? container_spec_decode(text, strlen(text), "again", &spec, NULL)
                : container_state_decode(text, strlen(text), "again", &state, NULL))
        abort();
    document = is_spec ? container_spec_encode(&spec) : container_state_encode(&state, 7);
    again = json_dumps(document, JSON_COMPACT);
    if (again && strcmp(text, again) != 0)
        abort();
    json_decref(document);
    free(again);
    free(text);
    container_spec_clear(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct container_spec spec;
    struct container_state state;

    if (container_spec_decode(data, size, "fuzz", &spec, NULL) == 0) {
        if (!container_name_valid(spec.name) || spec.stop_signal < 1 || spec.stop_signal > 64)
            abort();
        same_again(container_spec_encode(&spec), true);
        container_spec_clear(&spec);
    }
    if (container_state_decode(data, size, "fuzz", &state, NULL) == 0)
        same_again(container_state_encode(&state, 7), false);
    return 0;
}
