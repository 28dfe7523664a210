// SPDX-License-Identifier: Apache-2.0
/*
 * Sources over files: see source_bundle.h. What has a digest in an OCI layout is at
 * blobs/ALGORITHM/DIGITS; of a docker archive a table says which file has which digest, and the
 * manifest that such an archive lacks is written here.
 */
#include "pod/image/source_bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define FILES_MAX (IMAGE_LAYERS_MAX + 1)

struct named_file {
    struct descriptor descriptor;
    const char *name; /* a string of manifest.json */
};

struct bundle_source {
    struct image_source base;
    struct bundle *bundle;
    struct descriptor top;
    char *manifest; /* of a docker archive, which has none; or NULL */
    json_t *entry;
    struct named_file files[FILES_MAX];
    unsigned file_count;
};

static struct bundle_source *of(struct image_source *source)
{
    return (struct bundle_source *)source;
}

/* The name of what has a digest, or NULL. */
static const char *name_of(struct bundle_source *source, const struct digest *digest,
                           char buffer[96])
{
    if (!source->manifest) {
        snprintf(buffer, 96, "blobs/sha256/%s", digest_hex(digest));
        return buffer;
    }
    for (unsigned i = 0; i < source->file_count; i++) {
        if (digest_equal(&source->files[i].descriptor.digest, digest))
            return source->files[i].name;
    }
    return NULL;
}

static int missing(const struct bundle_source *source, const struct digest *digest,
                   struct husk_error *err)
{
    return error_set(err, EINVAL, bundle_name(source->bundle), "lacks a part of the image", "%s",
                     digest->text);
}

static int check(const struct descriptor *wanted, uint64_t size, const struct digest *found,
                 struct husk_error *err)
{
    if (size != wanted->size)
        return error_set(err, EBADMSG, wanted->digest.text, "has another size than it should",
                         "%llu bytes, not %llu", (unsigned long long)size,
                         (unsigned long long)wanted->size);
    if (found && !digest_equal(found, &wanted->digest))
        return error_set(err, EBADMSG, wanted->digest.text, "is damaged",
                         "its contents have the digest %s", found->text);
    return 0;
}

static int read_document(struct image_source *base, const struct descriptor *wanted,
                         struct source_document *out, struct husk_error *err)
{
    struct bundle_source *source = of(base);
    char buffer[96];
    const char *name = name_of(source, &wanted->digest, buffer);
    int ret = name ? bundle_read(source->bundle, name, &out->bytes, &out->len, err) : -ENOENT;

    if (ret == -ENOENT)
        return missing(source, &wanted->digest, err);
    if (ret)
        return ret;
    ret = digest_of(out->bytes, out->len, &out->digest);
    ret = ret ? error_set(err, -ret, wanted->digest.text, "cannot be digested", NULL)
              : check(wanted, out->len, &out->digest, err);
    if (ret) {
        free(out->bytes);
        out->bytes = NULL;
    }
    return ret;
}

static int read_top(struct image_source *base, struct source_document *out, struct husk_error *err)
{
    struct bundle_source *source = of(base);

    if (!source->manifest)
        return read_document(base, &source->top, out, err);
    out->bytes = strdup(source->manifest);
    out->len = strlen(source->manifest);
    out->digest = source->top.digest;
    return out->bytes ? 0
                      : error_set(err, ENOMEM, bundle_name(source->bundle), "cannot be read", NULL);
}

static int get_blob(struct image_source *base, const struct descriptor *wanted,
                    const struct source_progress *progress, struct source_blob *out,
                    struct husk_error *err)
{
    struct bundle_source *source = of(base);
    struct bundle_file *file = calloc(1, sizeof(*file));
    struct digest found;
    char buffer[96];
    const char *name = name_of(source, &wanted->digest, buffer);
    int ret;

    if (!file)
        return error_set(err, ENOMEM, wanted->digest.text, "cannot be read", NULL);
    ret = name ? bundle_find(source->bundle, name, file, err) : -ENOENT;
    if (ret == -ENOENT)
        missing(source, &wanted->digest, err);
    if (ret) {
        free(file);
        return ret;
    }
    ret = check(wanted, file->size, NULL, err);
    /* A docker archive's digest was computed of these very bytes. */
    if (ret == 0 && !source->manifest) {
        ret = digest_of_range(file->fd, file->offset, file->size, &found);
        ret = ret ? error_set(err, -ret, wanted->digest.text, "cannot be read", NULL)
                  : check(wanted, file->size, &found, err);
    }
    if (ret) {
        bundle_release(file);
        free(file);
        return ret;
    }
    progress->got(progress->arg, file->size);
    *out = (struct source_blob){
        .fd = file->fd, .offset = file->offset, .size = file->size, .holder = file};
    return 0;
}

static void put_blob(struct image_source *base, const struct descriptor *wanted,
                     struct source_blob *blob)
{
    bundle_release(blob->holder);
    free(blob->holder);
}

static void destroy(struct image_source *base)
{
    struct bundle_source *source = of(base);

    json_decref(source->entry);
    free(source->manifest);
    free(source);
}

static const struct image_source_ops ops = {.top = read_top,
                                            .document = read_document,
                                            .get_blob = get_blob,
                                            .put_blob = put_blob,
                                            .destroy = destroy};

void source_destroy(struct image_source *source)
{
    if (source)
        source->ops->destroy(source);
}

struct image_source *source_layout(struct bundle *bundle, const struct descriptor *top)
{
    struct bundle_source *source = calloc(1, sizeof(*source));

    if (!source)
        return NULL;
    *source = (struct bundle_source){.base.ops = &ops, .bundle = bundle, .top = *top};
    return &source->base;
}

/* Layers of such archives have no media type: what their first bytes say. RFC 1952, 2.3.1 (gzip);
 * RFC 8878, 3.1.1 (zstd). */
static enum image_media recognise(const struct bundle_file *file)
{
    static const uint8_t gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t head[4];

    if (file->size < sizeof(head) || pread_full(file->fd, head, sizeof(head), file->offset))
        return MEDIA_LAYER_TAR;
    if (!memcmp(head, gzip, sizeof(gzip)))
        return MEDIA_LAYER_GZIP;
    return memcmp(head, zstd, sizeof(zstd)) ? MEDIA_LAYER_TAR : MEDIA_LAYER_ZSTD;
}

static int add_file(struct bundle_source *source, const json_t *name, bool layer,
                    struct husk_error *err)
{
    struct named_file *named = &source->files[source->file_count];
    const char *where = bundle_name(source->bundle);
    struct bundle_file file;
    int ret;

    if (!json_is_string(name))
        return error_set(err, EINVAL, where, "has a manifest.json with a wrong entry",
                         "Config and Layers name files");
    named->name = json_string_value(name);
    ret = bundle_find(source->bundle, named->name, &file, err);
    if (ret == -ENOENT)
        return error_set(err, EINVAL, where, "lacks a part of the image", "%s", named->name);
    if (ret)
        return ret;
    named->descriptor.media = layer ? recognise(&file) : MEDIA_CONFIG;
    named->descriptor.size = file.size;
    ret = digest_of_range(file.fd, file.offset, file.size, &named->descriptor.digest);
    bundle_release(&file);
    if (ret)
        return error_set(err, -ret, named->name, "cannot be read", NULL);
    source->file_count++;
    return 0;
}

static int add_files(struct bundle_source *source, struct husk_error *err)
{
    const char *where = bundle_name(source->bundle);
    struct descriptor layers[IMAGE_LAYERS_MAX];
    const json_t *list;
    unsigned count;
    int ret = image_json_member(source->entry, "Layers", JSON_ARRAY, true, &list, where, err);

    if (ret == 0 && json_array_size(list) > IMAGE_LAYERS_MAX)
        ret = error_set(err, EFBIG, where, "has too many layers", "at most %u", IMAGE_LAYERS_MAX);
    if (ret == 0)
        ret = add_file(source, json_object_get(source->entry, "Config"), false, err);
    for (size_t i = 0; ret == 0 && i < json_array_size(list); i++)
        ret = add_file(source, json_array_get(list, i), true, err);
    if (ret)
        return ret;
    count = source->file_count - 1;
    for (unsigned i = 0; i < count; i++)
        layers[i] = source->files[i + 1].descriptor;
    source->manifest = manifest_write(&source->files[0].descriptor, layers, count);
    if (!source->manifest ||
        digest_of(source->manifest, strlen(source->manifest), &source->top.digest))
        return error_set(err, ENOMEM, where, "cannot be read", NULL);
    return 0;
}

struct image_source *source_docker(struct bundle *bundle, const json_t *entry,
                                   struct husk_error *err)
{
    struct bundle_source *source = calloc(1, sizeof(*source));

    if (!source) {
        error_set(err, ENOMEM, bundle_name(bundle), "cannot be read", NULL);
        return NULL;
    }
    *source =
        (struct bundle_source){.base.ops = &ops, .bundle = bundle, .entry = json_deep_copy(entry)};
    if (add_files(source, err)) {
        destroy(&source->base);
        return NULL;
    }
    return &source->base;
}
