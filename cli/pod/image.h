// SPDX-License-Identifier: Apache-2.0
/* The image of a container: found in the store, or got from its registry first. */
#ifndef HUSK_CLI_POD_IMAGE_H
#define HUSK_CLI_POD_IMAGE_H

#include <jansson.h>

#include "cli/pod/run_options.h"
#include "pod/image/config.h"
#include "pod/image/store.h"

struct pod_image {
    struct image_store *store;
    struct image_record record;
    struct image_config config;
};

/*
 * On success *out is to be given to pod_image_release(), which closes the store. Pulling is
 * husk-oci's work, with its progress on standard error unless `quiet`; a failure of it has been
 * printed, and is -ECHILD with err empty. -ENOENT when it is not there and not to be pulled.
 */
int pod_image_get(const char *name, enum pull_policy policy, bool quiet, struct pod_image *out,
                  struct husk_error *err);
void pod_image_release(struct pod_image *image);

/* "image" of a container's record. A new reference, or NULL when there is no memory. */
json_t *pod_image_note(const struct pod_image *image);

#endif
