// SPDX-License-Identifier: Apache-2.0
/*
 * husk-vmm: the process of one jailed VM. Started by the library only, with two sockets as
 * descriptors 3 and 4; see protocol.h.
 */
#include <malloc.h>
#include <stdio.h>
#include <sys/socket.h>

#include "vmm/process/protocol.h"
#include "vmm/process/server.h"

static int is_socket(int fd)
{
    int type;
    socklen_t len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int main(void)
{
    if (!is_socket(PROTOCOL_CONTROL_FD) || !is_socket(PROTOCOL_EVENTS_FD)) {
        fputs("husk-vmm: it is started by libhusk, not by hand (see: husk run)\n", stderr);
        return 2;
    }
    /* Few threads, which allocate little: an arena for each would be most of the process. */
    mallopt(M_ARENA_MAX, 1);
    return process_serve(PROTOCOL_CONTROL_FD, PROTOCOL_EVENTS_FD) ? 1 : 0;
}
