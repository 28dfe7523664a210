// SPDX-License-Identifier: Apache-2.0
/* Addresses for pods on virtual functions: claims of the state's addresses/. */
#ifndef HUSK_POD_NETWORK_VF_LEASE_H
#define HUSK_POD_NETWORK_VF_LEASE_H

#include "husk/error.h"
#include "pod/network/state.h"
#include "pod/network/vf_config.h"

/*
 * One address of each range, with the prefix's bits, that no other pod of the host has: `out` has
 * room for all ranges. With the state's lock held. -EADDRNOTAVAIL when a range has none left.
 */
int vf_lease_take(const struct network_state *state, const char *id, const struct vf_config *config,
                  struct address *out, struct husk_error *err);

#endif
