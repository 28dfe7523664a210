// SPDX-License-Identifier: Apache-2.0
/*
 * The client's side of TLS 1.2 and 1.3 between two connections: what comes on the plain one goes to
 * the other encrypted, and back. Nobody's certificate is looked at: kubelets do not, for a probe
 * asks whether somebody answers, not who.
 */
#ifndef HUSK_PROBE_RELAY_H
#define HUSK_PROBE_RELAY_H

#include <openssl/types.h>

#include "probe/protocol.h"

/* Makes what needs no word of the other side: before going to jail. `name`: the server's, "" for
 * none. NULL without memory, or when the name is no name. */
SSL *relay_prepare(const char *name);

/* Until one of the two has closed its connection. Both are nonblocking sockets, and stay the
 * caller's; blocks; keeps at most one buffer for each direction. */
enum probe_end relay_run(SSL *ssl, int plain_fd, int guest_fd);

#endif
