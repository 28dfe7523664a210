// SPDX-License-Identifier: Apache-2.0
/* Whether two descriptions of a pod are the same, by 128 bits of SHA-256 (FIPS 180-4). */
#ifndef HUSK_CLI_NODE_HASH_H
#define HUSK_CLI_NODE_HASH_H

#include "cli/node/names.h"
#include "husk/pod.h"

/* Of the pod with its defaults, and of the config maps and secrets that it refers to; one that is
 * missing is as good as another. 0 or -ENOMEM. */
int hash_pod(const struct husk_manifest *manifest, unsigned index, char out[HASH_DIGITS + 1]);

int hash_texts(const char *first, const char *second, char out[HASH_DIGITS + 1]);

#endif
