// SPDX-License-Identifier: Apache-2.0
/*
 * An image's configuration: what it runs, and the digests of its layers before compression. OCI
 * Image Specification 1.1, config.md; Docker's container.image.v1+json has the same members.
 */
#ifndef HUSK_POD_IMAGE_CONFIG_H
#define HUSK_POD_IMAGE_CONFIG_H

#include <jansson.h>

#include "pod/image/manifest.h"

#define IMAGE_WORDS_MAX 4096u /* of each list below */

/* Strings of the document; alive until image_config_clear(). */
struct image_words {
    const char **words;
    unsigned count;
};

struct image_config {
    struct platform platform;
    struct digest diff_ids[IMAGE_LAYERS_MAX]; /* of the layers' tar streams, the lowest first */
    unsigned diff_id_count;
    struct image_words entrypoint, command, environment; /* environment: NAME=VALUE */
    struct image_words ports, volumes; /* "80/tcp", "/data"; the keys of their objects */
    char user[256];                    /* "" is root */
    char directory[4096];              /* absolute; "" is "/" */
    char stop_signal[32];
    json_t *document; /* the whole of it, ours */
};

/* On success *out is to be given to image_config_clear(). -EINVAL, -EFBIG, -ENOTSUP, -ENOMEM. */
int image_config_parse(const void *bytes, size_t len, const char *where, struct image_config *out,
                       struct husk_error *err);
void image_config_clear(struct image_config *config);

#endif
