// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests of strangers. What is read is canonical: each pod passes the check of records, and
 * reading it once more as JSON changes nothing; every pod's objects pass theirs. What is refused
 * says where. Lenient reading refuses no less than it must, and its pods pass, too.
 */
#include <stdlib.h>
#include <string.h>

#include "husk/pod.h"
#include "pod/manifest/change.h"
#include "pod/manifest/manifest.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_again(const json_t *pod, const char *name)
{
    char *text = json_dumps(pod, JSON_COMPACT);
    struct husk_manifest *again;
    struct husk_error err;
    json_t *changed;

    if (!text)
        return;
    /* Objects that it refers to are not in this one. */
    if (husk_manifest_read("again", text, strlen(text), NULL, &again, &err) == 0) {
        demand(husk_manifest_pods(again) == 1);
        demand(!strcmp(husk_manifest_pod_name(again, 0), name));
        demand(json_equal(manifest_pod(again, 0), pod));
        demand(change_of_pod(pod, manifest_pod(again, 0), &changed, NULL) == 0);
        demand(json_array_size(changed) == 0);
        json_decref(changed);
        husk_manifest_free(again);
    }
    free(text);
}

static void check_pods(struct husk_manifest *manifest)
{
    struct husk_error err;

    for (unsigned i = 0; i < husk_manifest_pods(manifest) && i < 8; i++) {
        const json_t *pod = manifest_pod(manifest, i);
        json_t *objects = NULL;

        demand(manifest_check_pod(pod, "record", &err) == 0);
        check_again(pod, husk_manifest_pod_name(manifest, i));
        if (manifest_objects(manifest, i, &objects, &err) == 0) {
            demand(manifest_check_objects(objects, "record", &err) == 0);
            json_decref(objects);
        } else {
            demand(err.where[0] != '\0');
        }
    }
}

static void warn(void *arg, const char *line)
{
    (void)arg;
    demand(line[0] != '\0' && !strchr(line, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct husk_manifest_options options = HUSK_MANIFEST_OPTIONS_INIT;
    struct husk_manifest *manifest;
    struct husk_error err = {.code = 0};

    options.warn = warn;
    for (int lenient = 0; lenient < 2; lenient++) {
        options.lenient = lenient != 0;
        if (husk_manifest_read("input", data, size, &options, &manifest, &err)) {
            demand(err.code && err.where[0]);
            continue;
        }
        check_pods(manifest);
        husk_manifest_free(manifest);
    }
    return 0;
}
