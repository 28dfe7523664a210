// SPDX-License-Identifier: Apache-2.0
/*
 * Files by name, out of a directory or a tar archive, for images that come as one. An archive is
 * read once from its beginning to its end, so it can be a pipe; what its members hold is kept in
 * one file without a name, and their names in memory only.
 */
#ifndef HUSK_POD_IMAGE_BUNDLE_H
#define HUSK_POD_IMAGE_BUNDLE_H

#include <stdint.h>

#include "husk/error.h"
#include "pod/image/store.h"

#define BUNDLE_MEMBERS_MAX 10000u
#define BUNDLE_BYTES_MAX   (96ull << 30)

struct bundle;

struct bundle_file {
    int fd; /* the bundle's or, when `owned`, the holder's */
    uint64_t offset, size;
    bool owned;
};

/* path "-" is standard input. The store gives the space. 0, or -errno with err filled. */
int bundle_open(const char *path, const struct image_store *store, struct bundle **out,
                struct husk_error *err);
/* Takes NULL. */
void bundle_close(struct bundle *bundle);

/* How errors name it. */
const char *bundle_name(const struct bundle *bundle);

/*
 * A regular file. Symbolic links are followed, but never out of the bundle. Any thread. -ENOENT
 * when there is none such; err is only filled for other errors. To be given to bundle_release().
 */
int bundle_find(const struct bundle *bundle, const char *name, struct bundle_file *out,
                struct husk_error *err);
void bundle_release(struct bundle_file *file);

/* The whole of a small file: *bytes is the caller's. -ENOENT as above; -EFBIG. */
int bundle_read(const struct bundle *bundle, const char *name, char **bytes, size_t *len,
                struct husk_error *err);

#endif
