// SPDX-License-Identifier: Apache-2.0
/* The process of a jailed VM: serves the library's requests until it goes away. */
#ifndef HUSK_VMM_PROCESS_SERVER_H
#define HUSK_VMM_PROCESS_SERVER_H

/* Serve on the two sockets of protocol.h, which stay the caller's. Returns when the library has
 * freed the VM or closed its end (0), or -errno when it cannot go on. */
int process_serve(int control_fd, int events_fd);

#endif
