// SPDX-License-Identifier: Apache-2.0
/* The tap of another network namespace. */
#ifndef HUSK_POD_MACHINE_TAP_H
#define HUSK_POD_MACHINE_TAP_H

#include "husk/error.h"

/*
 * Attaches to the existing tap `name` (one queue, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) of the
 * namespace that the file `netns` is. Returns its descriptor, the caller's, or -errno with err
 * naming the file or the tap. A thread of its own goes there: the caller's namespace stays.
 */
int pod_machine_tap_open(const char *netns, const char *name, struct husk_error *err);

#endif
