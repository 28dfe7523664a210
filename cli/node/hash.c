// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "cli/node/hash.h"

/* Each text with the NUL that ends it, so that no two pairs are one. */
int hash_texts(const char *first, const char *second, char out[HASH_DIGITS + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(context, first, strlen(first) + 1) &&
                EVP_DigestUpdate(context, second, strlen(second) + 1) &&
                EVP_DigestFinal_ex(context, digest, NULL);

    EVP_MD_CTX_free(context);
    if (!done)
        return -ENOMEM;
    for (unsigned i = 0; i < HASH_DIGITS / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

int hash_pod(const struct husk_manifest *manifest, unsigned index, char out[HASH_DIGITS + 1])
{
    char *pod = husk_manifest_pod_json(manifest, index), *objects = NULL;
    int ret = pod ? husk_manifest_pod_objects_json(manifest, index, &objects, NULL) : -ENOMEM;

    if (ret != -ENOMEM)
        ret = hash_texts(pod, ret ? "" : objects, out);
    husk_pod_text_free(pod);
    husk_pod_text_free(objects);
    return ret;
}
