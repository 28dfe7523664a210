// SPDX-License-Identifier: Apache-2.0
/*
 * Images out of files: an OCI image layout (OCI Image Specification 1.1, image-layout.md) as a
 * directory or a tar archive, or an archive of `docker save`.
 */
#ifndef HUSK_POD_IMAGE_LOAD_H
#define HUSK_POD_IMAGE_LOAD_H

#include "pod/image/import.h"

struct load_options {
    const char *name; /* what the image is called from now on; NULL: as the file says */
    const char *only; /* which of several images: its name in the file, or its digest; or NULL */
    struct import_options import;
    /* Called after each image. Or NULL. */
    void (*loaded)(void *arg, const struct image_record *record);
    void *loaded_arg;
};

/*
 * Loads the image or images of `path` ("-": an archive from standard input). Blocks. Stops at the
 * first failure; images that were loaded before stay. -ENOENT when there is none that was asked
 * for, -EINVAL when one has no name and none is given; and those of image_import().
 */
int image_load(struct image_store *store, const char *path, const struct load_options *options,
               struct husk_error *err);

#endif
