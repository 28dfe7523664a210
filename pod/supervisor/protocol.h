// SPDX-License-Identifier: Apache-2.0
// clang-format off
/*
 * What a client (the husk command) and the supervisor of one container say to each other over the
 * container's control socket.
 *
 * This header is the whole contract: constants, and the protocol in words.
 * docs/formats/container-control.md has examples. The supervisor takes every byte of a client for
 * hostile: a client that breaks a rule below loses its connection, never more.
 *
 * CONNECTIONS
 *
 * The socket is `control.sock` in the container's directory (store.h): a unix stream socket, which
 * lives as long as the supervisor. It takes connections of the user that runs it and of root
 * (SO_PEERCRED), and closes others. It is there from the moment at which the container has its
 * name, and connections are answered as soon as the supervisor runs.
 *
 * The command that makes a container gets the first connection from container_spawn() (spawn.h).
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
 * Supervisor: {"husk": {"major": 1, "minor": 0}, "container": NAME, "container_id": ID}
 *          or {"error": ERROR}, then it closes.
 *
 * The majors must be equal ("version"). A higher minor adds methods and members. Members that the
 * supervisor does not know are refused in requests; a client ignores members of answers and events,
 * and events, that it does not know. A connection that has not said hello within
 * CONTROL_HELLO_TIMEOUT_MS is closed.
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
 * "invalid", "unsupported", "not-found", "exists", "state", "limit", "version", "failed". The error
 * of "start" and "exec" has "status" beside these: 125, 126 (cannot be executed) or 127 (no such
 * file), which the command may return.
 *
 * PROCESS in a request is the name of a process that "exec" gave, or left out for the container's
 * first. EXIT is {"status": N, "signal": N, "oom": bool}: what exit() was given, or 128 + the
 * signal, which is 0 otherwise. What husk itself had to end has "error": TEXT beside these.
 *
 * STATE is {"status": "created"|"running"|"paused"|"exited", "supervisor": {"pid": N, "start": N},
 * "machine_pid": N, "created_ns", "started_ns", "finished_ns": nanoseconds since 1970 or 0,
 * "exit": EXIT once its process has ended, "oom_kills": N, "error": TEXT or "", "log_lost_lines": N, "log_error":
 * TEXT or ""}, as in state.json, which has "version" beside these.
 *
 * THE LIFE OF THE CONTAINER
 *
 * start    {}
 *     Once; the machine may still be booting. Answered when the container's program runs; an error
 *     means that the container has ended, with the error's status, and that everything is being
 *     cleaned up.
 *     When every connection is closed before this was asked, nobody is left who could: the container
 *     ends with status 125.
 * inspect  {}                  Answer: STATE
 * wait     {"process": PROCESS}
 *     For the container: EXIT when all is over: the machine is off, the record written and, for
 *     a container that removes itself, the directory gone. The supervisor ends after that, and with
 *     it all connections: ask before "start", or find the end in state.json.
 *     For a process of "exec": EXIT when it has ended. Answered also after the end, as long as the
 *     supervisor knows it: it forgets a process when the connection that made it is closed and the
 *     process has ended, and the oldest beyond CONTROL_PROCESSES_MAX that have ended.
 * kill     {"process": PROCESS, "signal": 1…64, "all": bool}
 *     "all" (left out: false): every process of the container. "state" unless it runs.
 * stop     {"signal": N, "grace_ms": N}
 *     Sends the signal (left out: the record's stop signal), SIGKILL when the container has not
 *     ended within grace_ms (left out: the record's), and turns the machine off when that has not
 *     helped. A second stop with an earlier end shortens the grace. Answered as "wait".
 * pause, resume   {}
 * update   {"resources": RESOURCES}   as "update" of husk/agent.h
 * stats    {}
 *     Answer: that of "stats" of husk/agent.h, and "machine": {"memory_resident_bytes",
 *     "cpu_ns"}: what the machine costs the host; left out where it is not known.
 * agent    {"method": NAME, "params": {…}}
 *     Passes a request on that only looks at the container: "state", "info", "processes". Answer:
 *     the agent's. The supervisor adds "container" to the params.
 * events   {}
 *     From now on the connection gets the events below.
 *
 * STREAMS
 *
 * exec     {"config": PROCESS-CONFIG, "stdin": bool, "detach": bool}
 *     "config" is an object as "process" of a config.json, without "capabilities" those of the
 *     container. Further members that "exec" of husk/agent.h takes ("user") are passed on.
 *     Answer: {"process": NAME, "pid": N, "streams": [TEXT, …]} with as many descriptors, in that
 *     order: "terminal" (both ways) with config.terminal; else "stdin" (when asked for), "stdout",
 *     "stderr". They are connected to the agent: the supervisor sees nothing of what passes. Each is
 *     a stream socket; a stream of output ends with everything that was written, stdin is ended by
 *     shutdown(SHUT_WR). Keep the connection until all was read: with it, and the process, the
 *     streams go. With "detach" there are none, and the supervisor swallows the output.
 * attach   {"stdin": bool, "wait": bool}
 *     To the container's first process. Answer: {"streams": [TEXT, …]} and descriptors, as "exec";
 *     "stdin" only when asked for and when the container has one. What is written from now on is
 *     copied to them, and to the log, and to everybody else who is attached; what was written before
 *     is in the log. Asked before "start", that is everything. A client with "wait" (a command in
 *     the foreground) makes the container's writer wait when it does not read; another is dropped
 *     when CONTROL_ATTACH_QUEUE bytes wait for it: its streams then end. Whoever wants to leave
 *     closes the descriptors; the connection may be closed before.
 *     The end of a client's stdin ends the container's when the record says so ("stdin": "once").
 * resize   {"process": PROCESS, "columns": N, "rows": N}   1 to 65535
 *
 * archive.get, archive.put     {…}
 *     As in husk/agent.h without "container" and "process". Answer: as that of "exec", with the
 *     streams "stdout" and "stderr", or "stdin" and "stderr"; "wait" for the process tells how it
 *     ended. They may be asked before "start": they are answered when the container is made, and
 *     find it as its program will.
 *
 * EVENTS
 *
 *     {"event": "state", "state": STATE}                         after each change
 *     {"event": "oom", "kills": N}                               in all
 *     {"event": "exit", "process": PROCESS, "exit": EXIT}        of a process of "exec"
 * A connection to which an event does not fit any more (twice CONTROL_OUTPUT_MAX) is closed.
 */
// clang-format on
#ifndef HUSK_POD_SUPERVISOR_PROTOCOL_H
#define HUSK_POD_SUPERVISOR_PROTOCOL_H

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
