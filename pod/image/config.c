// SPDX-License-Identifier: Apache-2.0
/* Parsing an image's configuration: see config.h. */
#include "pod/image/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/image/json.h"

static int too_many(const char *name, const char *where, struct husk_error *err)
{
    return error_set(err, EFBIG, where, "has a list that is too long", "\"%s\": at most %u", name,
                     IMAGE_WORDS_MAX);
}

static int make_words(struct image_words *out, size_t count, const char *name, const char *where,
                      struct husk_error *err)
{
    if (count > IMAGE_WORDS_MAX)
        return too_many(name, where, err);
    out->words = calloc(count ? count : 1, sizeof(*out->words));
    return out->words ? 0 : error_set(err, ENOMEM, where, "cannot be read", NULL);
}

static int parse_list(const json_t *object, const char *name, struct image_words *out,
                      const char *where, struct husk_error *err)
{
    const json_t *list;
    int ret = image_json_member(object, name, JSON_ARRAY, false, &list, where, err);

    if (ret || !list)
        return ret;
    ret = make_words(out, json_array_size(list), name, where, err);
    if (ret)
        return ret;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *word = json_array_get(list, i);

        if (!json_is_string(word))
            return error_set(err, EINVAL, where, "has a list of other things than strings",
                             "\"%s\"", name);
        out->words[out->count++] = json_string_value(word);
    }
    return 0;
}

/* Sets are written as objects whose values are empty. */
static int parse_set(json_t *object, const char *name, struct image_words *out, const char *where,
                     struct husk_error *err)
{
    json_t *members = json_object_get(object, name);
    const json_t *set;
    int ret = image_json_member(object, name, JSON_OBJECT, false, &set, where, err);

    if (ret || !set)
        return ret;
    ret = make_words(out, json_object_size(set), name, where, err);
    if (ret)
        return ret;
    for (void *at = json_object_iter(members); at; at = json_object_iter_next(members, at))
        out->words[out->count++] = json_object_iter_key(at);
    return 0;
}

static int parse_diff_ids(const json_t *document, struct image_config *out, const char *where,
                          struct husk_error *err)
{
    const json_t *rootfs, *list;
    char type[16];
    int ret = image_json_member(document, "rootfs", JSON_OBJECT, true, &rootfs, where, err);

    if (ret == 0)
        ret = image_json_text(rootfs, "type", true, type, sizeof(type), where, err);
    if (ret == 0)
        ret = image_json_member(rootfs, "diff_ids", JSON_ARRAY, true, &list, where, err);
    if (ret)
        return ret;
    if (strcmp(type, "layers") != 0)
        return error_set(err, ENOTSUP, where, "has an unknown kind of root", "rootfs.type is %s",
                         type);
    if (json_array_size(list) > IMAGE_LAYERS_MAX)
        return error_set(err, EFBIG, where, "has too many layers", "at most %u", IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (!text || digest_parse(text, &out->diff_ids[i]))
            return error_set(err, EINVAL, where, "has a layer without a digest",
                             "rootfs.diff_ids[%zu] is not sha256: and 64 digits", i);
        out->diff_id_count++;
    }
    return 0;
}

static int parse_process(json_t *process, struct image_config *out, const char *where,
                         struct husk_error *err)
{
    int ret = parse_list(process, "Entrypoint", &out->entrypoint, where, err);

    if (ret == 0)
        ret = parse_list(process, "Cmd", &out->command, where, err);
    if (ret == 0)
        ret = parse_list(process, "Env", &out->environment, where, err);
    if (ret == 0)
        ret = parse_set(process, "ExposedPorts", &out->ports, where, err);
    if (ret == 0)
        ret = parse_set(process, "Volumes", &out->volumes, where, err);
    if (ret == 0)
        ret = image_json_text(process, "User", false, out->user, sizeof(out->user), where, err);
    if (ret == 0)
        ret = image_json_text(process, "WorkingDir", false, out->directory, sizeof(out->directory),
                              where, err);
    if (ret == 0)
        ret = image_json_text(process, "StopSignal", false, out->stop_signal,
                              sizeof(out->stop_signal), where, err);
    return ret;
}

int image_config_parse(const void *bytes, size_t len, const char *where, struct image_config *out,
                       struct husk_error *err)
{
    const json_t *process = NULL;
    int ret;

    memset(out, 0, sizeof(*out));
    out->document = image_json_parse(bytes, len, where, err);
    if (!out->document)
        return -EINVAL;
    const struct {
        const char *name;
        char *out;
        bool required;
    } parts[] = {{"os", out->platform.os, true},
                 {"architecture", out->platform.architecture, true},
                 {"variant", out->platform.variant, false}};

    ret = 0;
    for (unsigned i = 0; ret == 0 && i < ARRAY_SIZE(parts); i++)
        ret = image_json_text(out->document, parts[i].name, parts[i].required, parts[i].out,
                              PLATFORM_PART_BYTES, where, err);
    if (ret == 0)
        ret = parse_diff_ids(out->document, out, where, err);
    if (ret == 0)
        ret = image_json_member(out->document, "config", JSON_OBJECT, false, &process, where, err);
    if (ret == 0 && process)
        ret = parse_process(json_object_get(out->document, "config"), out, where, err);
    if (ret)
        image_config_clear(out);
    return ret;
}

void image_config_clear(struct image_config *config)
{
    free(config->entrypoint.words);
    free(config->command.words);
    free(config->environment.words);
    free(config->ports.words);
    free(config->volumes.words);
    json_decref(config->document);
    memset(config, 0, sizeof(*config));
}
