// SPDX-License-Identifier: Apache-2.0
/* Finding the images of a directory or an archive: see load.h. */
#include "pod/image/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pod/image/json.h"
#include "pod/image/source_bundle.h"

struct load {
    struct image_store *store;
    struct bundle *bundle;
    const struct load_options *options;
    struct image_record *record;
    unsigned loaded;
    struct husk_error *err;
};

static const char *where(const struct load *load)
{
    return bundle_name(load->bundle);
}

/* `name`: what the file calls the image, "" for nothing. Destroys the source. */
static int load_one(struct load *load, struct image_source *source, const char *name)
{
    char canonical[REFERENCE_TEXT_BYTES];
    struct reference reference;
    int ret;

    if (load->options->name)
        name = load->options->name;
    if (!source)
        ret = error_set(load->err, ENOMEM, where(load), "cannot be read", NULL);
    else if (!name[0])
        ret = error_set(load->err, EINVAL, where(load), "does not say what its image is called",
                        "--name gives it a name");
    else
        ret = reference_parse(name, &reference, load->err);
    if (ret == 0)
        ret = image_import(load->store, source, reference_format(&reference, canonical),
                           &load->options->import, load->record, load->err);
    source_destroy(source);
    if (ret == 0) {
        load->loaded++;
        if (load->options->loaded)
            load->options->loaded(load->options->loaded_arg, load->record);
    }
    return ret;
}

/* One name for several images would leave the last of them only. */
static int check_count(const struct load *load, unsigned count)
{
    if (count == 0)
        return error_set(load->err, ENOENT, load->options->only ? load->options->only : where(load),
                         load->options->only ? "is none of the images there" : "has no image in it",
                         load->options->only ? "%s" : "it is empty", where(load));
    if (count > 1 && load->options->name)
        return error_set(load->err, EINVAL, where(load), "has several images",
                         "%u; --name wants one of them, chosen with --only", count);
    return 0;
}

/* An OCI layout. */

/* A ref.name may be no more than a tag ("latest"), which says nothing of the image. */
static const char *entry_name(const struct index_entry *entry)
{
    if (entry->name[0])
        return entry->name;
    return strpbrk(entry->version, "/:") ? entry->version : "";
}

static bool entry_wanted(const struct load *load, const struct index_entry *entry)
{
    const char *only = load->options->only;

    return !only || !strcmp(only, entry->name) || !strcmp(only, entry->version) ||
           !strcmp(only, entry->descriptor.digest.text);
}

/* Without names the entries are one image for several platforms, as an index below would be. */
static const struct index_entry *only_for_platform(const struct load *load,
                                                   const struct manifest *index)
{
    struct platform platform = load->options->import.platform;

    for (unsigned i = 0; i < index->entry_count; i++) {
        if (index->entries[i].name[0] || index->entries[i].version[0])
            return NULL;
    }
    if (!platform.os[0])
        platform_of_host(&platform);
    return manifest_select(index, &platform);
}

static int load_entries(struct load *load, const struct manifest *index)
{
    const struct index_entry *one = load->options->only ? NULL : only_for_platform(load, index);
    unsigned count = 0;
    int ret;

    if (one)
        return load_one(load, source_layout(load->bundle, &one->descriptor), entry_name(one));
    for (unsigned i = 0; i < index->entry_count; i++)
        count += entry_wanted(load, &index->entries[i]);
    ret = check_count(load, count);
    for (unsigned i = 0; ret == 0 && i < index->entry_count; i++) {
        const struct index_entry *entry = &index->entries[i];

        if (entry_wanted(load, entry))
            ret =
                load_one(load, source_layout(load->bundle, &entry->descriptor), entry_name(entry));
    }
    return ret;
}

static int load_layout(struct load *load, const char *bytes, size_t len)
{
    struct manifest *index = malloc(sizeof(*index));
    int ret;

    if (!index)
        return error_set(load->err, ENOMEM, where(load), "cannot be read", NULL);
    ret = manifest_parse(bytes, len, NULL, "index.json", index, load->err);
    if (ret) {
        free(index);
        return ret;
    }
    if (!index->is_index)
        ret = error_set(load->err, EINVAL, where(load), "has an index.json that is no index",
                        "wants an OCI image layout");
    else
        ret = load_entries(load, index);
    manifest_clear(index);
    free(index);
    return ret;
}

/* A docker archive. */

static bool image_wanted(const struct load *load, const json_t *entry)
{
    const json_t *tags = json_object_get(entry, "RepoTags");

    if (!load->options->only)
        return true;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));

        if (tag && !strcmp(tag, load->options->only))
            return true;
    }
    return false;
}

static int load_image(struct load *load, const json_t *entry)
{
    const json_t *tags;
    int ret =
        image_json_member(entry, "RepoTags", JSON_ARRAY, false, &tags, "manifest.json", load->err);
    size_t count = load->options->name || json_array_size(tags) == 0 ? 1 : json_array_size(tags);

    for (size_t i = 0; ret == 0 && i < count; i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        struct image_source *source;

        if (load->options->only && !load->options->name && tag &&
            strcmp(tag, load->options->only) != 0)
            continue;
        source = source_docker(load->bundle, entry, load->err);
        ret = source ? load_one(load, source, tag ? tag : "") : -EINVAL;
    }
    return ret;
}

static int load_docker(struct load *load, const char *bytes, size_t len)
{
    /* The one document that is a list; wrapped, the same limits hold for it. */
    char *text = NULL;
    json_t *document = NULL, *images;
    unsigned count = 0;
    int text_len, ret = 0;

    text_len = asprintf(&text, "{\"images\":%.*s}", (int)len, bytes);
    if (text_len < 0)
        return error_set(load->err, ENOMEM, where(load), "cannot be read", NULL);
    document = image_json_parse(text, (size_t)text_len, "manifest.json", load->err);
    free(text);
    images = json_object_get(document, "images");
    if (!document)
        return -EINVAL;
    if (!json_is_array(images))
        ret = error_set(load->err, EINVAL, where(load), "has a manifest.json that is no list",
                        "wants an archive of `docker save`");
    for (size_t i = 0; i < json_array_size(images); i++)
        count += image_wanted(load, json_array_get(images, i));
    if (ret == 0)
        ret = check_count(load, count);
    for (size_t i = 0; ret == 0 && i < json_array_size(images); i++) {
        const json_t *entry = json_array_get(images, i);

        if (image_wanted(load, entry))
            ret = load_image(load, entry);
    }
    json_decref(document);
    return ret;
}

static int load_bundle(struct load *load)
{
    char *bytes;
    size_t len;
    int ret = bundle_read(load->bundle, "index.json", &bytes, &len, load->err);

    if (ret == 0) {
        ret = load_layout(load, bytes, len);
    } else if (ret == -ENOENT) {
        ret = bundle_read(load->bundle, "manifest.json", &bytes, &len, load->err);
        if (ret == -ENOENT)
            return error_set(load->err, EINVAL, where(load), "has no image in it",
                             "neither index.json (OCI) nor manifest.json (docker save)");
        if (ret == 0)
            ret = load_docker(load, bytes, len);
    }
    free(bytes);
    return ret;
}

int image_load(struct image_store *store, const char *path, const struct load_options *options,
               struct husk_error *err)
{
    struct load load = {
        .store = store, .options = options, .err = err, .record = malloc(sizeof(*load.record))};
    int ret = load.record ? image_store_begin(store, err)
                          : error_set(err, ENOMEM, path, "cannot be loaded", NULL);

    if (ret == 0) {
        ret = bundle_open(path, store, &load.bundle, err);
        image_store_end(store);
    }
    if (ret == 0)
        ret = load_bundle(&load);
    bundle_close(load.bundle);
    free(load.record);
    return ret;
}
