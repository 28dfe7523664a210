// SPDX-License-Identifier: Apache-2.0
/*
 * Where an image comes from: a registry, or an archive or directory. A source is one object with
 * one table of operations; what it hands out has the digest and the size that were asked for.
 */
#ifndef HUSK_POD_IMAGE_SOURCE_H
#define HUSK_POD_IMAGE_SOURCE_H

#include <stdatomic.h>

#include "husk/error.h"
#include "pod/image/manifest.h"

/* A manifest, an index or a configuration; bytes are the holder's, from malloc(). */
struct source_document {
    char *bytes;
    size_t len;
    struct digest digest;
    char type[128]; /* the media type that came with it, or "" */
};

/* A layer as it travels. */
struct source_blob {
    int fd;
    uint64_t offset, size;
    void *holder; /* the source's own */
};

/* Called now and then with how many bytes of a blob are here; see import.h for the threads. */
struct source_progress {
    void (*got)(void *arg, uint64_t bytes);
    void *arg;
    const atomic_bool *stop; /* true: give up with -ECANCELED */
};

struct image_source;

struct image_source_ops {
    /* What the source was opened for: a manifest or an index. */
    int (*top)(struct image_source *source, struct source_document *out, struct husk_error *err);
    /* A small document by digest and size. */
    int (*document)(struct image_source *source, const struct descriptor *wanted,
                    struct source_document *out, struct husk_error *err);
    /* A layer. Any thread, several at once. To be given to put_blob(). */
    int (*get_blob)(struct image_source *source, const struct descriptor *wanted,
                    const struct source_progress *progress, struct source_blob *out,
                    struct husk_error *err);
    void (*put_blob)(struct image_source *source, const struct descriptor *wanted,
                     struct source_blob *blob);
    void (*destroy)(struct image_source *source);
};

struct image_source {
    const struct image_source_ops *ops;
};

#endif
