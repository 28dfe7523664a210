// SPDX-License-Identifier: Apache-2.0
/* Who needs an image: see users.h. */
#include "cli/image/users.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "pod/image/json.h"
#include "pod/image/reference.h"
#include "pod/store/kinds.h"
#include "pod/store/store.h"

#define RECORD_MAX (16u << 20) /* bytes of a spec.json; the kinds have less */

static bool is_name(const char *name)
{
    return name[0] != '.' && strlen(name) < ENTRY_NAME_BYTES;
}

static const struct entry_kind containers = {.one = "container",
                                             .many = "containers",
                                             .format = CONTAINERS_FORMAT,
                                             .variable = CONTAINERS_VARIABLE,
                                             .leaf = CONTAINERS_LEAF,
                                             .name_valid = is_name};
static const struct entry_kind pods = {.one = "pod",
                                       .many = "pods",
                                       .format = PODS_FORMAT,
                                       .variable = PODS_VARIABLE,
                                       .leaf = PODS_LEAF,
                                       .name_valid = is_name};

struct looking {
    const char *store; /* whose users */
    int (*each)(struct looking *looking, const struct entry *entry, const json_t *record,
                struct husk_error *err);
    const char *image;
    struct image_user *found;
    int (*keep)(void *to, const struct digest *layer);
    void *to;
    struct husk_error *err;
};

static bool is_same(const char *a, const char *b)
{
    struct stat one, other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* A container's images are in the default store, and a pod's, unless its record names another. */
static bool uses_store(const struct looking *looking, const json_t *record)
{
    const char *other = json_string_value(json_object_get(record, "store"));
    char path[PATH_MAX];

    if (other)
        return is_same(other, looking->store);
    return image_store_default(path, sizeof(path), NULL) == 0 && is_same(path, looking->store);
}

static int look(void *arg, struct entry *entry)
{
    struct looking *looking = arg;
    char where[sizeof(entry->path) + sizeof(ENTRY_SPEC_FILE) + 1], *bytes;
    json_t *record;
    size_t len;
    int ret = entry_read(entry, ENTRY_SPEC_FILE, RECORD_MAX, &bytes, &len, looking->err);

    if (ret)
        return ret == -ENOENT ? 0 : ret; /* it was removed meanwhile */
    snprintf(where, sizeof(where), "%s/" ENTRY_SPEC_FILE, entry->path);
    record = image_json_parse_long(bytes, len, RECORD_MAX, where, looking->err);
    free(bytes);
    ret = record ? 0 : -EBADMSG;
    if (ret == 0 && uses_store(looking, record))
        ret = looking->each(looking, entry, record, looking->err);
    json_decref(record);
    return ret;
}

/* A directory that nobody has made yet has nothing in it. */
static int look_at(const struct entry_kind *kind, struct looking *looking)
{
    struct entry_store *store;
    char path[PATH_MAX];
    int ret = entry_store_default(kind, path, sizeof(path), looking->err);

    if (ret)
        return ret;
    if (entry_store_open(kind, path, false, &store, looking->err)) {
        struct stat info;

        return stat(path, &info) < 0 && errno == ENOENT ? 0 : -looking->err->code;
    }
    ret = entry_each(store, look, looking, looking->err);
    entry_store_close(store);
    return ret;
}

/* ---- by name ---- */

static bool is_image(const char *text, const char *image)
{
    char name[REFERENCE_TEXT_BYTES];
    struct reference reference;

    return text && reference_parse(text, &reference, NULL) == 0 &&
           !strcmp(reference_format(&reference, name), image);
}

static bool names_it(const json_t *record, const char *image)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const json_t *spec = json_object_get(json_object_get(record, "pod"), "spec");
    const json_t *own = json_object_get(json_object_get(record, "image"), "name");
    bool names = is_image(json_string_value(own), image);

    for (unsigned i = 0; !names && i < 2; i++) {
        const json_t *list = json_object_get(spec, lists[i]);

        for (size_t k = 0; !names && k < json_array_size(list); k++)
            names = is_image(json_string_value(json_object_get(json_array_get(list, k), "image")),
                             image);
    }
    return names;
}

static int match(struct looking *looking, const struct entry *entry, const json_t *record,
                 struct husk_error *err)
{
    (void)err;
    if (looking->found->kind || !names_it(record, looking->image))
        return 0;
    looking->found->kind = entry->kind->one;
    snprintf(looking->found->name, sizeof(looking->found->name), "%.159s", entry->name);
    return 0;
}

int image_users_find(const char *store, const char *image, struct image_user *out,
                     struct husk_error *err)
{
    struct looking looking = {
        .store = store, .each = match, .image = image, .found = out, .err = err};
    int ret;

    out->kind = NULL;
    ret = look_at(&containers, &looking);
    return ret ? ret : look_at(&pods, &looking);
}

/* ---- layers ---- */

static int keep_layers(struct looking *looking, const struct entry *entry, const json_t *record,
                       struct husk_error *err)
{
    const json_t *layers = json_object_get(json_object_get(record, "image"), "layers");
    int ret = 0;

    if (!json_is_array(layers))
        return entry_error(entry, EBADMSG, ENTRY_SPEC_FILE, "has no layers of an image", err);
    for (size_t i = 0; ret == 0 && i < json_array_size(layers); i++) {
        const char *text = json_string_value(json_array_get(layers, i));
        struct digest layer;

        if (!text || digest_parse(text, &layer))
            return entry_error(entry, EBADMSG, ENTRY_SPEC_FILE, "has a layer that is no digest",
                               err);
        ret = looking->keep(looking->to, &layer);
    }
    return ret;
}

int image_users_layers(void *arg, int (*keep)(void *to, const struct digest *layer), void *to,
                       struct husk_error *err)
{
    struct husk_error unseen = {.code = 0}; /* whose caller wants none */
    struct looking looking = {
        .store = arg, .each = keep_layers, .keep = keep, .to = to, .err = err ? err : &unseen};

    return look_at(&containers, &looking);
}
