// SPDX-License-Identifier: Apache-2.0
/*
 * What a pod's supervisor and husk-probe say to each other. One process speaks on one connection
 * into a pod, and ends with it:
 *
 *     supervisor                                  husk-probe
 *       starts it, with a socket and the
 *       connection; a request              ──▶     goes to jail, speaks with the guest
 *                                                  PROBE_TLS: passes on what is inside of TLS,
 *                                          ◀──▶    both ways, after the request
 *                                          ◀──     ends; its exit status is an enum probe_end
 *
 * The supervisor believes nothing that comes from the process: what is in the guest may speak here.
 * The process trusts the supervisor. The two are of one version, so the request is a plain struct.
 */
#ifndef HUSK_PROBE_PROTOCOL_H
#define HUSK_PROBE_PROTOCOL_H

#include <stdint.h>

/* Where husk-probe finds what it is started with. */
#define PROBE_PLAIN_FD 3 /* a unix socket of type SOCK_STREAM to the supervisor */
#define PROBE_GUEST_FD 4 /* a stream socket, connected */

#define PROBE_NAME_BYTES 1024u

enum probe_speech {
    PROBE_TLS = 1,
};

/* The text ends within its array. */
struct probe_request {
    uint32_t namespaces; /* CLONE_NEW*: those that were made for the process */
    uint32_t speech;     /* enum probe_speech */
    /* PROBE_TLS: the server's name (RFC 6066, section 3), "" for none. */
    char name[PROBE_NAME_BYTES];
};

enum probe_end {
    PROBE_END_WELL,      /* the other side, or the supervisor, has closed the connection */
    PROBE_END_REQUEST,   /* it was not started by a supervisor */
    PROBE_END_JAIL,      /* it cannot be confined, or lacks memory */
    PROBE_END_HANDSHAKE, /* the other side speaks no TLS, or none that we speak */
    PROBE_END_CUT,       /* the connection ended before the handshake did */
    PROBE_END_GARBAGE,   /* what comes breaks the rules of what is spoken */
};

#endif
