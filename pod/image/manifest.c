// SPDX-License-Identifier: Apache-2.0
/* Parsing and writing manifests and indexes: see manifest.h. */
#include "pod/image/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/image/json.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct {
    const char *type;
    enum image_media media;
} media_types[] = {
    {OCI "index.v1+json", MEDIA_INDEX},
    {OCI "manifest.v1+json", MEDIA_MANIFEST},
    {OCI "config.v1+json", MEDIA_CONFIG},
    {OCI "layer.v1.tar", MEDIA_LAYER_TAR},
    {OCI "layer.v1.tar+gzip", MEDIA_LAYER_GZIP},
    {OCI "layer.v1.tar+zstd", MEDIA_LAYER_ZSTD},
    {OCI "layer.nondistributable.v1.tar", MEDIA_LAYER_FOREIGN},
    {OCI "layer.nondistributable.v1.tar+gzip", MEDIA_LAYER_FOREIGN},
    {OCI "layer.nondistributable.v1.tar+zstd", MEDIA_LAYER_FOREIGN},
    {DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX},
    {DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST},
    {DOCKER "distribution.manifest.v1+json", MEDIA_SCHEMA1},
    {DOCKER "distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1},
    {DOCKER "container.image.v1+json", MEDIA_CONFIG},
    {DOCKER "image.rootfs.diff.tar", MEDIA_LAYER_TAR},
    {DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER_GZIP},
    {DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER_ZSTD},
    {DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER_FOREIGN},
};

enum image_media image_media_parse(const char *type)
{
    size_t len = type ? strcspn(type, "; \t") : 0;

    for (unsigned i = 0; len && i < ARRAY_SIZE(media_types); i++) {
        if (strlen(media_types[i].type) == len && !memcmp(media_types[i].type, type, len))
            return media_types[i].media;
    }
    return MEDIA_OTHER;
}

int platform_parse(const char *text, struct platform *out)
{
    char *parts[] = {out->os, out->architecture, out->variant};
    unsigned count = 0;

    memset(out, 0, sizeof(*out));
    while (count < ARRAY_SIZE(parts)) {
        size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._");

        if (len == 0 || len >= PLATFORM_PART_BYTES)
            return -EINVAL;
        memcpy(parts[count++], text, len);
        text += len;
        if (!*text)
            break;
        if (*text++ != '/')
            return -EINVAL;
    }
    return count >= 2 && !*text ? 0 : -EINVAL;
}

void platform_of_host(struct platform *out)
{
    /* Names as in image-index.md: those of Go's GOARCH. */
#if defined(__aarch64__)
    platform_parse("linux/arm64", out);
#else
    platform_parse("linux/amd64", out);
#endif
}

static int parse_descriptor(const json_t *object, struct descriptor *out, uint64_t max,
                            const char *where, struct husk_error *err)
{
    char type[128], digest[DIGEST_TEXT_BYTES + 64];
    int ret = image_json_text(object, "mediaType", true, type, sizeof(type), where, err);

    if (ret == 0)
        ret = image_json_text(object, "digest", true, digest, sizeof(digest), where, err);
    if (ret == 0)
        ret = image_json_u64(object, "size", max, &out->size, where, err);
    if (ret)
        return ret;
    out->media = image_media_parse(type);
    ret = digest_parse(digest, &out->digest);
    if (ret == -ENOTSUP)
        return error_set(err, ENOTSUP, where, "names a digest of an unknown kind", "%s", digest);
    if (ret)
        return error_set(err, EINVAL, where, "names something that is no digest", "%s", digest);
    return 0;
}

static int parse_layer(const json_t *object, struct descriptor *out, uint64_t *total,
                       const char *where, struct husk_error *err)
{
    int ret = parse_descriptor(object, out, IMAGE_BLOB_BYTES_MAX, where, err);

    if (ret)
        return ret;
    if (out->media == MEDIA_LAYER_FOREIGN)
        return error_set(err, ENOTSUP, where, "has a layer that no registry distributes", "%s",
                         out->digest.text);
    if (out->media != MEDIA_LAYER_TAR && out->media != MEDIA_LAYER_GZIP &&
        out->media != MEDIA_LAYER_ZSTD)
        return error_set(err, ENOTSUP, where, "has something else than layers of containers",
                         "%s is \"%s\"", out->digest.text,
                         json_string_value(json_object_get(object, "mediaType")));
    if (!checked_add(*total, out->size, total) || *total > IMAGE_TOTAL_BYTES_MAX)
        return error_set(err, EFBIG, where, "has layers that are too big", "at most %llu GiB",
                         IMAGE_TOTAL_BYTES_MAX >> 30);
    return 0;
}

static int parse_image(const json_t *document, const char *where, struct manifest *out,
                       struct husk_error *err)
{
    const json_t *config, *layers;
    uint64_t total = 0;
    int ret = image_json_member(document, "config", JSON_OBJECT, true, &config, where, err);

    if (ret == 0)
        ret = image_json_member(document, "layers", JSON_ARRAY, true, &layers, where, err);
    if (ret == 0)
        ret = parse_descriptor(config, &out->config, IMAGE_JSON_BYTES_MAX, where, err);
    if (ret)
        return ret;
    if (out->config.media != MEDIA_CONFIG)
        return error_set(err, ENOTSUP, where, "is not the manifest of a container image",
                         "its configuration is \"%s\"",
                         json_string_value(json_object_get(config, "mediaType")));
    if (json_array_size(layers) > IMAGE_LAYERS_MAX)
        return error_set(err, EFBIG, where, "has too many layers", "%zu; at most %u",
                         json_array_size(layers), IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);

        if (!json_is_object(layer))
            return error_set(err, EINVAL, where, "has a layer that is not an object", "\"layers\"");
        ret = parse_layer(layer, &out->layers[i], &total, where, err);
        if (ret)
            return ret;
        out->layer_count++;
    }
    return 0;
}

static int parse_entry(const json_t *object, struct index_entry *out, const char *where,
                       struct husk_error *err)
{
    const json_t *platform, *notes;
    int ret = parse_descriptor(object, &out->descriptor, IMAGE_JSON_BYTES_MAX, where, err);

    if (ret == 0)
        ret = image_json_member(object, "platform", JSON_OBJECT, false, &platform, where, err);
    if (ret == 0)
        ret = image_json_member(object, "annotations", JSON_OBJECT, false, &notes, where, err);
    if (ret)
        return ret;
    if (platform) {
        const struct {
            const char *name;
            char *out;
        } parts[] = {{"os", out->platform.os},
                     {"architecture", out->platform.architecture},
                     {"variant", out->platform.variant}};

        for (unsigned i = 0; ret == 0 && i < ARRAY_SIZE(parts); i++)
            ret = image_json_text(platform, parts[i].name, false, parts[i].out, PLATFORM_PART_BYTES,
                                  where, err);
    }
    if (ret == 0 && notes)
        ret = image_json_text(notes, "io.containerd.image.name", false, out->name,
                              sizeof(out->name), where, err);
    if (ret == 0 && notes)
        ret = image_json_text(notes, "org.opencontainers.image.ref.name", false, out->version,
                              sizeof(out->version), where, err);
    return ret;
}

static int parse_index(const json_t *document, const char *where, struct manifest *out,
                       struct husk_error *err)
{
    const json_t *list;
    int ret = image_json_member(document, "manifests", JSON_ARRAY, true, &list, where, err);
    size_t count = list ? json_array_size(list) : 0;

    out->is_index = true;
    if (ret)
        return ret;
    if (count > IMAGE_INDEX_MAX)
        return error_set(err, EFBIG, where, "has too many entries", "%zu; at most %u", count,
                         IMAGE_INDEX_MAX);
    out->entries = calloc(count ? count : 1, sizeof(*out->entries));
    if (!out->entries)
        return error_set(err, ENOMEM, where, "cannot be read", NULL);
    for (size_t i = 0; i < count; i++) {
        struct index_entry *entry = &out->entries[out->entry_count];
        const json_t *object = json_array_get(list, i);

        if (!json_is_object(object))
            return error_set(err, EINVAL, where, "has an entry that is not an object",
                             "\"manifests\"");
        memset(entry, 0, sizeof(*entry));
        ret = parse_entry(object, entry, where, err);
        if (ret)
            return ret;
        if (entry->descriptor.media == MEDIA_MANIFEST || entry->descriptor.media == MEDIA_INDEX)
            out->entry_count++;
    }
    return 0;
}

/*
 * One document must not be an index to one reader and a manifest to another (OCI advisory of 2021,
 * CVE-2021-41190): members and media types have to agree.
 */
static int document_kind(const json_t *document, const char *type, const char *where,
                         enum image_media *out, struct husk_error *err)
{
    bool list = json_object_get(document, "manifests") != NULL;
    bool image = json_object_get(document, "layers") || json_object_get(document, "config");
    const char *own = json_string_value(json_object_get(document, "mediaType"));
    enum image_media given = image_media_parse(type), said = image_media_parse(own);

    if (given == MEDIA_SCHEMA1 || json_object_get(document, "fsLayers"))
        return error_set(err, ENOTSUP, where, "is a manifest of Docker's schema 1",
                         "which is not supported: push the image again with a newer tool");
    if (list == image)
        return error_set(err, EINVAL, where, "is neither a manifest nor an index",
                         list ? "it has the members of both" : "it has the members of neither");
    *out = list ? MEDIA_INDEX : MEDIA_MANIFEST;
    if (own && said != *out)
        return error_set(err, EINVAL, where, "has a media type that its members contradict", "%s",
                         own);
    if (given != MEDIA_OTHER && given != *out)
        return error_set(err, EINVAL, where, "came with a media type that its members contradict",
                         "%s", type);
    return 0;
}

int manifest_parse(const void *bytes, size_t len, const char *type, const char *where,
                   struct manifest *out, struct husk_error *err)
{
    json_t *document = image_json_parse(bytes, len, where, err);
    enum image_media kind = MEDIA_OTHER;
    uint64_t version;
    int ret;

    memset(out, 0, sizeof(*out));
    if (!document)
        return -EINVAL;
    ret = document_kind(document, type, where, &kind, err);
    if (ret == 0)
        ret = image_json_u64(document, "schemaVersion", 2, &version, where, err);
    if (ret == 0 && version != 2)
        ret = error_set(err, ENOTSUP, where, "has an unknown schemaVersion", "wants 2");
    if (ret == 0)
        ret = kind == MEDIA_INDEX ? parse_index(document, where, out, err)
                                  : parse_image(document, where, out, err);
    json_decref(document);
    if (ret)
        manifest_clear(out);
    return ret;
}

void manifest_clear(struct manifest *manifest)
{
    free(manifest->entries);
    memset(manifest, 0, sizeof(*manifest));
}

const struct index_entry *manifest_select(const struct manifest *index,
                                          const struct platform *platform)
{
    const struct index_entry *plain = NULL;

    for (unsigned i = 0; i < index->entry_count; i++) {
        const struct index_entry *entry = &index->entries[i];

        if (strcmp(entry->platform.os, platform->os) != 0 ||
            strcmp(entry->platform.architecture, platform->architecture) != 0)
            continue;
        if (!strcmp(entry->platform.variant, platform->variant))
            return entry;
        if (!plain && (!platform->variant[0] || !entry->platform.variant[0]))
            plain = entry;
    }
    return plain;
}

static const char *oci_type(enum image_media media)
{
    for (unsigned i = 0; i < ARRAY_SIZE(media_types); i++) {
        if (media_types[i].media == media)
            return media_types[i].type;
    }
    return "";
}

static json_t *write_descriptor(const struct descriptor *descriptor)
{
    return json_pack("{s:s,s:s,s:I}", "mediaType", oci_type(descriptor->media), "digest",
                     descriptor->digest.text, "size", (json_int_t)descriptor->size);
}

char *manifest_write(const struct descriptor *config, const struct descriptor *layers,
                     unsigned layer_count)
{
    json_t *list = json_array(), *document;
    char *text;

    for (unsigned i = 0; i < layer_count; i++)
        json_array_append_new(list, write_descriptor(&layers[i]));
    document =
        json_pack("{s:i,s:s,s:o,s:o}", "schemaVersion", 2, "mediaType", oci_type(MEDIA_MANIFEST),
                  "config", write_descriptor(config), "layers", list);
    text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    return text;
}
