// SPDX-License-Identifier: Apache-2.0
/*
 * Attaching to tap interfaces and to vhost-net.
 */
#ifndef HUSK_DEVICES_BACKEND_TAP_H
#define HUSK_DEVICES_BACKEND_TAP_H

#include "husk/error.h"

/*
 * Attach `queue_pairs` descriptors (non-blocking, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, multi-queue
 * when queue_pairs > 1) to the existing tap interface `name`; never creates one. Returns 0 with
 * fds[queue_pairs] filled, or -errno with err naming the interface: ENODEV (does not exist), EBUSY
 * (in use), EPERM (not permitted), EINVAL (not a tap, or persistent with other queue mode).
 */
int tap_open(const char *name, unsigned queue_pairs, int *fds, struct husk_error *err);

/* Header size (12) and offloads (TUN_F_*) of one attached descriptor. 0 or -errno. */
int tap_set_header_size(int fd, int size);
int tap_set_offload(int fd, unsigned offload);

/* Multi-queue: take a queue out of or back into service. 0 or -errno. */
int tap_set_queue_enabled(int fd, int enabled);

/* Open `count` /dev/vhost-net descriptors. 0 or -errno with err filled. */
int vhost_net_open(unsigned count, int *fds, struct husk_error *err);

#endif
