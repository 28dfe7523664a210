// SPDX-License-Identifier: Apache-2.0
/* What the files of the store share; see store.h. */
#ifndef HUSK_POD_IMAGE_STORE_INTERNAL_H
#define HUSK_POD_IMAGE_STORE_INTERNAL_H

#include <dirent.h>
#include <limits.h>

#include "pod/image/store.h"

/* Directories of the store. */
#define STORE_IMAGES  "images"
#define STORE_BLOBS   "blobs"
#define STORE_LAYERS  "layers"
#define STORE_NEW     "new"
#define STORE_PARTIAL "partial"

#define STORE_RECORD_SUFFIX ".json"
#define STORE_LAYER_SUFFIX  ".erofs"
#define STORE_NAME_BYTES    128u

struct image_store {
    char path[PATH_MAX];
    int dir;
    int lock; /* an open file description of our own */
    image_store_users_fn users;
    void *users_arg;
};

/* "layers/HEX.erofs" and the like, from the store's directory. */
void store_layer_name(const struct digest *diff_id, char out[STORE_NAME_BYTES]);
void store_blob_name(const struct digest *digest, char out[STORE_NAME_BYTES]);

/* An error about a file of the store. */
int store_error(const struct image_store *store, int code, const char *name, const char *what,
                struct husk_error *err);

/* Lists a directory of the store; NULL and errno. */
DIR *store_list(const struct image_store *store, const char *directory);

/* Writes `bytes` to `name` so that it is there whole or not at all. */
int store_write(const struct image_store *store, const char *directory, const char *name,
                const void *bytes, size_t len, struct husk_error *err);

/* Removes everything in a directory of the store; returns how many files that were. */
unsigned store_empty(const struct image_store *store, const char *directory, uint64_t *bytes);

#endif
