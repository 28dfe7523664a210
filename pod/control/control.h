// SPDX-License-Identifier: Apache-2.0
// clang-format off
/*
 * What every control socket of a supervisor has in common: connections, frames, hello, the form of
 * requests, and limits. What may be asked is in pod/supervisor/protocol.h for containers, and in
 * pod/pods/protocol.h for pods.
 *
 * The supervisor takes every byte of a client for hostile: a client that breaks a rule below loses
 * its connection, never more.
 *
 * CONNECTIONS
 *
 * The socket is `control.sock` in the directory of the container or pod (pod/store/store.h): a unix
 * stream socket, which lives as long as the supervisor. It takes connections of the user that runs
 * it and of root (SO_PEERCRED), and closes others. Connections are answered as soon as the
 * supervisor runs.
 *
 * FRAMES
 *
 * As those of husk/agent.h: a length (32 bits, little-endian, 2 to CONTROL_FRAME_MAX) and that many
 * bytes: one JSON object in UTF-8, without NUL, at most CONTROL_JSON_DEPTH deep. A frame that hands
 * over descriptors carries them (SCM_RIGHTS) with the first byte of its length. Clients never send
 * descriptors.
 *
 * HELLO
 *
 * Client:     {"husk": {"major": 1, "minor": 0}}
 * Supervisor: {"husk": {"major": 1, "minor": 0}, …}, with members that say whose supervisor it is,
 *          or {"error": ERROR}, then it closes.
 *
 * The majors must be equal ("version"). A higher minor adds methods and members. Members that the
 * supervisor does not know are refused in requests; a client ignores members of answers and events,
 * and events, that it does not know. A connection that has not said hello within
 * CONTROL_HELLO_TIMEOUT_MS is closed. Beyond CONTROL_CONNECTIONS_MAX of them clients wait, unheard,
 * until one is closed.
 *
 * REQUESTS
 *
 * Client:     {"id": N, "method": NAME, "params": {…}}     N: 0 to 2^53 - 1, chosen by the client
 * Supervisor: {"id": N, "result": {…}} or {"id": N, "error": ERROR}
 *
 * Answers come when they are ready, not in the order of the requests. At most CONTROL_REQUESTS_MAX
 * requests of one connection are unanswered; beyond that "limit". The supervisor reads no further
 * request from a connection while CONTROL_OUTPUT_MAX bytes wait to be read by the client. "params"
 * may be left out when there are none.
 *
 * ERROR is {"code": CODE, "where": TEXT, "what": TEXT, "why": TEXT}, with the codes of husk/agent.h:
 * "invalid", "unsupported", "not-found", "exists", "state", "limit", "version", "failed"; maybe
 * with "status" beside these: an exit status that a command may return.
 *
 * EVENTS
 *
 * {"event": NAME, …}, to connections that have asked for them. A connection to which an event does
 * not fit any more (twice CONTROL_OUTPUT_MAX) is closed.
 */
// clang-format on
#ifndef HUSK_POD_CONTROL_CONTROL_H
#define HUSK_POD_CONTROL_CONTROL_H

#define CONTROL_MAJOR 1
#define CONTROL_MINOR 0

#define CONTROL_FRAME_MAX        (1u << 20) /* bytes after the length */
#define CONTROL_JSON_DEPTH       32
#define CONTROL_OUTPUT_MAX       (1u << 20)
#define CONTROL_HELLO_TIMEOUT_MS 10000
#define CONTROL_CONNECTIONS_MAX  256
#define CONTROL_REQUESTS_MAX     64 /* unanswered, of one connection */
#define CONTROL_PROCESSES_MAX    64 /* of "exec", those that have ended included */
#define CONTROL_ATTACHED_MAX     64 /* clients of "attach" at a time */
#define CONTROL_ATTACH_QUEUE     (1u << 20)
#define CONTROL_FDS_MAX          3 /* with one frame */

#endif
