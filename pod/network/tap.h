// SPDX-License-Identifier: Apache-2.0
/* The tap of a pod's machine. */
#ifndef HUSK_POD_NETWORK_TAP_H
#define HUSK_POD_NETWORK_TAP_H

#include "husk/error.h"

/*
 * Makes a tap that stays when nobody has it open, in the caller's network namespace, for one queue
 * of packets with virtio headers, as pod/machine/tap.h and libhusk attach to it. -EEXIST when there
 * is an interface of that name.
 */
int tap_make(const char *name, struct husk_error *err);

#endif
