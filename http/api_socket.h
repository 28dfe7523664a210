// SPDX-License-Identifier: Apache-2.0
/* A listening unix socket as a file that comes and goes with the process. */
#ifndef HUSK_HTTP_API_SOCKET_H
#define HUSK_HTTP_API_SOCKET_H

#include <sys/types.h>

#include "husk/error.h"

struct api_socket {
    int fd;           /* -1: closed */
    const char *path; /* the caller's */
    dev_t device;     /* of the file that we made */
    ino_t inode;
};

/*
 * Listen at a path. A socket file that nobody listens on any more, as a killed process leaves it,
 * is replaced; anything else that is there is an error. Blocks for up to a second while somebody
 * listens there: it may be a child that a killed owner had just forked. Only the user may connect.
 */
int api_socket_open(struct api_socket *out, const char *path, struct husk_error *err);

/* Close, and remove the file if it still is the one that we made. */
void api_socket_close(struct api_socket *socket);

#endif
