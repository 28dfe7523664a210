// SPDX-License-Identifier: Apache-2.0
/* Records of pods (spec.json, state.json) that anybody may have written: what is accepted must be
 * the same when it is written and read again; and a state can be marked as that of a lost pod. */
#include <stdlib.h>
#include <string.h>

#include "pod/manifest/base64.h"
#include "pod/pods/lost.h"
#include "pod/pods/pull_secrets.h"
#include "pod/pods/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *text_of(json_t *document)
{
    char *text = document ? json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    json_decref(document);
    return text;
}

static void try_record(const uint8_t *data, size_t size)
{
    struct pod_record record, again;
    char *text, *text_again;

    if (pod_record_decode(data, size, "fuzz", &record, NULL))
        return;
    if (!pod_key_valid(record.key))
        abort();
    text = text_of(pod_record_encode(&record));
    if (text && pod_record_decode(text, strlen(text), "again", &again, NULL) == 0) {
        text_again = text_of(pod_record_encode(&again));
        if (text_again && strcmp(text, text_again) != 0)
            abort();
        free(text_again);
        pod_record_clear(&again);
    } else if (text) {
        abort();
    }
    free(text);
    pod_record_clear(&record);
}

static void try_state(const uint8_t *data, size_t size)
{
    struct pod_state state, again;
    char *text;

    if (pod_state_decode(data, size, "fuzz", &state, NULL))
        return;
    if (lost_mark(&state) == 0 && !pod_state_ended(&state))
        abort();
    text = text_of(pod_state_encode(&state));
    if (text && pod_state_decode(text, strlen(text), "again", &again, NULL))
        abort();
    if (text)
        pod_state_clear(&again);
    free(text);
    pod_state_clear(&state);
}

static void ignore(void *arg, const char *line)
{
    *(unsigned *)arg += line[0] != '\0';
}

/* The bytes as what is in a secret of credentials. */
static void try_secret(const uint8_t *data, size_t size)
{
    char *value = manifest_base64_encode(data, size), *text;
    json_t *spec = json_pack("{s:[{s:s}]}", "imagePullSecrets", "name", "s");
    json_t *secrets = json_pack("{s:{s:{s:s}}}", "s", "data", ".dockerconfigjson", value), *auths;
    unsigned warnings = 0;

    if (pull_secrets_read(spec, secrets, &auths, ignore, &warnings) || !auths != (warnings == 1))
        abort();
    text = pull_secrets_for(auths, "registry.example/team/app:1");
    pull_secrets_free(text);
    json_decref(auths);
    json_decref(secrets);
    json_decref(spec);
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_secret(data, size);
    try_record(data, size);
    try_state(data, size);
    return 0;
}
