// SPDX-License-Identifier: Apache-2.0
/* Volumes of config maps and the like: see payload.h. No state. */
#include "pod/plan/payload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/checked.h"
#include "pod/image/digest.h"
#include "pod/plan/values.h"

#define DIRECTORY_DIGITS 16
#define TEXT_MAX         (64u << 10) /* JSON may need six bytes for one of them */
#define CHUNK_CHARACTERS (HUSK_AGENT_DATA_MAX / 3 * 4)
#define GROUP_READS      0440 /* what the kubelet adds for fsGroup to volumes that are read-only */

struct payload {
    struct plan *plan;
    json_t *files; /* {PATH: {"text" or "base64", "mode"}}: a later one takes an earlier's place */
    json_int_t default_mode;
    const char *field;
};

bool payload_is(const json_t *source)
{
    return json_object_get(source, "configMap") || json_object_get(source, "secret") ||
           json_object_get(source, "downwardAPI") || json_object_get(source, "projected");
}

/* ---- what is in it ---- */

static int add_file(struct payload *payload, const char *path, const char *value, bool base64,
                    const json_t *mode, struct husk_error *err)
{
    json_int_t bits = mode ? json_integer_value(mode) : payload->default_mode;

    if (json_object_size(payload->files) == PAYLOAD_FILES_MAX &&
        !json_object_get(payload->files, path))
        return plan_refuse(err, E2BIG, payload->field, "has more than %u files", PAYLOAD_FILES_MAX);
    if (payload->plan->fs_group >= 0)
        bits |= GROUP_READS;
    return plan_put(payload->files, path,
                    json_pack("{s:s, s:I}", base64 ? "base64" : "text", value, "mode", bits), err);
}

static int add_all_keys(struct payload *payload, const json_t *object, enum value_kind kind,
                        struct husk_error *err)
{
    const char *key;
    json_t *value;
    int ret = 0;

    json_object_foreach(json_object_get(object, "data"), key, value)
    {
        if (!ret)
            ret = add_file(payload, key, json_string_value(value), kind == VALUE_SECRET, NULL, err);
    }
    json_object_foreach(json_object_get(object, "binaryData"), key, value)
    {
        if (!ret)
            ret = add_file(payload, key, json_string_value(value), true, NULL, err);
    }
    return ret;
}

static int add_item(struct payload *payload, const json_t *item, const json_t *object,
                    enum value_kind kind, bool optional, const char *where, struct husk_error *err)
{
    const char *key = plan_text(item, "key"), *value;
    bool base64;

    value = value_of_key(object, kind, key, &base64);
    if (!value && optional)
        return 0;
    if (!value)
        return plan_refuse(err, ENOENT, where, "there is no key \"%s\"", key);
    return add_file(payload, plan_text(item, "path"), value, base64, json_object_get(item, "mode"),
                    err);
}

static int add_object(struct payload *payload, const json_t *source, enum value_kind kind,
                      const char *where, struct husk_error *err)
{
    const char *secret = plan_text(source, "secretName");
    const char *name = secret ? secret : plan_text(source, "name");
    const json_t *object = value_object(payload->plan, kind, name), *item;
    bool optional = json_is_true(json_object_get(source, "optional"));
    const json_t *items = json_object_get(source, "items");
    char place[PLAN_WHERE_BYTES];
    size_t index;
    int ret = 0;

    if (!object && optional)
        return 0;
    if (!object)
        return plan_refuse(err, ENOENT, where, "there is no %s \"%s\"", value_kind_name(kind),
                           name);
    if (!items)
        return add_all_keys(payload, object, kind, err);
    json_array_foreach(items, index, item)
    {
        if (!ret)
            ret = add_item(payload, item, object, kind, optional,
                           plan_where(place, "%s.items[%zu].key", where, index), err);
    }
    return ret;
}

static int add_downward(struct payload *payload, const json_t *source, const char *where,
                        struct husk_error *err)
{
    char place[PLAN_WHERE_BYTES];
    const json_t *item;
    size_t index;
    int ret = 0;

    json_array_foreach(json_object_get(source, "items"), index, item)
    {
        char *text = NULL;

        if (ret)
            break;
        ret = value_of_downward(payload->plan, item, NULL,
                                plan_where(place, "%s.items[%zu]", where, index), &text, err);
        if (!ret)
            ret = add_file(payload, plan_text(item, "path"), text ? text : "", false,
                           json_object_get(item, "mode"), err);
        free(text);
    }
    return ret;
}

/* The one member of these that there is. */
static int add_source(struct payload *payload, const json_t *source, const char *field,
                      struct husk_error *err)
{
    const json_t *config = json_object_get(source, "configMap");
    const json_t *secret = json_object_get(source, "secret");
    const json_t *downward = json_object_get(source, "downwardAPI");
    char where[PLAN_WHERE_BYTES];

    if (config)
        return add_object(payload, config, VALUE_CONFIG_MAP,
                          plan_where(where, "%s.configMap", field), err);
    if (secret)
        return add_object(payload, secret, VALUE_SECRET, plan_where(where, "%s.secret", field),
                          err);
    if (downward)
        return add_downward(payload, downward, plan_where(where, "%s.downwardAPI", field), err);
    return plan_refuse(err, ENOTSUP, field, "is no config map, secret or downwardAPI");
}

static int add_sources(struct payload *payload, const json_t *source, const char *field,
                       struct husk_error *err)
{
    const json_t *projected = json_object_get(source, "projected"), *element;
    char where[PLAN_WHERE_BYTES];
    size_t index;
    int ret = 0;

    if (!projected)
        return add_source(payload, source, field, err);
    json_array_foreach(json_object_get(projected, "sources"), index, element)
    {
        if (!ret)
            ret = add_source(payload, element,
                             plan_where(where, "%s.projected.sources[%zu]", field, index), err);
    }
    return ret;
}

static json_int_t default_mode(const json_t *source)
{
    static const char *const kinds[] = {"configMap", "secret", "downwardAPI", "projected"};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const json_t *mode = json_object_get(json_object_get(source, kinds[i]), "defaultMode");

        if (mode)
            return json_integer_value(mode);
    }
    return 0644;
}

/* ---- as requests ---- */

static int write_chunk(json_t *requests, const char *volume, const char *path, const char *base64,
                       size_t len, bool append, const json_t *owner, struct husk_error *err)
{
    json_t *params =
        json_pack("{s:s, s:s, s:s%}", "volume", volume, "path", path, "data_base64", base64, len);
    int ret = params ? 0 : plan_no_memory(err);

    if (!ret && append)
        ret = plan_put(params, "append", json_true(), err);
    if (!ret && owner && json_object_update(params, (json_t *)owner))
        ret = plan_no_memory(err);
    if (ret) {
        json_decref(params);
        return ret;
    }
    return plan_ask(requests, "volume.write", params, err);
}

int payload_write(json_t *requests, const char *volume, const char *path, const char *base64,
                  const json_t *owner, struct husk_error *err)
{
    size_t left = strlen(base64);
    bool append = false;
    int ret;

    do {
        size_t len = left > CHUNK_CHARACTERS ? CHUNK_CHARACTERS : left;

        ret = write_chunk(requests, volume, path, base64, len, append, owner, err);
        append = true;
        base64 += len;
        left -= len;
    } while (!ret && left);
    return ret;
}

static int write_text(json_t *requests, const char *volume, const char *path, const char *text,
                      const json_t *owner, struct husk_error *err)
{
    size_t len = strlen(text);
    json_t *params;
    char *base64;
    int ret;

    if (len <= TEXT_MAX) {
        params = json_pack("{s:s, s:s, s:s}", "volume", volume, "path", path, "data", text);
        if (params && json_object_update(params, (json_t *)owner)) {
            json_decref(params);
            params = NULL;
        }
        return params ? plan_ask(requests, "volume.write", params, err) : plan_no_memory(err);
    }
    base64 = malloc(BASE64_LEN(len) + 1);
    if (!base64)
        return plan_no_memory(err);
    base64_encode(text, len, base64);
    ret = payload_write(requests, volume, path, base64, owner, err);
    free(base64);
    return ret;
}

/* The owner and modes of one file, and of the directories above it. */
static json_t *owner_of(const struct plan *plan, json_int_t mode)
{
    if (plan->fs_group < 0)
        return json_pack("{s:I}", "mode", mode);
    return json_pack("{s:I, s:I, s:i}", "mode", mode, "gid", (json_int_t)plan->fs_group,
                     "directory_mode", 02755);
}

static int write_file(const struct payload *payload, const char *volume, const char *directory,
                      const char *path, const json_t *file, json_t *requests,
                      struct husk_error *err)
{
    json_t *owner = owner_of(payload->plan, json_integer_value(json_object_get(file, "mode")));
    const char *text = plan_text(file, "text");
    char *full = NULL;
    int ret = owner && asprintf(&full, "%s/%s", directory, path) >= 0 ? 0 : plan_no_memory(err);

    if (!ret && strlen(full) > HUSK_AGENT_PATH_MAX)
        ret = plan_refuse(err, ENAMETOOLONG, payload->field, "the path \"%.100s...\" is too long",
                          path);
    if (!ret && text)
        ret = write_text(requests, volume, full, text, owner, err);
    else if (!ret)
        ret = payload_write(requests, volume, full, plan_text(file, "base64"), owner, err);
    free(full);
    json_decref(owner);
    return ret;
}

/* A name of its own for whatever is in it. */
static int name_directory(const struct payload *payload, char *name, size_t size,
                          struct husk_error *err)
{
    char *text = json_dumps(payload->files, JSON_COMPACT | JSON_SORT_KEYS);
    struct digest digest;
    int ret = text ? digest_of(text, strlen(text), &digest) : -ENOMEM;

    free(text);
    if (ret)
        return plan_no_memory(err);
    snprintf(name, size, "..%.*s", DIRECTORY_DIGITS, digest_hex(&digest));
    return 0;
}

/* Each first part of the paths once. */
static int top_names(const json_t *files, json_t *names, struct husk_error *err)
{
    json_t *seen = json_object(), *value;
    const char *path;
    int ret = seen ? 0 : plan_no_memory(err);

    json_object_foreach((json_t *)files, path, value)
    {
        size_t len = strcspn(path, "/");

        if (ret || json_object_getn(seen, path, len))
            continue;
        if (json_object_setn_new(seen, path, len, json_true()))
            ret = plan_no_memory(err);
        if (!ret)
            ret = plan_append(names, json_stringn(path, len), err);
    }
    json_decref(seen);
    return ret;
}

static int make(const struct payload *payload, const char *volume, json_t *out,
                struct husk_error *err)
{
    char directory[DIRECTORY_DIGITS + 3];
    json_t *requests = json_object_get(out, "requests"), *file, *owner;
    const char *path;
    int ret = name_directory(payload, directory, sizeof(directory), err);

    if (!ret)
        ret = plan_put(out, "directory", json_string(directory), err);
    if (!ret)
        ret = top_names(payload->files, json_object_get(out, "names"), err);
    if (!ret) {
        owner = payload->plan->fs_group < 0
                    ? json_pack("{s:s, s:s}", "volume", volume, "path", directory)
                    : json_pack("{s:s, s:s, s:i, s:I}", "volume", volume, "path", directory, "mode",
                                02755, "gid", (json_int_t)payload->plan->fs_group);
        ret = plan_ask(requests, "volume.directory", owner, err);
    }
    json_object_foreach(payload->files, path, file)
    {
        if (!ret)
            ret = write_file(payload, volume, directory, path, file, requests, err);
    }
    return ret;
}

int payload_build(struct plan *plan, const json_t *source, const char *volume, const char *field,
                  json_t **out, struct husk_error *err)
{
    struct payload payload = {
        .plan = plan, .files = json_object(), .default_mode = default_mode(source), .field = field};
    int ret;

    *out = json_pack("{s:s, s:[], s:[]}", "volume", volume, "names", "requests");
    ret = *out && payload.files ? add_sources(&payload, source, field, err) : plan_no_memory(err);
    if (!ret)
        ret = make(&payload, volume, *out, err);
    json_decref(payload.files);
    if (ret) {
        json_decref(*out);
        *out = NULL;
    }
    return ret;
}

static int ask_link(const json_t *payload, const char *path, const char *target, json_t *requests,
                    struct husk_error *err)
{
    return plan_ask(requests, "volume.write",
                    json_pack("{s:s, s:s, s:s}", "volume", plan_text(payload, "volume"), "path",
                              path, "link", target),
                    err);
}

/* A link for each name but those in `there`. */
static int ask_names(const json_t *payload, const json_t *there, json_t *requests,
                     struct husk_error *err)
{
    const json_t *name, *old;
    size_t i, j;
    int ret = 0;

    json_array_foreach(json_object_get(payload, "names"), i, name)
    {
        char target[HUSK_AGENT_PATH_MAX + 8];
        bool found = false;

        json_array_foreach(there, j, old)
        {
            found |= json_equal(old, name);
        }
        snprintf(target, sizeof(target), "..data/%s", json_string_value(name));
        if (!ret && !found)
            ret = ask_link(payload, json_string_value(name), target, requests, err);
    }
    return ret;
}

int payload_fill(const json_t *payload, json_t *requests, struct husk_error *err)
{
    int ret =
        json_array_extend(requests, json_object_get(payload, "requests")) ? plan_no_memory(err) : 0;

    if (!ret)
        ret = ask_link(payload, "..data", plan_text(payload, "directory"), requests, err);
    return ret ? ret : ask_names(payload, NULL, requests, err);
}

static int ask_delete(const json_t *payload, const char *path, json_t *requests,
                      struct husk_error *err)
{
    return plan_ask(requests, "volume.delete",
                    json_pack("{s:s, s:s}", "volume", plan_text(payload, "volume"), "path", path),
                    err);
}

int payload_change(const json_t *old, const json_t *now, json_t *requests, struct husk_error *err)
{
    const json_t *names = json_object_get(now, "names"), *was = json_object_get(old, "names");
    const json_t *name, *kept;
    size_t i, j;
    int ret;

    if (!strcmp(plan_text(old, "directory"), plan_text(now, "directory")))
        return 0;
    ret = json_array_extend(requests, json_object_get(now, "requests")) ? plan_no_memory(err) : 0;
    if (!ret)
        ret = ask_link(now, "..data", plan_text(now, "directory"), requests, err);
    if (!ret)
        ret = ask_names(now, was, requests, err);
    json_array_foreach(was, i, name)
    {
        bool stays = false;

        json_array_foreach(names, j, kept)
        {
            stays |= json_equal(kept, name);
        }
        if (!ret && !stays)
            ret = ask_delete(now, json_string_value(name), requests, err);
    }
    return ret ? ret : ask_delete(now, plan_text(old, "directory"), requests, err);
}
