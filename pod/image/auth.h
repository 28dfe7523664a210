// SPDX-License-Identifier: Apache-2.0
/*
 * Who one is to a registry: user names and passwords out of auth.json, and what registries ask for
 * in WWW-Authenticate. No function here puts a secret into an error.
 */
#ifndef HUSK_POD_IMAGE_AUTH_H
#define HUSK_POD_IMAGE_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "husk/error.h"

#define AUTH_BASIC_BYTES 2048u

/* What follows "Basic " in the header: base64 of USER:PASSWORD (RFC 7617, 2); "" when there is
 * nothing to say. */
struct credentials {
    char basic[AUTH_BASIC_BYTES];
};

/* -EINVAL: a ':' or a control character in the user's name, or too long. */
int credentials_make(const char *user, const char *password, struct credentials *out);

/*
 * Those for a repository of a registry out of the file's "auths", the longest key that is a prefix
 * of REGISTRY/REPOSITORY by parts. path NULL: the first that exists of $REGISTRY_AUTH_FILE,
 * $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json and ~/.docker/config.json;
 * then none at all is no error. 0 (also with nothing found) or -errno with err filled.
 */
int credentials_find(const char *path, const char *registry, const char *repository,
                     struct credentials *out, struct husk_error *err);

/* The same of the text of such a file. */
int credentials_parse(const char *text, size_t len, const char *where, const char *registry,
                      const char *repository, struct credentials *out, struct husk_error *err);

/* A challenge of RFC 6750, 3 as registries send it. */
struct challenge {
    bool bearer; /* else Basic */
    char realm[1024];
    char service[256];
    char scope[512]; /* "" when not said */
};

/* The value of a WWW-Authenticate header. -EINVAL. */
int challenge_parse(const char *text, struct challenge *out);

#endif
