// SPDX-License-Identifier: Apache-2.0
/*
 * From a layer as it travels (a tar archive, maybe compressed) to a layer as it is kept (an EROFS
 * image), in one pass and without unpacking anything onto the host: see tree.h and erofs.h.
 */
#ifndef HUSK_POD_IMAGE_LAYER_H
#define HUSK_POD_IMAGE_LAYER_H

#include <stdatomic.h>

#include "husk/error.h"
#include "pod/image/manifest.h"

#define LAYER_STREAM_BYTES_MAX (64ull << 30) /* of a layer before compression */

struct layer_job {
    int blob_fd; /* where the layer is; the caller's */
    uint64_t blob_offset, blob_bytes;
    enum image_media media;  /* MEDIA_LAYER_* */
    struct digest diff_id;   /* what the uncompressed stream must have */
    const char *where;       /* names the layer in errors */
    uint64_t max_bytes;      /* of the stream; 0: LAYER_STREAM_BYTES_MAX */
    const atomic_bool *stop; /* looked at often: true ends the work with -ECANCELED; or NULL */
};

/*
 * Writes the image into out_fd, an empty file of the caller's, and its size to *size. The same
 * stream always gives the same image: its UUID is the beginning of diff_id. Blocks. On failure the
 * file's contents are good for nothing.
 *
 * -EINVAL: the archive is damaged, has another digest than diff_id, or names that a layer must not
 * have; -E2BIG, -EFBIG: beyond a limit; -ENOSPC and others of writing; -ECANCELED; -ENOMEM.
 */
int layer_convert(const struct layer_job *job, int out_fd, uint64_t *size, struct husk_error *err);

#endif
