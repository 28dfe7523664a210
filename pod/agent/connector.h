// SPDX-License-Identifier: Apache-2.0
/*
 * How to reach the agent of one machine: where each new connection comes from.
 */
#ifndef HUSK_POD_AGENT_CONNECTOR_H
#define HUSK_POD_AGENT_CONNECTOR_H

#include <stdbool.h>

#include "husk/error.h"

struct agent_connector {
    /*
     * A new stream socket, connected, not blocking and CLOEXEC, which is the caller's; or -errno
     * with err filled. -EAGAIN, -ENOENT and -ECONNREFUSED mean that nobody is there yet, and it is
     * asked again. Does not block.
     */
    int (*connect)(void *arg, struct husk_error *err);
    void *arg;
    /* The socket is the host side of a husk machine's vsock (docs/devices/virtio-vsock.md): what
     * comes first is "CONNECT 1024" and the answer. */
    bool vsock;
};

/*
 * A connection to the unix stream socket at `path`, of any length: what a connect function may
 * return. The last part of the path has at most 80 bytes (-ENAMETOOLONG).
 */
int agent_connect_path(const char *path, struct husk_error *err);

/* agent_connect_path() as a connect function; arg is the path, a `char *`. */
int agent_connector_path(void *arg, struct husk_error *err);

#endif
