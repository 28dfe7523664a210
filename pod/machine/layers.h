// SPDX-License-Identifier: Apache-2.0
/*
 * The layers of a machine's images: each once, however many images it is in (but as often as one
 * image has it), and all of them parts of one disk, one behind the other. No thread of its own.
 */
#ifndef HUSK_POD_MACHINE_LAYERS_H
#define HUSK_POD_MACHINE_LAYERS_H

#include <jansson.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/image/store.h"

#define LAYERS_DISK "layers" /* the drive's id */
#define LAYERS_MAX  128u /* of all images, each counted once: files that one disk is joined of */
#define IMAGES_MAX  64u

/* An image by the diff ids of its layers, the lowest first. */
struct machine_image {
    const struct digest *layers;
    unsigned layer_count; /* 1..IMAGE_LAYERS_MAX */
};

struct layers {
    int fds[LAYERS_MAX]; /* with the lock that keeps a layer in the store */
    uint64_t bytes[LAYERS_MAX];
    struct digest ids[LAYERS_MAX];
    unsigned count;
};

/* Opens the layers of all images into *out, which is zeroed. What is open after a failure is for
 * layers_close(), too. -EINVAL, -E2BIG, -ENOENT and others with err naming the layer. */
int layers_open(const struct image_store *store, const struct machine_image *images,
                unsigned image_count, struct layers *out, struct husk_error *err);
void layers_close(struct layers *layers);
/* The descriptors have got another owner. */
void layers_give_away(struct layers *layers);

/* Appends the requests for their volumes, "layer1" and so on, to an array. False: no memory. */
bool layers_ask(const struct layers *layers, json_t *requests);
/* The member "rootfs" of "create" for one image; NULL without memory. */
json_t *layers_rootfs(const struct layers *layers, const struct machine_image *image);

#endif
