// SPDX-License-Identifier: Apache-2.0
/*
 * The store of images on this host: layers by digest, each once, and which image needs which.
 * docs/formats/image-store.md is its format and says why a process that dies at any moment leaves
 * it whole. Functions block; one store object is used by one thread at a time unless said.
 *
 * Locks: who adds to the store holds it shared (image_store_begin), who collects garbage holds it
 * exclusively. Who uses a layer holds the layer's own file shared (image_store_open_layer).
 */
#ifndef HUSK_POD_IMAGE_STORE_H
#define HUSK_POD_IMAGE_STORE_H

#include <stdbool.h>

#include "husk/error.h"
#include "pod/image/manifest.h"
#include "pod/image/reference.h"

struct image_store;

struct image_layer {
    struct digest diff_id; /* of the tar stream: what the layer is kept by */
    struct digest digest;  /* of the layer as it came */
    uint64_t bytes;        /* as it came */
    uint64_t image_bytes;  /* as it is kept */
};

/* What the store knows of one image. */
struct image_record {
    char name[REFERENCE_TEXT_BYTES]; /* canonical, see reference_format() */
    struct digest source;            /* of what the name stood for: an index or the manifest */
    struct digest manifest;
    struct digest config; /* the image's ID */
    struct platform platform;
    int64_t time_s;                              /* since 1970: when it came into the store */
    struct image_layer layers[IMAGE_LAYERS_MAX]; /* the lowest first */
    unsigned layer_count;
};

/* Where the store is by default: $HUSK_STORE, or /var/lib/husk/images for root, or
 * $XDG_DATA_HOME/husk/images (~/.local/share/husk/images). 0, or -errno with err filled. */
int image_store_default(char *path, size_t size, struct husk_error *err);

/*
 * Opens the store at `path`; with `create` makes what is missing of it. A directory that holds
 * other things is refused (-ENOTEMPTY), as is one that belongs to somebody else or that others may
 * write (-EPERM), or has another version (-ENOTSUP). -ENOENT without `create`.
 */
int image_store_open(const char *path, bool create, struct image_store **out,
                     struct husk_error *err);
/* Takes NULL. */
void image_store_close(struct image_store *store);
const char *image_store_path(const struct image_store *store);

/* Before anything is added; waits while somebody collects garbage. Removes what processes that
 * were killed left half-made, if nobody else is adding. */
int image_store_begin(struct image_store *store, struct husk_error *err);
void image_store_end(struct image_store *store);

/* Any thread. Its image_bytes, or 0 when the store does not have the layer. */
uint64_t image_store_layer_bytes(const struct image_store *store, const struct digest *diff_id);

/*
 * A layer's EROFS image, read-only, with a shared lock on it that keeps it from being collected as
 * long as the descriptor (or a duplicate) is open. Returns the descriptor, the caller's, or -errno
 * with err filled (-ENOENT: the store does not have it).
 */
int image_store_open_layer(const struct image_store *store, const struct digest *diff_id,
                           struct husk_error *err);

/* A file on its way into the store. */
struct store_file {
    int fd; /* -1 when there is none */
    char name[32];
};

/* Any thread, between begin and end. -errno with err filled. */
int image_store_create(const struct image_store *store, struct store_file *out,
                       struct husk_error *err);
/* Makes it the layer diff_id, durably; closes it. Another one of the same digest stays. */
int image_store_commit_layer(const struct image_store *store, struct store_file *file,
                             const struct digest *diff_id, struct husk_error *err);
/* Removes and closes it; takes one that is committed. */
void image_store_discard(const struct image_store *store, struct store_file *file);

/* A file without a name, for what is needed for a while. The descriptor or -errno. */
int image_store_scratch(const struct image_store *store, struct husk_error *err);

/*
 * The file in which the blob `digest` is being downloaded, with what an earlier process got of it;
 * waits while another process downloads the same. The descriptor, for image_store_partial_end(), or
 * -errno. Any thread, between begin and end.
 */
int image_store_partial(const struct image_store *store, const struct digest *digest,
                        struct husk_error *err);
/* Removes the file unless `keep`; closes fd. */
void image_store_partial_end(const struct image_store *store, const struct digest *digest, int fd,
                             bool keep);

/* Documents by digest; the caller has verified it. Reading: *bytes is the caller's to free and
 * ends with a NUL that does not count; the digest is verified (-EBADMSG). */
int image_store_put_blob(struct image_store *store, const struct digest *digest, const void *bytes,
                         size_t len, struct husk_error *err);
int image_store_get_blob(struct image_store *store, const struct digest *digest, char **bytes,
                         size_t *len, struct husk_error *err);

/* Durably adds the image or replaces the one of the same name; all it needs must be there. */
int image_store_put(struct image_store *store, const struct image_record *record,
                    struct husk_error *err);

/* Calls back for each image, in the order of their names; stops at and returns its first non-zero
 * result. A record that cannot be read is -EBADMSG. */
int image_store_each(struct image_store *store,
                     int (*each)(void *arg, const struct image_record *record), void *arg,
                     struct husk_error *err);

/*
 * The image that `text` means: a reference, or at least 4 digits of the beginning of an ID that
 * only one ID has. -ENOENT, -ENOTUNIQ, -EINVAL.
 */
int image_store_find(struct image_store *store, const char *text, struct image_record *out,
                     struct husk_error *err);

/* Forgets the image; its layers stay until garbage is collected. -ENOENT. */
int image_store_remove(struct image_store *store, const struct image_record *record,
                       struct husk_error *err);

/*
 * Who needs layers although no image may need them any more, and they are not in use at the moment:
 * asked whenever garbage is collected, it calls keep(to, ...) for each of them, and returns its
 * first non-zero result; -errno with err (which may be NULL) filled: nothing is removed.
 */
typedef int (*image_store_users_fn)(void *arg, int (*keep)(void *to, const struct digest *layer),
                                    void *to, struct husk_error *err);
void image_store_set_users(struct image_store *store, image_store_users_fn users, void *arg);

struct store_collected {
    unsigned layers, blobs, leftovers; /* removed */
    unsigned in_use; /* layers that no image needs, but somebody has open, or users need */
    uint64_t bytes;
};

/*
 * Removes everything that neither an image nor a user needs and that nobody has open. -EBUSY while
 * somebody adds to the store; -EBADMSG, with nothing removed, when a record cannot be read. Not
 * between begin and end.
 */
int image_store_collect(struct image_store *store, struct store_collected *out,
                        struct husk_error *err);

#endif
