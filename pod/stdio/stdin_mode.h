// SPDX-License-Identifier: Apache-2.0
/* Where a container's standard input comes from. */
#ifndef HUSK_POD_STDIO_STDIN_MODE_H
#define HUSK_POD_STDIO_STDIN_MODE_H

enum container_stdin {
    CONTAINER_STDIN_NONE, /* empty */
    CONTAINER_STDIN_OPEN, /* stays open when a client's ends */
    CONTAINER_STDIN_ONCE, /* ends with the first attached client's */
};

#endif
