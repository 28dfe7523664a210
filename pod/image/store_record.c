// SPDX-License-Identifier: Apache-2.0
/*
 * The records of the store, one file for each image's name: see store.h and
 * docs/formats/image-store.md. A record is named by the digest of the image's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"
#include "pod/image/store_internal.h"

#define RECORD_BYTES_MAX (256u << 10)
#define RECORDS_MAX      100000u
#define ID_DIGITS_MIN    4u

static int record_name(const char *image, char out[STORE_NAME_BYTES])
{
    struct digest digest;
    int ret = digest_of(image, strlen(image), &digest);

    if (ret == 0)
        snprintf(out, STORE_NAME_BYTES, STORE_IMAGES "/%s" STORE_RECORD_SUFFIX,
                 digest_hex(&digest));
    return ret;
}

static json_t *encode(const struct image_record *record)
{
    json_t *layers = json_array();

    for (unsigned i = 0; i < record->layer_count; i++) {
        const struct image_layer *layer = &record->layers[i];

        json_array_append_new(layers, json_pack("{s:s,s:s,s:I,s:I}", "diff_id", layer->diff_id.text,
                                                "digest", layer->digest.text, "bytes",
                                                (json_int_t)layer->bytes, "image_bytes",
                                                (json_int_t)layer->image_bytes));
    }
    return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o}", "version", 1, "name",
                     record->name, "source", record->source.text, "manifest", record->manifest.text,
                     "config", record->config.text, "os", record->platform.os, "architecture",
                     record->platform.architecture, "variant", record->platform.variant, "time",
                     (json_int_t)record->time_s, "layers", layers);
}

int image_store_put(struct image_store *store, const struct image_record *record,
                    struct husk_error *err)
{
    char name[STORE_NAME_BYTES];
    json_t *document = encode(record);
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    int ret = text ? record_name(record->name, name) : -ENOMEM;

    json_decref(document);
    if (ret)
        error_set(err, -ret, record->name, "cannot be recorded", NULL);
    else
        ret = store_write(store, STORE_IMAGES, name, text, strlen(text), err);
    free(text);
    return ret;
}

static int decode_digest(const json_t *object, const char *name, struct digest *out,
                         const char *where, struct husk_error *err)
{
    char text[DIGEST_TEXT_BYTES];
    int ret = image_json_text(object, name, true, text, sizeof(text), where, err);

    if (ret == 0 && digest_parse(text, out))
        ret = error_set(err, EINVAL, where, "has something else where a digest belongs", "\"%s\"",
                        name);
    return ret;
}

static int decode_layers(const json_t *document, struct image_record *out, const char *where,
                         struct husk_error *err)
{
    const json_t *list;
    int ret = image_json_member(document, "layers", JSON_ARRAY, true, &list, where, err);

    if (ret == 0 && json_array_size(list) > IMAGE_LAYERS_MAX)
        ret = error_set(err, EFBIG, where, "has too many layers", NULL);
    for (size_t i = 0; ret == 0 && i < json_array_size(list); i++) {
        struct image_layer *layer = &out->layers[i];
        const json_t *object = json_array_get(list, i);

        ret = decode_digest(object, "diff_id", &layer->diff_id, where, err);
        if (ret == 0)
            ret = decode_digest(object, "digest", &layer->digest, where, err);
        if (ret == 0)
            ret = image_json_u64(object, "bytes", INT64_MAX, &layer->bytes, where, err);
        if (ret == 0)
            ret = image_json_u64(object, "image_bytes", INT64_MAX, &layer->image_bytes, where, err);
        out->layer_count++;
    }
    return ret;
}

static int decode(const json_t *document, struct image_record *out, const char *where,
                  struct husk_error *err)
{
    uint64_t version, time_s = 0;
    int ret = image_json_u64(document, "version", INT32_MAX, &version, where, err);

    memset(out, 0, sizeof(*out));
    if (ret == 0 && version != 1)
        return error_set(err, ENOTSUP, where, "has another version", "wants 1");
    if (ret == 0)
        ret = image_json_text(document, "name", true, out->name, sizeof(out->name), where, err);
    if (ret == 0)
        ret = decode_digest(document, "source", &out->source, where, err);
    if (ret == 0)
        ret = decode_digest(document, "manifest", &out->manifest, where, err);
    if (ret == 0)
        ret = decode_digest(document, "config", &out->config, where, err);
    if (ret == 0)
        ret = image_json_text(document, "os", true, out->platform.os, PLATFORM_PART_BYTES, where,
                              err);
    if (ret == 0)
        ret = image_json_text(document, "architecture", true, out->platform.architecture,
                              PLATFORM_PART_BYTES, where, err);
    if (ret == 0)
        ret = image_json_text(document, "variant", false, out->platform.variant,
                              PLATFORM_PART_BYTES, where, err);
    if (ret == 0)
        ret = image_json_u64(document, "time", INT64_MAX, &time_s, where, err);
    out->time_s = (int64_t)time_s;
    return ret ? ret : decode_layers(document, out, where, err);
}

/* -ENOENT without an error when there is none. */
static int read_record(struct image_store *store, const char *name, struct image_record *out,
                       struct husk_error *err)
{
    char where[PATH_MAX + STORE_NAME_BYTES + 2], *text;
    json_t *document;
    size_t len;
    int ret = read_file_at(store->dir, name, RECORD_BYTES_MAX, &text, &len);

    if (ret == -ENOENT)
        return ret;
    if (ret || !text)
        return store_error(store, -ret, name, "cannot be read", err);
    snprintf(where, sizeof(where), "%s/%s", store->path, name);
    document = image_json_parse(text, len, where, err);
    free(text);
    ret = document ? decode(document, out, where, err) : -EBADMSG;
    json_decref(document);
    return ret ? -EBADMSG : 0;
}

struct found_record {
    char image[REFERENCE_TEXT_BYTES];
    char file[STORE_NAME_BYTES];
};

static int compare_found(const void *a, const void *b)
{
    return strcmp(((const struct found_record *)a)->image, ((const struct found_record *)b)->image);
}

/* All records' files in the order of the images' names; *out is the caller's. */
static int list_records(struct image_store *store, struct found_record **out, unsigned *count,
                        struct husk_error *err)
{
    DIR *dir = store_list(store, STORE_IMAGES);
    struct image_record *record = malloc(sizeof(*record));
    struct found_record *list = NULL;
    struct dirent *entry;
    unsigned capacity = 0;
    int ret = 0;

    *count = 0;
    if (!dir || !record)
        ret = store_error(store, dir ? ENOMEM : errno, STORE_IMAGES, "cannot be read", err);
    while (ret == 0 && dir && record && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len != DIGEST_HEX_LENGTH + sizeof(STORE_RECORD_SUFFIX) - 1)
            continue;
        if (*count == capacity) {
            struct found_record *more;

            capacity = capacity ? capacity * 2 : 64;
            more = capacity > RECORDS_MAX * 2 ? NULL : reallocarray(list, capacity, sizeof(*list));
            if (!more) {
                ret = store_error(store, ENOMEM, STORE_IMAGES, "cannot be read", err);
                break;
            }
            list = more;
        }
        snprintf(list[*count].file, STORE_NAME_BYTES, STORE_IMAGES "/%.100s", entry->d_name);
        ret = read_record(store, list[*count].file, record, err);
        if (ret == -ENOENT) {
            ret = 0; /* removed meanwhile */
            continue;
        }
        if (ret)
            break;
        memcpy(list[*count].image, record->name, sizeof(record->name));
        (*count)++;
    }
    if (dir)
        closedir(dir);
    free(record);
    if (ret) {
        free(list);
        return ret;
    }
    if (*count)
        qsort(list, *count, sizeof(*list), compare_found);
    *out = list;
    return 0;
}

int image_store_each(struct image_store *store,
                     int (*each)(void *arg, const struct image_record *record), void *arg,
                     struct husk_error *err)
{
    struct image_record *record = malloc(sizeof(*record));
    struct found_record *list = NULL;
    unsigned count = 0;
    int ret = record ? list_records(store, &list, &count, err)
                     : error_set(err, ENOMEM, store->path, "cannot be read", NULL);

    if (ret) {
        free(record);
        return ret;
    }
    for (unsigned i = 0; ret == 0 && i < count; i++) {
        ret = read_record(store, list[i].file, record, err);
        if (ret == 0)
            ret = each(arg, record);
        else if (ret == -ENOENT)
            ret = 0;
    }
    free(list);
    free(record);
    return ret;
}

struct search {
    const char *digits;
    struct image_record *out;
    unsigned found;
};

static int match_id(void *arg, const struct image_record *record)
{
    struct search *search = arg;

    if (strncmp(digest_hex(&record->config), search->digits, strlen(search->digits)) != 0)
        return 0;
    if (!search->found || !digest_equal(&record->config, &search->out->config)) {
        *search->out = *record;
        search->found++;
    }
    return 0;
}

static int find_id(struct image_store *store, const char *text, struct image_record *out,
                   struct husk_error *err)
{
    struct search search = {.digits = text, .out = out};
    int ret;

    if (!strncmp(text, "sha256:", 7))
        search.digits += 7;
    ret = strlen(search.digits);
    if (ret < (int)ID_DIGITS_MIN || ret > (int)DIGEST_HEX_LENGTH ||
        search.digits[strspn(search.digits, "0123456789abcdef")])
        return -ENOENT;
    ret = image_store_each(store, match_id, &search, err);
    if (ret)
        return ret;
    if (search.found > 1)
        return error_set(err, ENOTUNIQ, text, "is the beginning of several images' IDs",
                         "give more of its digits");
    return search.found ? 0 : -ENOENT;
}

int image_store_find(struct image_store *store, const char *text, struct image_record *out,
                     struct husk_error *err)
{
    char name[STORE_NAME_BYTES], image[REFERENCE_TEXT_BYTES];
    struct husk_error wrong = {0};
    struct reference reference;
    int parsed = reference_parse(text, &reference, &wrong);
    int ret = parsed ? -ENOENT : record_name(reference_format(&reference, image), name);

    if (ret == 0)
        ret = read_record(store, name, out, err);
    if (ret == -ENOENT)
        ret = find_id(store, text, out, err);
    if (ret == -ENOENT && parsed) {
        if (err)
            *err = wrong;
        return parsed;
    }
    if (ret == -ENOENT)
        return error_set(err, ENOENT, image, "is not in the store", "`husk image pull` gets it");
    return ret;
}

int image_store_remove(struct image_store *store, const struct image_record *record,
                       struct husk_error *err)
{
    char name[STORE_NAME_BYTES];
    int ret = record_name(record->name, name);

    if (ret == 0 && unlinkat(store->dir, name, 0) < 0)
        ret = -errno;
    return ret ? store_error(store, -ret, record->name, "cannot be removed", err) : 0;
}
