// SPDX-License-Identifier: Apache-2.0
/* Bytes between two sockets, both ways. */
#ifndef HUSK_CLI_PODS_SPLICE_H
#define HUSK_CLI_PODS_SPLICE_H

/* Until both ways have ended, or one end has broken. The end of one way is passed on by itself. A
 * slow reader makes its writer wait. The sockets are the caller's, and non-blocking afterwards. */
void splice_sockets(int a, int b);

#endif
