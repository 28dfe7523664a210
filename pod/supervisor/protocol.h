// SPDX-License-Identifier: Apache-2.0
// clang-format off
/*
 * What a client (the husk command) and the supervisor of one container say to each other over the
 * container's control socket.
 *
 * This header is the whole contract, with pod/control/control.h. docs/formats/container-control.md
 * has examples.
 *
 * The socket, frames, hello and the form of requests are those of pod/control/control.h. The
 * supervisor's hello has "container": NAME and "container_id": ID. The socket is there from the
 * moment at which the container has its name. The command that makes a container gets the first
 * connection from entry_spawn() (pod/store/spawn.h).
 *
 * The error of "start" and "exec" has "status": 125, 126 (cannot be executed) or 127 (no such file),
 * which the command may return.
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

#include "pod/control/control.h"

#endif
