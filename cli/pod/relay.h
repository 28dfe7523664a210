// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes between this process's standard streams and the sockets of a process in a container.
 *
 * At most three flows, each with one buffer: nothing is read while the buffer has something in it,
 * so that a slow reader makes its writer wait. Never blocks where the stream can be non-blocking;
 * one thread.
 */
#ifndef HUSK_CLI_POD_RELAY_H
#define HUSK_CLI_POD_RELAY_H

#include <poll.h>

#include "cli/pod/detach.h"

enum relay_flow_name { RELAY_IN, RELAY_OUT, RELAY_ERR, RELAY_FLOWS };

#define RELAY_BUFFER (64u << 10)
#define RELAY_POLLS  (2 * RELAY_FLOWS)

struct relay_flow {
    int from, to;      /* ours; -1 when closed */
    bool used;         /* this flow exists */
    bool duplex;       /* the socket serves the other way, too */
    bool ended;        /* everything has arrived, or nobody wants more */
    bool dropping;     /* it cannot be written: read on and throw away */
    size_t start, end; /* of what is in the buffer */
    uint8_t buffer[RELAY_BUFFER + DETACH_KEYS_MAX];
};

struct relay {
    struct relay_flow flows[RELAY_FLOWS];
    struct detach_filter filter; /* of RELAY_IN */
    bool detached;               /* the keys were seen */
    int write_error;             /* of standard output or error: the first errno; 0: none */
};

/* Everything is -1 and unused. */
void relay_init(struct relay *relay);

/*
 * Adds a flow. `local` is a standard stream, which is duplicated and stays as it is; `remote` is
 * taken in any case, a stream socket. The end of RELAY_IN shuts the socket's sending half down and
 * leaves it open. With `duplex` the socket is that of a terminal, given to both RELAY_IN and
 * RELAY_OUT as duplicates: the end of input does not end the socket then. Returns 0 or -errno.
 */
int relay_add(struct relay *relay, enum relay_flow_name name, int local, int remote, bool duplex);

/* What to poll for; entries without interest have fd -1. */
void relay_poll(const struct relay *relay, struct pollfd polls[RELAY_POLLS]);
/* Does what poll() said can be done, some KiB of each flow. */
void relay_work(struct relay *relay, const struct pollfd polls[RELAY_POLLS]);

/* Whether every flow of output has ended. */
bool relay_output_ended(const struct relay *relay);

void relay_close(struct relay *relay);

#endif
