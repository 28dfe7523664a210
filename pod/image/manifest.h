// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests and indexes of images, as registries and archives have them: OCI Image Specification
 * 1.1 (manifest.md, image-index.md, descriptor.md) and Docker's Image Manifest Version 2, Schema 2.
 * Their bytes come from strangers; what is parsed here is whole and within the limits below.
 */
#ifndef HUSK_POD_IMAGE_MANIFEST_H
#define HUSK_POD_IMAGE_MANIFEST_H

#include <stdbool.h>

#include "husk/error.h"
#include "pod/image/digest.h"

#define IMAGE_LAYERS_MAX      127u /* what Docker builds at most, and less than overlayfs's 500 */
#define IMAGE_INDEX_MAX       512u /* entries of an index */
#define IMAGE_BLOB_BYTES_MAX  (32ull << 30) /* one layer as it travels */
#define IMAGE_TOTAL_BYTES_MAX (64ull << 30) /* all layers of an image together */
#define PLATFORM_PART_BYTES   32u

enum image_media {
    MEDIA_OTHER, /* nothing that husk knows */
    MEDIA_INDEX,
    MEDIA_MANIFEST,
    MEDIA_CONFIG,
    MEDIA_LAYER_TAR,
    MEDIA_LAYER_GZIP,
    MEDIA_LAYER_ZSTD,
    MEDIA_LAYER_FOREIGN, /* Docker's layers that no registry distributes */
    MEDIA_SCHEMA1,       /* Docker's manifests of before 2016 */
};

/* NULL and "" are MEDIA_OTHER; parameters after ';' do not count. */
enum image_media image_media_parse(const char *type);

struct descriptor {
    enum image_media media;
    struct digest digest;
    uint64_t size; /* bytes of what has the digest */
};

struct platform {
    char os[PLATFORM_PART_BYTES];
    char architecture[PLATFORM_PART_BYTES];
    char variant[PLATFORM_PART_BYTES]; /* "" when not given */
};

/* "OS/ARCHITECTURE[/VARIANT]" as in "linux/amd64". 0 or -EINVAL. */
int platform_parse(const char *text, struct platform *out);

/* This machine's. */
void platform_of_host(struct platform *out);

struct index_entry {
    struct descriptor descriptor; /* of a manifest or of another index */
    struct platform platform;     /* os "" when the index does not say */
    char name[720];               /* io.containerd.image.name, or "" */
    char version[720];            /* org.opencontainers.image.ref.name, or "" */
};

/* A manifest, or an index; entries of other media types are left out of an index. */
struct manifest {
    bool is_index;
    struct descriptor config;
    struct descriptor layers[IMAGE_LAYERS_MAX]; /* the lowest first */
    unsigned layer_count;
    struct index_entry *entries; /* ours */
    unsigned entry_count;
};

/*
 * `type`: the media type that came with the bytes, or NULL. `where` names them in errors. On
 * success *out is to be given to manifest_clear(). -EINVAL, -ERANGE, -EFBIG, -ENOTSUP, -ENOMEM.
 */
int manifest_parse(const void *bytes, size_t len, const char *type, const char *where,
                   struct manifest *out, struct husk_error *err);
void manifest_clear(struct manifest *manifest);

/* The entry of an index for a platform: the same variant, or one without when there is none such.
 * NULL when there is none. */
const struct index_entry *manifest_select(const struct manifest *index,
                                          const struct platform *platform);

/* A manifest in OCI's form, with the descriptors given, as a string that the caller frees; NULL
 * when memory is short. The same descriptors always give the same bytes. */
char *manifest_write(const struct descriptor *config, const struct descriptor *layers,
                     unsigned layer_count);

#endif
