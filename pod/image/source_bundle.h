// SPDX-License-Identifier: Apache-2.0
/* Sources of images over a bundle's files. */
#ifndef HUSK_POD_IMAGE_SOURCE_BUNDLE_H
#define HUSK_POD_IMAGE_SOURCE_BUNDLE_H

#include <jansson.h>

#include "pod/image/bundle.h"
#include "pod/image/source.h"

/* An OCI layout's image: what the descriptor names, and all below it, by digest. The bundle must
 * outlive the source. NULL when memory is short. */
struct image_source *source_layout(struct bundle *bundle, const struct descriptor *top);

/*
 * One image of a `docker save` archive: an entry of its manifest.json, whose files have no digests
 * but that of their contents, which are computed here. The bundle must outlive the source. NULL
 * with err filled.
 */
struct image_source *source_docker(struct bundle *bundle, const json_t *entry,
                                   struct husk_error *err);

void source_destroy(struct image_source *source);

#endif
