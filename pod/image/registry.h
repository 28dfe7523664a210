// SPDX-License-Identifier: Apache-2.0
/* A registry as the source of one image: OCI Distribution Specification 1.1, "Pull". */
#ifndef HUSK_POD_IMAGE_REGISTRY_H
#define HUSK_POD_IMAGE_REGISTRY_H

#include "pod/image/auth.h"
#include "pod/image/http.h"
#include "pod/image/reference.h"
#include "pod/image/source.h"
#include "pod/image/store.h"

struct registry_options {
    /* HTTP instead of HTTPS, whatever the host. A registry on loopback is always asked by HTTPS
     * first and then, if it does not speak it, by HTTP. */
    bool plain_http;
    const char *ca_file; /* as http_options has it */
    struct credentials credentials;
};

/*
 * The reference's image. Asks nobody yet. The store, the reference and ca_file must outlive the
 * source; it is destroyed by its own operation. NULL when memory is short. http_init() before.
 */
struct image_source *registry_source(const struct image_store *store,
                                     const struct reference *reference,
                                     const struct registry_options *options);

#endif
