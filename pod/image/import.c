// SPDX-License-Identifier: Apache-2.0
/*
 * Importing an image: see import.h. The caller's thread gets the documents, then works on layers
 * beside the threads that it makes; each takes the next layer that nobody has. `lock` guards what
 * they share. The first that fails makes the others stop.
 */
#include "pod/image/import.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "pod/image/config.h"
#include "pod/image/json.h"
#include "pod/image/layer.h"

#define DEFAULT_THREADS 4u
#define INDEX_DEPTH_MAX 4u

struct import {
    struct image_store *store;
    struct image_source *source;
    const struct import_options *options;
    const char *name;
    struct husk_error *err;
    struct platform platform;
    struct source_document manifest_bytes, config_bytes;
    struct manifest manifest;
    struct image_config config;
    struct digest source_digest;

    unsigned distinct[IMAGE_LAYERS_MAX]; /* of layers with one diff ID, the first */
    unsigned distinct_count;

    pthread_mutex_t lock; /* what follows */
    unsigned next;
    int ret;
    atomic_bool stop;
};

struct work {
    struct import *import;
    struct import_progress progress;
};

static void drop_document(struct source_document *document)
{
    free(document->bytes);
    memset(document, 0, sizeof(*document));
}

static void report(struct work *work, enum import_state state, uint64_t done)
{
    struct import *import = work->import;

    work->progress.state = state;
    work->progress.done_bytes = done;
    if (!import->options->progress)
        return;
    pthread_mutex_lock(&import->lock);
    import->options->progress(import->options->progress_arg, &work->progress);
    pthread_mutex_unlock(&import->lock);
}

static void got(void *arg, uint64_t bytes)
{
    report(arg, IMPORT_READING, bytes);
}

static int convert(struct import *import, const struct descriptor *layer,
                   const struct digest *diff_id, const struct source_blob *blob,
                   struct husk_error *err)
{
    struct layer_job job = {.blob_fd = blob->fd,
                            .blob_offset = blob->offset,
                            .blob_bytes = blob->size,
                            .media = layer->media,
                            .diff_id = *diff_id,
                            .where = layer->digest.text,
                            .stop = &import->stop};
    struct store_file file;
    uint64_t size;
    int ret = image_store_create(import->store, &file, err);

    if (ret)
        return ret;
    ret = layer_convert(&job, file.fd, &size, err);
    if (ret == 0)
        ret = image_store_commit_layer(import->store, &file, diff_id, err);
    image_store_discard(import->store, &file);
    return ret;
}

static int get_layer(struct work *work, const struct descriptor *layer,
                     const struct digest *diff_id, struct husk_error *err)
{
    struct import *import = work->import;
    const struct image_source_ops *ops = import->source->ops;
    struct source_progress progress = {.got = got, .arg = work, .stop = &import->stop};
    struct source_blob blob;
    int ret;

    if (image_store_layer_bytes(import->store, diff_id)) {
        report(work, IMPORT_PRESENT, layer->size);
        return 0;
    }
    report(work, IMPORT_READING, 0);
    ret = ops->get_blob(import->source, layer, &progress, &blob, err);
    if (ret)
        return ret;
    report(work, IMPORT_CONVERTING, layer->size);
    ret = convert(import, layer, diff_id, &blob, err);
    ops->put_blob(import->source, layer, &blob);
    if (ret == 0)
        report(work, IMPORT_DONE, layer->size);
    return ret;
}

/* The next layer that nobody has, or false. */
static bool take(struct import *import, unsigned *which)
{
    bool more;

    pthread_mutex_lock(&import->lock);
    more = import->ret == 0 && import->next < import->distinct_count;
    *which = import->next;
    if (more)
        import->next++;
    pthread_mutex_unlock(&import->lock);
    return more;
}

static void *work_on_layers(void *arg)
{
    struct import *import = arg;
    unsigned which;

    while (take(import, &which)) {
        unsigned index = import->distinct[which];
        const struct descriptor *layer = &import->manifest.layers[index];
        struct work work = {.import = import,
                            .progress = {.index = which,
                                         .count = import->distinct_count,
                                         .digest = layer->digest,
                                         .total_bytes = layer->size}};
        struct husk_error err = {0};
        int ret = get_layer(&work, layer, &import->config.diff_ids[index], &err);

        if (ret == 0)
            continue;
        pthread_mutex_lock(&import->lock);
        if (import->ret == 0) {
            import->ret = ret;
            if (import->err)
                *import->err = err;
        }
        pthread_mutex_unlock(&import->lock);
        atomic_store(&import->stop, true);
    }
    return NULL;
}

static int get_layers(struct import *import)
{
    unsigned threads = import->options->threads ? import->options->threads : DEFAULT_THREADS;
    pthread_t others[IMPORT_THREADS_MAX];
    unsigned count = 0;

    if (threads > import->distinct_count)
        threads = import->distinct_count;
    if (threads > IMPORT_THREADS_MAX)
        threads = IMPORT_THREADS_MAX;
    /* Fewer threads than wanted are slower, no more. */
    while (count + 1 < threads && pthread_create(&others[count], NULL, work_on_layers, import) == 0)
        count++;
    work_on_layers(import);
    while (count > 0)
        pthread_join(others[--count], NULL);
    return import->ret;
}

static int find_manifest(struct import *import)
{
    const struct image_source_ops *ops = import->source->ops;
    int ret = ops->top(import->source, &import->manifest_bytes, import->err);

    import->source_digest = import->manifest_bytes.digest;
    for (unsigned depth = 0; ret == 0; depth++) {
        const struct index_entry *entry;
        struct descriptor wanted;

        ret = manifest_parse(import->manifest_bytes.bytes, import->manifest_bytes.len,
                             import->manifest_bytes.type, import->name, &import->manifest,
                             import->err);
        if (ret || !import->manifest.is_index)
            return ret;
        entry = manifest_select(&import->manifest, &import->platform);
        if (!entry)
            return error_set(import->err, ENOENT, import->name, "has no image for this platform",
                             "none of its %u manifests is for %s/%s", import->manifest.entry_count,
                             import->platform.os, import->platform.architecture);
        if (depth == INDEX_DEPTH_MAX)
            return error_set(import->err, EINVAL, import->name, "is an index of indexes of indexes",
                             "at most %u levels", INDEX_DEPTH_MAX);
        wanted = entry->descriptor;
        manifest_clear(&import->manifest);
        drop_document(&import->manifest_bytes);
        ret = ops->document(import->source, &wanted, &import->manifest_bytes, import->err);
    }
    return ret;
}

static int find_config(struct import *import)
{
    int ret = import->source->ops->document(import->source, &import->manifest.config,
                                            &import->config_bytes, import->err);

    if (ret == 0)
        ret = image_config_parse(import->config_bytes.bytes, import->config_bytes.len,
                                 import->manifest.config.digest.text, &import->config, import->err);
    if (ret)
        return ret;
    if (import->config.diff_id_count != import->manifest.layer_count)
        return error_set(import->err, EINVAL, import->name,
                         "has a manifest and a configuration that do not agree",
                         "%u layers, but %u digests of layers", import->manifest.layer_count,
                         import->config.diff_id_count);
    if (strcmp(import->config.platform.os, import->platform.os) != 0 ||
        strcmp(import->config.platform.architecture, import->platform.architecture) != 0)
        return error_set(import->err, ENOENT, import->name, "is an image for another platform",
                         "%s/%s, not %s/%s", import->config.platform.os,
                         import->config.platform.architecture, import->platform.os,
                         import->platform.architecture);
    return 0;
}

static void find_distinct(struct import *import)
{
    for (unsigned i = 0; i < import->manifest.layer_count; i++) {
        unsigned before = 0;

        while (before < i &&
               !digest_equal(&import->config.diff_ids[before], &import->config.diff_ids[i]))
            before++;
        if (before == i)
            import->distinct[import->distinct_count++] = i;
    }
}

static void describe(const struct import *import, struct image_record *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->name, import->name, strlen(import->name) + 1);
    out->source = import->source_digest;
    out->manifest = import->manifest_bytes.digest;
    out->config = import->manifest.config.digest;
    out->platform = import->config.platform;
    out->time_s = (int64_t)time(NULL);
    out->layer_count = import->manifest.layer_count;
    for (unsigned i = 0; i < out->layer_count; i++) {
        out->layers[i].diff_id = import->config.diff_ids[i];
        out->layers[i].digest = import->manifest.layers[i].digest;
        out->layers[i].bytes = import->manifest.layers[i].size;
        out->layers[i].image_bytes =
            image_store_layer_bytes(import->store, &out->layers[i].diff_id);
    }
}

static int record(struct import *import, struct image_record *out)
{
    int ret =
        image_store_put_blob(import->store, &import->manifest_bytes.digest,
                             import->manifest_bytes.bytes, import->manifest_bytes.len, import->err);

    if (ret == 0)
        ret =
            image_store_put_blob(import->store, &import->manifest.config.digest,
                                 import->config_bytes.bytes, import->config_bytes.len, import->err);
    if (ret)
        return ret;
    describe(import, out);
    return image_store_put(import->store, out, import->err);
}

static int import_locked(struct import *import, struct image_record *out)
{
    int ret = find_manifest(import);

    if (ret == 0)
        ret = find_config(import);
    if (ret)
        return ret;
    find_distinct(import);
    ret = get_layers(import);
    return ret ? ret : record(import, out);
}

int image_import(struct image_store *store, struct image_source *source, const char *name,
                 const struct import_options *options, struct image_record *out,
                 struct husk_error *err)
{
    struct import *import = calloc(1, sizeof(*import));
    struct store_collected collected;
    int ret;

    if (!import)
        return error_set(err, ENOMEM, name, "cannot be imported", NULL);
    if (strlen(name) >= sizeof(out->name)) {
        free(import);
        return error_set(err, ENAMETOOLONG, name, "cannot be imported", NULL);
    }
    *import = (struct import){
        .store = store, .source = source, .options = options, .name = name, .err = err};
    pthread_mutex_init(&import->lock, NULL);
    if (options->platform.os[0])
        import->platform = options->platform;
    else
        platform_of_host(&import->platform);
    ret = image_store_begin(store, err);
    if (ret == 0) {
        ret = import_locked(import, out);
        image_store_end(store);
        /* The layers that did arrive belong to no image. Busy: who is adding may need them. */
        if (ret)
            (void)image_store_collect(store, &collected, NULL);
    }
    drop_document(&import->manifest_bytes);
    drop_document(&import->config_bytes);
    manifest_clear(&import->manifest);
    image_config_clear(&import->config);
    pthread_mutex_destroy(&import->lock);
    free(import);
    return ret;
}
