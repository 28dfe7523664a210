// SPDX-License-Identifier: Apache-2.0
/*
 * The containers and pods of this host that need an image of a store, whether they run or not: one
 * that has ended can be started again. Their records are read ($HUSK_STATE, $HUSK_PODS, or where
 * they are by default), each time anew; what cannot be read is an error, for it may need anything.
 * Everything blocks.
 */
#ifndef HUSK_CLI_IMAGE_USERS_H
#define HUSK_CLI_IMAGE_USERS_H

#include "pod/image/store.h"

struct image_user {
    const char *kind; /* "container", "pod"; NULL: there is none */
    char name[160];
};

/* The first that was made of the image of this canonical name, or names it. 0, or -errno with err
 * filled. */
int image_users_find(const char *store, const char *image, struct image_user *out,
                     struct husk_error *err);

/* For image_store_set_users(), with the store's path as `arg`: the layers of all containers. (A pod
 * looks for its images by their names.) */
int image_users_layers(void *arg, int (*keep)(void *to, const struct digest *layer), void *to,
                       struct husk_error *err);

#endif
