// SPDX-License-Identifier: Apache-2.0
/*
 * Being connected to a process of a container: its input and output, this process's signals, and
 * the terminal, until the process has ended or the user leaves.
 *
 * One thread, one poll loop. Signals come through a signalfd. With a terminal the keys go to the
 * container, Ctrl-C included; without one, signals that this process gets are sent on. While the
 * container is being started, a signal that asks for the end ends it. A standard output that nobody
 * reads any more ends what writes to it, as in a pipeline.
 */
#ifndef HUSK_CLI_POD_SESSION_H
#define HUSK_CLI_POD_SESSION_H

#include "cli/pod/relay.h"
#include "pod/control/client.h"

struct session {
    struct control_client *client; /* borrowed */
    const char *name;              /* the container's, for messages */
    const char *process;           /* NULL: the container's first */
    bool terminal;                 /* the process has one */
    bool input;                    /* it gets our standard input */
    bool proxy;                    /* signals are sent on */
    bool start;                    /* the container is to be started first */
    bool owns;                     /* the process ends when nobody reads its output */
    struct relay relay;
    /* the rest is session.c's */
    int signal_fd;
    bool started, ended, interrupted, write_failed;
    uint64_t start_id, wait_id;
    uint64_t deadline_ns; /* 0: none */
    int status, write_status;
};

/* Zeroes, with nothing relayed and the default keys for detaching. */
void session_init(struct session *session);

/* Takes the descriptors of an answer to "attach" or "exec". -EPROTO and others. */
int session_take_streams(struct session *session, struct control_message *answer,
                         struct husk_error *err);

/* Until the end. Returns an exit status, messages printed; the terminal is as it was. */
int session_run(struct session *session);

void session_close(struct session *session);

#endif
