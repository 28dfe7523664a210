// SPDX-License-Identifier: Apache-2.0
/*
 * What people call images: [REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST].
 *
 * The first part is a registry when it has a '.' or a ':' or is "localhost"; else the registry is
 * docker.io, where a repository of one part belongs to "library/". Without tag and digest the tag
 * is "latest". With a digest the tag means nothing and is dropped.
 */
#ifndef HUSK_POD_IMAGE_REFERENCE_H
#define HUSK_POD_IMAGE_REFERENCE_H

#include "husk/error.h"
#include "pod/image/digest.h"

#define REFERENCE_REGISTRY_BYTES   256u
#define REFERENCE_REPOSITORY_BYTES 256u
#define REFERENCE_TAG_BYTES        129u
#define REFERENCE_TEXT_BYTES       720u

struct reference {
    char registry[REFERENCE_REGISTRY_BYTES];     /* host[:port], lower case */
    char repository[REFERENCE_REPOSITORY_BYTES]; /* parts separated by '/' */
    char tag[REFERENCE_TAG_BYTES];               /* "" when there is a digest */
    struct digest digest;                        /* empty when there is a tag */
};

/* 0, or -EINVAL with err saying which part is wrong. */
int reference_parse(const char *text, struct reference *out, struct husk_error *err);

/* The canonical form with nothing left out, such as "docker.io/library/nginx:1.22". Returns out. */
const char *reference_format(const struct reference *reference, char out[REFERENCE_TEXT_BYTES]);

/* What a registry is asked for: the tag or the digest. */
const char *reference_version(const struct reference *reference);

/* host[:port] that is connected to: docker.io's registry is at another name. */
const char *reference_server(const struct reference *reference);

/* Whether host[:port] is this machine: localhost, 127.x.x.x or [::1]. */
bool server_is_loopback(const char *server);

#endif
