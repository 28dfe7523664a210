// SPDX-License-Identifier: Apache-2.0
/*
 * The streams of a container's first process: what it writes goes to the log and to each attached
 * client; what clients send is its input. Everything happens on the loop's thread.
 *
 *     agent --stdout, stderr--> hub --> log_file, links of clients
 *     agent <--------stdin----- hub <-- links of clients
 *     agent <------terminal---> hub (both)
 *
 * A client that waits holds the container up when it does not read: nothing more is read from the
 * agent until it has. Another has a queue, and is dropped when that is full.
 */
#ifndef HUSK_POD_STDIO_HUB_H
#define HUSK_POD_STDIO_HUB_H

#include <stdbool.h>

#include "base/event_loop.h"
#include "husk/error.h"
#include "pod/control/control.h"
#include "pod/stdio/log_file.h"
#include "pod/stdio/stdin_mode.h"

struct hub;

enum hub_stream { HUB_STDIN, HUB_STDOUT, HUB_STDERR, HUB_TERMINAL, HUB_STREAMS };

/* "stdin", "stdout", "stderr", "terminal". */
const char *hub_stream_name(enum hub_stream stream);

struct hub_options {
    bool terminal; /* one stream, which is logged as stdout */
    enum container_stdin stdin_mode;
    struct log_file *log_file;  /* lives on */
    void (*drained)(void *arg); /* every stream of output has ended; once */
    void *arg;
};

int hub_create(struct event_loop *loop, const struct hub_options *options, struct hub **out);

/* Whether the process has this stream. */
bool hub_has(const struct hub *hub, enum hub_stream stream);

/* The agent's connection for a stream, which is taken over; -1: there is none, and for output that
 * is its end. */
void hub_connect(struct hub *hub, enum hub_stream stream, int fd);

/*
 * A new client. Its ends of the streams are the caller's, in the order of their names in `streams`:
 * *count of them. -EBUSY when the output has ended already, -ENOSPC when there are too many
 * clients.
 */
int hub_attach(struct hub *hub, bool with_stdin, bool wait, int fds[CONTROL_FDS_MAX],
               enum hub_stream streams[CONTROL_FDS_MAX], unsigned *count, struct husk_error *err);

bool hub_drained(const struct hub *hub);

/* Whether nothing waits for a client any more. */
bool hub_flushed(const struct hub *hub);

/* Nothing more is to be expected of the agent: what has not ended ends. */
void hub_abandon(struct hub *hub);

/* Takes NULL. */
void hub_destroy(struct hub *hub);

#endif
