// SPDX-License-Identifier: Apache-2.0
/* A call, on the connection that it is for. */
#ifndef HUSK_PROBE_EXCHANGE_H
#define HUSK_PROBE_EXCHANGE_H

#include "probe/call.h"

/* Until the call is over, or the supervisor has closed plain_fd. Both are nonblocking sockets, and
 * stay the caller's; blocks. */
enum probe_end exchange_run(struct call *call, int plain_fd, int guest_fd);

#endif
