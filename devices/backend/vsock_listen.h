// SPDX-License-Identifier: Apache-2.0
/*
 * The unix socket at which host programs find a guest's virtio sockets: made, and taken away again,
 * by whoever has the right to the path. Configuring thread; nothing here waits.
 */
#ifndef HUSK_DEVICES_BACKEND_VSOCK_LISTEN_H
#define HUSK_DEVICES_BACKEND_VSOCK_LISTEN_H

#include <stdint.h>

#include "husk/error.h"

/*
 * Make a listening socket at `path`: its descriptor, or -errno with err filled. A file of that name
 * is an error, also a socket with a listener; one that nobody listens on any more is replaced. The
 * caller removes it in the end, if it still is the same file: *device and *inode.
 */
int vsock_listen(const char *path, uint64_t *device, uint64_t *inode, struct husk_error *err);

#endif
