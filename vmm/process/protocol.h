// SPDX-License-Identifier: Apache-2.0
/*
 * What the library and the process of a jailed VM (husk-vmm) say to each other.
 *
 * Two unix sockets of type SOCK_SEQPACKET join them, made by the library:
 *
 *   control  requests from the library, one at a time, each answered by one reply
 *   events   from the process: events of the VM, and lines of log
 *
 * A message is at most PROTOCOL_MESSAGE_MAX bytes of fields (base/wire.h), the first of which is
 * its kind (u8), and carries descriptors by SCM_RIGHTS where said. The two programs are of one
 * version, which the first request checks; there is no other negotiation.
 *
 *   library                              process
 *     HELLO   version, jail  [vsock directory] ─▶ puts up its walls
 *     VM, DRIVE…, NET…, VFIO…, VSOCK  configuration, with all descriptors ─▶
 *     BUILD  ─▶                                 builds the machine, starts its threads, and goes
 *                                               under its last seccomp filter
 *     START, PAUSE, …  ─▶
 *     FREE   ─▶                                 lets the machine go; answers; ends
 *
 * A reply is REPLY, the result (i32: 0 or -errno), on failure the error (code, where, what, why),
 * on success what the request asks for. The library believes nothing that comes from the process,
 * and takes no descriptors from it: a guest that broke out of its VM speaks here. The process
 * trusts the library.
 */
#ifndef HUSK_VMM_PROCESS_PROTOCOL_H
#define HUSK_VMM_PROCESS_PROTOCOL_H

#define PROTOCOL_MESSAGE_MAX 40960u
#define PROTOCOL_FDS_MAX     128u /* a drive's files; SCM_RIGHTS takes 253 (unix(7)) */

/* Where husk-vmm finds its ends of the sockets. */
#define PROTOCOL_CONTROL_FD 3
#define PROTOCOL_EVENTS_FD  4

enum protocol_kind {
    PROTOCOL_HELLO = 1,
    PROTOCOL_VM,
    PROTOCOL_DRIVE,
    PROTOCOL_NET,
    PROTOCOL_VSOCK,
    PROTOCOL_BUILD,
    PROTOCOL_START,
    PROTOCOL_PAUSE,
    PROTOCOL_RESUME,
    PROTOCOL_POWER_BUTTON,
    PROTOCOL_CTRL_ALT_DEL,
    PROTOCOL_STOP,
    PROTOCOL_SHUTDOWN,
    PROTOCOL_STATE,
    PROTOCOL_CONSOLE_SIZE,
    PROTOCOL_UPDATE_DRIVE,
    PROTOCOL_UPDATE_NET,
    PROTOCOL_PLUG_DRIVE,
    PROTOCOL_PLUG_NET,
    PROTOCOL_UNPLUG_DRIVE,
    PROTOCOL_UNPLUG_NET,
    PROTOCOL_STATS,
    PROTOCOL_DRIVE_STATS,
    PROTOCOL_NET_STATS,
    PROTOCOL_TIMELINE,
    PROTOCOL_VFIO,
    PROTOCOL_PLUG_VFIO,
    PROTOCOL_UNPLUG_VFIO,
    PROTOCOL_HAS_VFIO,
    PROTOCOL_FREE,

    PROTOCOL_REPLY = 128,
    PROTOCOL_EVENT,
    PROTOCOL_LOG,
};

#endif
