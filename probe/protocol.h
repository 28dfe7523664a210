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
 *                                                  PROBE_GRPC: asks for the service's health
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
    PROBE_GRPC, /* grpc.health.v1.Health/Check */
};

/* The texts end within their arrays. */
struct probe_request {
    uint32_t namespaces; /* CLONE_NEW*: those that were made for the process */
    uint32_t speech;     /* enum probe_speech */
    /* PROBE_TLS: the server's name (RFC 6066, section 3), "" for none. PROBE_GRPC: the service, ""
     * for the whole server. */
    char name[PROBE_NAME_BYTES];
    char authority[96]; /* PROBE_GRPC: the address that is called (RFC 9113, section 8.3.1) */
};

enum probe_end {
    /* PROBE_TLS: the other side, or the supervisor, has closed the connection. PROBE_GRPC: the
     * service is serving. */
    PROBE_END_WELL,
    PROBE_END_REQUEST,     /* it was not started by a supervisor */
    PROBE_END_JAIL,        /* it cannot be confined, or lacks memory */
    PROBE_END_HANDSHAKE,   /* the other side speaks no TLS, or none that we speak */
    PROBE_END_CUT,         /* the connection ended before the handshake did */
    PROBE_END_GARBAGE,     /* what comes after it breaks the rules of TLS */
    PROBE_END_NO_HTTP2,    /* the other side speaks no HTTP/2, or breaks its rules */
    PROBE_END_NO_GRPC,     /* its answer is none of gRPC */
    PROBE_END_TOO_MUCH,    /* it says more than is read */
    PROBE_END_RESET,       /* the call or the connection ended before the answer did */
    PROBE_END_SILENT,      /* the connection ended without a byte */
    PROBE_END_HEALTH = 32, /* and the status of an answer that is not SERVING */
    PROBE_END_CODE = 64,   /* and the code of a call that failed, 1 to 16 */
};

#endif
