// SPDX-License-Identifier: Apache-2.0
/*
 * What `husk run IMAGE` and `husk start` share: from a supervisor that has just been started to the
 * container's program, in the background or as its input and output.
 */
#ifndef HUSK_CLI_POD_BEGIN_H
#define HUSK_CLI_POD_BEGIN_H

#include "cli/pod/pod.h"
#include "cli/pod/session_container.h"

/* Zeroes, then session_init(). Big: on the heap. */
struct beginning {
    const struct container_spec *record; /* borrowed */
    struct control_client *client;       /* ours */
    struct session session;
    struct session_container peer;
    bool input;     /* in the foreground: it gets our standard input, if it has one at all */
    bool sig_proxy; /* and our signals */
};

/* The first connection, as entry_spawn() and container_start() return it; that, or an error, which
 * stays. What -v wants copied goes in when `fresh`: when there is nothing of an earlier run. After
 * an error the container is ending, or has not begun to live. */
int beginning_open(struct beginning *beginning, int fd, bool fresh, struct husk_error *err);

/* Starts the program. 0, or an exit status with the reason printed: then the container has ended.
 */
int beginning_detached(struct beginning *beginning);
/* Starts it and is its input and output until its end. Returns an exit status. */
int beginning_attached(struct beginning *beginning);

void beginning_release(struct beginning *beginning);

#endif
