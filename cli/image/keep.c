// SPDX-License-Identifier: Apache-2.0
/* husk image ls, rm, inspect and prune. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/image/actions.h"
#include "cli/image/progress.h"
#include "cli/image/show.h"
#include "cli/image/users.h"
#include "pod/image/store.h"

static int print(json_t *document, struct husk_error *err)
{
    int ret = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;

    printf("\n");
    json_decref(document);
    return ret ? error_set(err, EIO, "standard output", "cannot be written", NULL) : 0;
}

/* A store that nobody has made yet has nothing in it: *out is NULL then. */
static int open_if_there(const char *path, struct image_store **out, struct husk_error *err)
{
    int ret = image_store_open(path, false, out, err);

    if (ret == -ENOENT) {
        *out = NULL;
        return 0;
    }
    if (ret == 0)
        image_store_set_users(*out, image_users_layers, (char *)path);
    return ret;
}

static int list_line(void *arg, const struct image_record *record)
{
    show_line(record);
    return 0;
}

static int list_json(void *arg, const struct image_record *record)
{
    return json_array_append_new(arg, show_json(record)) ? -ENOMEM : 0;
}

int action_ls(const struct image_options *options, const char *path, struct husk_error *err)
{
    json_t *all = json_array();
    struct image_store *store;
    int ret = open_if_there(path, &store, err);

    if (ret == 0 && !options->json)
        show_heading();
    if (ret == 0 && store)
        ret = image_store_each(store, options->json ? list_json : list_line, all, err);
    if (ret == 0 && options->json)
        ret = print(json_pack("{s:O}", "images", all), err);
    json_decref(all);
    image_store_close(store);
    return ret;
}

static int find(struct image_store *store, const char *path, const char *text,
                struct image_record *out, struct husk_error *err)
{
    if (!store)
        return error_set(err, ENOENT, text, "is not in the store", "%s is empty", path);
    return image_store_find(store, text, out, err);
}

int action_inspect(const struct image_options *options, const char *path, struct husk_error *err)
{
    struct image_record *record = calloc(1, sizeof(*record));
    struct image_store *store = NULL;
    json_t *document = NULL;
    char *bytes = NULL;
    size_t len;
    int ret = record ? open_if_there(path, &store, err)
                     : error_set(err, ENOMEM, path, "cannot be read", NULL);

    if (ret == 0)
        ret = find(store, path, options->words[0], record, err);
    if (ret == 0)
        ret = image_store_get_blob(store, &record->config, &bytes, &len, err);
    if (ret == 0) {
        document = show_json(record);
        json_object_set_new(document, "config", json_loadb(bytes, len, 0, NULL));
        ret = print(document, err);
    }
    free(bytes);
    free(record);
    image_store_close(store);
    return ret;
}

struct removal {
    const char *path; /* the store's */
    const char *only; /* the name that goes; NULL: all of the image */
    struct digest id;
    struct husk_error *err;
};

static int refuse_used(void *arg, const struct image_record *record)
{
    const struct removal *removal = arg;
    struct image_user user;
    int ret;

    if (!digest_equal(&record->config, &removal->id) ||
        (removal->only && strcmp(removal->only, record->name) != 0))
        return 0;
    ret = image_users_find(removal->path, record->name, &user, removal->err);
    if (ret || !user.kind)
        return ret;
    return error_set(removal->err, EBUSY, record->name, "is in use",
                     "the %s \"%s\" has it: remove that first, or use --force", user.kind,
                     user.name);
}

/* Before any name of it goes. By force only the names go: the layers of a container stay as long as
 * it does. */
static int check_unused(struct image_store *store, const char *path, const char *text,
                        const struct image_record *record, struct husk_error *err)
{
    char name[REFERENCE_TEXT_BYTES];
    struct reference reference;
    struct removal removal = {.path = path, .id = record->config, .err = err};

    if (reference_parse(text, &reference, NULL) == 0 &&
        !strcmp(reference_format(&reference, name), record->name))
        removal.only = record->name;
    return image_store_each(store, refuse_used, &removal, err);
}

/* All names of what `text` means: an ID may have several. */
static int remove_all(struct image_store *store, const char *path, const char *text, bool force,
                      struct image_record *record, json_t *removed, struct husk_error *err)
{
    int ret = find(store, path, text, record, err);

    if (ret == 0 && !force)
        ret = check_unused(store, path, text, record, err);
    while (ret == 0) {
        char name[REFERENCE_TEXT_BYTES];
        struct digest id = record->config;

        memcpy(name, record->name, sizeof(name));
        ret = image_store_remove(store, record, err);
        if (ret)
            return ret;
        json_array_append_new(removed, json_string(name));
        if (image_store_find(store, text, record, NULL) || !digest_equal(&id, &record->config))
            break;
    }
    return ret;
}

static json_t *collected_json(const struct store_collected *collected)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:I}", "layers", (int)collected->layers, "documents",
                     (int)collected->blobs, "leftovers", (int)collected->leftovers, "in_use",
                     (int)collected->in_use, "bytes", (json_int_t)collected->bytes);
}

int action_rm(const struct image_options *options, const char *path, struct husk_error *err)
{
    struct image_record *record = calloc(1, sizeof(*record));
    json_t *removed = json_array();
    struct store_collected collected = {0};
    struct image_store *store = NULL;
    int ret = record ? open_if_there(path, &store, err)
                     : error_set(err, ENOMEM, path, "cannot be read", NULL);

    for (unsigned k = 0; record && ret == 0 && k < options->word_count; k++)
        ret = remove_all(store, path, options->words[k], options->force, record, removed, err);
    if (json_array_size(removed)) {
        /* While somebody adds images, the layers wait for the next prune. */
        int swept = image_store_collect(store, &collected, ret ? NULL : err);

        if (ret == 0 && swept != -EBUSY)
            ret = swept;
    }
    if (ret == 0 && options->json)
        ret = print(json_pack("{s:O,s:o}", "removed", removed, "freed", collected_json(&collected)),
                    err);
    for (size_t i = 0; !options->json && !options->quiet && i < json_array_size(removed); i++)
        printf("removed %s\n", json_string_value(json_array_get(removed, i)));
    json_decref(removed);
    free(record);
    image_store_close(store);
    return ret;
}

int action_prune(const struct image_options *options, const char *path, struct husk_error *err)
{
    struct store_collected collected = {0};
    struct image_store *store;
    char size[24];
    int ret = open_if_there(path, &store, err);

    if (ret == 0 && store)
        ret = image_store_collect(store, &collected, err);
    image_store_close(store);
    if (ret)
        return ret;
    if (options->json)
        return print(collected_json(&collected), err);
    if (options->quiet)
        return 0;
    printf("removed %u layers, %u documents and %u leftovers: %s\n", collected.layers,
           collected.blobs, collected.leftovers, format_bytes(collected.bytes, size));
    if (collected.in_use)
        printf("kept %u layers that are in use\n", collected.in_use);
    return 0;
}
