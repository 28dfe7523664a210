// SPDX-License-Identifier: Apache-2.0
/*
 * Being connected to a process of a container, of `husk run` or in a pod: its input and output,
 * this process's signals, and the terminal, until the process has ended or the user leaves.
 *
 * One thread, one poll loop. Signals come through a signalfd. With a terminal the keys go to the
 * container, Ctrl-C included; without one, signals that this process gets are sent on. While the
 * container is being started, a signal that asks for the end ends it. A standard output that nobody
 * reads any more ends what writes to it, as in a pipeline.
 */
#ifndef HUSK_CLI_POD_SESSION_H
#define HUSK_CLI_POD_SESSION_H

#include "cli/pod/relay.h"
#include "husk/error.h"

/* What the other side has said. */
struct session_news {
    enum session_news_kind {
        SESSION_NOTHING, /* that matters here */
        SESSION_STARTED,
        SESSION_REFUSED, /* it could not be started: the end is still to come */
        SESSION_ENDED,
    } kind;
    int status;              /* of an end or a refusal: what to return */
    struct husk_error error; /* why; code 0: nothing has gone wrong */
    const char *remark;      /* of an end, to be told; NULL: none. Valid until the next call */
};

/* The other side: who keeps the process. Requests do not wait for what comes of them. */
struct session_ops {
    /* Asks for the end of the process and, when `start`, for its start. */
    int (*begin)(void *peer, bool start, struct husk_error *err);
    int (*fd)(void *peer); /* to be polled for reading */
    /* 1: *news is filled; 0: there is nothing (yet); -errno: the other side has gone. */
    int (*next)(void *peer, struct session_news *news, struct husk_error *err);
    void (*resize)(void *peer, uint16_t columns, uint16_t rows);
    void (*signal)(void *peer, int number);
    /* Ends what the process is in, by this signal (0: the usual one), and by force after that. NULL
     * where a session neither starts nor owns that. */
    void (*stop)(void *peer, int number, unsigned grace_ms);
};

struct session {
    const struct session_ops *ops;
    void *peer;       /* borrowed */
    const char *name; /* the container's, for messages */
    bool further;     /* the process is not the container's first */
    bool terminal;    /* the process has one */
    bool input;       /* it gets our standard input */
    bool proxy;       /* signals are sent on */
    bool start;       /* the container is to be started first */
    bool owns;        /* the process ends when nobody reads its output */
    struct relay relay;
    /* the rest is session.c's */
    int signal_fd;
    bool started, ended, interrupted, write_failed;
    uint64_t deadline_ns; /* 0: none */
    int status, write_status;
};

/* Zeroes, with nothing relayed and the default keys for detaching. */
void session_init(struct session *session);

/* One of the process's streams, "stdin", "stdout", "stderr" or "terminal": takes the descriptor in
 * any case. -EPROTO for another name, and others. */
int session_add_stream(struct session *session, const char *name, int fd);

/* Until the end. Returns an exit status, messages printed; the terminal is as it was. */
int session_run(struct session *session);

void session_close(struct session *session);

#endif
