// SPDX-License-Identifier: Apache-2.0
/* Getting one image from a source into the store: what pulling and loading have in common. */
#ifndef HUSK_POD_IMAGE_IMPORT_H
#define HUSK_POD_IMAGE_IMPORT_H

#include "pod/image/source.h"
#include "pod/image/store.h"

#define IMPORT_THREADS_MAX 16u

enum import_state {
    IMPORT_WAITING,
    IMPORT_PRESENT, /* the store had the layer */
    IMPORT_READING, /* being downloaded, or read and checked */
    IMPORT_CONVERTING,
    IMPORT_DONE,
};

/* Of one layer. */
struct import_progress {
    unsigned index, count; /* which of how many different layers */
    struct digest digest;  /* as it travels */
    enum import_state state;
    uint64_t done_bytes, total_bytes; /* as it travels */
};

struct import_options {
    struct platform platform; /* which entry of an index; os "" is this host's */
    unsigned threads;         /* layers at a time, 0: 4 */
    /* Called one at a time, from any of the import's threads; must not block for long. Or NULL. */
    void (*progress)(void *arg, const struct import_progress *progress);
    void *progress_arg;
};

/*
 * Gets the image that `source` was opened for and records it as `name` (canonical). Blocks; its
 * threads have ended when it returns. On success fills *out. On failure nothing of the image is
 * left in the store, but for layers that somebody else is adding at the moment.
 *
 * -ENOENT: no such image, or none for the platform; -EINVAL, -EBADMSG, -ERANGE: what the source
 * gave is wrong; -EFBIG, -E2BIG: beyond a limit; and those of the source and the store.
 */
int image_import(struct image_store *store, struct image_source *source, const char *name,
                 const struct import_options *options, struct image_record *out,
                 struct husk_error *err);

#endif
