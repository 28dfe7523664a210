// SPDX-License-Identifier: Apache-2.0
/* Rule sets into the kernel, through libnftables. */
#ifndef HUSK_POD_NETWORK_NFT_H
#define HUSK_POD_NETWORK_NFT_H

#include "husk/error.h"

/*
 * Carries out a text (rules.h), whole or not at all, in the caller's network namespace, and frees
 * it. `text` NULL counts as no memory. -errno with err naming `what` and what nft says. Any number
 * of threads.
 */
int nft_apply(char *text, const char *what, struct husk_error *err);

#endif
