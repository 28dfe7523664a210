// SPDX-License-Identifier: Apache-2.0
/* A struct spec as JSON and back: see spec.h. The file may have been changed by anybody. No state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/image/json.h"
#include "pod/spec/part.h"
#include "pod/spec/volumes.h"

static const char *const kinds[] = {[SPEC_VOLUME_DISK] = "disk",
                                    [SPEC_VOLUME_FILE] = "file",
                                    [SPEC_VOLUME_DIRECTORY] = "directory",
                                    [SPEC_VOLUME_ANONYMOUS] = "anonymous"};

static json_t *save_volume(const struct spec_volume *volume)
{
    return json_pack("{s:s, s:s, s:s, s:s*, s:s, s:b, s:b}", "kind", kinds[volume->kind], "name",
                     volume->name, "destination", volume->destination, "source", volume->source,
                     "fstype", volume->fstype, "readonly", volume->readonly, "fill", volume->fill);
}

json_t *spec_save(const struct spec *spec)
{
    json_t *volumes = json_array(), *files = json_object(), *object = NULL;
    int ret = volumes && files ? 0 : -ENOMEM;

    for (unsigned i = 0; i < spec->volume_count && !ret; i++)
        ret = json_array_append_new(volumes, save_volume(&spec->volumes[i]));
    for (unsigned i = 0; i < SPEC_FILES && !ret; i++) {
        if (spec->files[i].text)
            ret = json_object_set_new(files, spec->files[i].name, json_string(spec->files[i].text));
    }
    if (!ret)
        object = json_pack("{s:O, s:s, s:O, s:O, s:O*, s:o*, s:i, s:I, s:I}", "config",
                           spec->config, "user", spec->user, "volumes", volumes, "files", files,
                           "pod", spec->pod, "init", spec->init ? json_true() : NULL, "stop_signal",
                           spec->stop_signal, "memory_bytes", (json_int_t)spec->memory_bytes,
                           "cpu_nanos", (json_int_t)spec->cpu_nanos);
    json_decref(volumes);
    json_decref(files);
    return object;
}

static int wrong(const char *where, const char *member, struct husk_error *err)
{
    return error_set(err, EINVAL, where, "is not a container's record", "%s", member);
}

/* Names that the agent's requests are made of: what they may be is decided here. */
static int load_volume(const json_t *object, const char *where, unsigned index,
                       struct spec_volume *out, struct husk_error *err)
{
    char kind[16], source[SPEC_PATH_SIZE], destination[SPEC_PATH_SIZE], expected[21];
    unsigned which = 0;
    int ret = image_json_text(object, "kind", true, kind, sizeof(kind), where, err);

    if (!ret)
        ret = image_json_text(object, "name", true, out->name, sizeof(out->name), where, err);
    if (!ret)
        ret = image_json_text(object, "source", false, source, sizeof(source), where, err);
    if (!ret)
        ret = image_json_text(object, "destination", true, destination, sizeof(destination), where,
                              err);
    if (!ret)
        ret =
            image_json_text(object, "fstype", false, out->fstype, sizeof(out->fstype), where, err);
    if (ret)
        return ret;
    while (which < ARRAY_SIZE(kinds) && strcmp(kinds[which], kind) != 0)
        which++;
    snprintf(expected, sizeof(expected), "volume-%u", index);
    if (which == ARRAY_SIZE(kinds) || strcmp(expected, out->name) != 0 || destination[0] != '/' ||
        (source[0] == '/') != (which != SPEC_VOLUME_ANONYMOUS) ||
        (out->fstype[0] != '\0') != (which == SPEC_VOLUME_DISK))
        return wrong(where, "spec.volumes", err);
    out->kind = (enum spec_volume_kind)which;
    out->readonly = json_is_true(json_object_get(object, "readonly"));
    out->fill = which == SPEC_VOLUME_ANONYMOUS && json_is_true(json_object_get(object, "fill"));
    out->source = source[0] ? strdup(source) : NULL;
    out->destination = strdup(destination);
    return !out->destination || (source[0] && !out->source) ? spec_no_memory(err) : 0;
}

static int load_volumes(const json_t *object, const char *where, struct spec *out,
                        struct husk_error *err)
{
    const json_t *array;
    int ret = image_json_member(object, "volumes", JSON_ARRAY, true, &array, where, err);

    if (ret)
        return ret;
    if (json_array_size(array) > SPEC_VOLUMES_MAX)
        return wrong(where, "spec.volumes", err);
    out->volumes = calloc(SPEC_VOLUMES_MAX + 1, sizeof(*out->volumes));
    if (!out->volumes)
        return spec_no_memory(err);
    for (unsigned i = 0; i < json_array_size(array) && !ret; i++) {
        out->volume_count = i + 1;
        ret = load_volume(json_array_get(array, i), where, i, &out->volumes[i], err);
    }
    return ret;
}

static int load_files(const json_t *object, const char *where, struct spec *out,
                      struct husk_error *err)
{
    static const char *const names[SPEC_FILES] = {"hosts", "hostname", "resolv.conf"};
    const json_t *files, *text;
    int ret = image_json_member(object, "files", JSON_OBJECT, true, &files, where, err);

    for (unsigned i = 0; i < SPEC_FILES && !ret; i++) {
        snprintf(out->files[i].name, sizeof(out->files[i].name), "%s", names[i]);
        ret = image_json_member(files, names[i], JSON_STRING, false, &text, where, err);
        if (ret || !text)
            continue;
        if (json_string_length(text) > HUSK_AGENT_FILE_MAX)
            return wrong(where, "spec.files", err);
        out->files[i].text = strdup(json_string_value(text));
        if (!out->files[i].text)
            return spec_no_memory(err);
    }
    return ret;
}

static int load(const json_t *object, const char *where, struct spec *out, struct husk_error *err)
{
    json_t *config = json_object_get(object, "config"), *pod = json_object_get(object, "pod");
    uint64_t signal = 0;
    int ret;

    if (!json_is_object(config) || (pod && !json_is_object(pod)))
        return wrong(where, "spec.config, spec.pod", err);
    out->config = json_incref(config);
    out->pod = json_incref(pod);
    ret = image_json_text(object, "user", true, out->user, sizeof(out->user), where, err);
    if (!ret && !out->user[0])
        ret = wrong(where, "spec.user", err);
    out->init = json_is_true(json_object_get(object, "init"));
    if (!ret)
        ret = image_json_u64(object, "stop_signal", 64, &signal, where, err);
    if (!ret && !signal)
        ret = wrong(where, "spec.stop_signal", err);
    out->stop_signal = (int)signal;
    if (!ret)
        ret = image_json_u64(object, "memory_bytes", INT64_MAX, &out->memory_bytes, where, err);
    if (!ret)
        ret = image_json_u64(object, "cpu_nanos", INT64_MAX, &out->cpu_nanos, where, err);
    if (!ret)
        ret = load_files(object, where, out, err);
    if (!ret)
        ret = load_volumes(object, where, out, err);
    return ret;
}

int spec_load(const json_t *object, const char *where, struct spec *out, struct husk_error *err)
{
    int ret;

    memset(out, 0, sizeof(*out));
    ret = load(object, where, out, err);
    if (ret)
        spec_clear(out);
    return ret;
}
