// SPDX-License-Identifier: Apache-2.0
// clang-format off
/*
 * What a client (the library of pods) and the supervisor of one pod say to each other over the
 * pod's control socket.
 *
 * This header is the whole contract, with pod/control/control.h. docs/formats/pod-control.md has
 * examples.
 *
 * The socket, frames, hello and the form of requests are those of pod/control/control.h. The
 * supervisor's hello has "pod": KEY and "uid": UID. Whoever starts a pod gets the first connection
 * from pod_start() (pods.h); when it is closed, nothing happens to the pod.
 *
 * CONTAINER in a request is the name of a container of the Pod object, init containers included; it
 * has to be there. PROCESS is the name of a process that "exec" gave, or left out for the
 * container's first. EXIT is {"status": N, "signal": N, "oom": bool}: what exit() was given, or 128
 * + the signal, which is 0 otherwise. A request for a container that does not run at the moment
 * is refused with "state".
 *
 * STATE is {"supervisor": {"pid": N, "start": N}, "machine_pid": N, "status": PodStatus}, as in
 * state.json (docs/formats/pod-state.md), which has "version" beside these.
 *
 * THE POD
 *
 * inspect  {"container": CONTAINER}     Answer: STATE, whatever container is named (or none)
 * wait     {"for": "end"|"ready"}
 *     "end" (also when left out) is answered with STATE when all is over: the machine is off, the
 *     network taken down, the record written and, for a pod that removes itself, the directory
 *     gone. The supervisor ends after that, and with it all connections. "ready" is answered with
 *     STATE when the condition Ready is true, and refused with "state" when the pod ends before.
 * stop     {"grace_ms": N}
 *     Begins the pod's end: preStop hooks and stop signals, SIGKILL when a container has not ended
 *     within grace_ms (left out: spec.terminationGracePeriodSeconds; the time counts from this
 *     request, hooks included), sidecars last, in reverse order; then the machine's power is
 *     turned off. A second stop with an earlier end shortens the grace. Answer: {}, at once; "wait"
 *     tells the end. It may be asked in every phase.
 * apply    {"file": NAME}
 *     A file of the pod's directory that pod_apply_prepare() has written (it may be longer than a
 *     frame): a record with another Pod object and other objects. Puts to work what can be changed
 *     while the pod runs. Answer: {"changed": [TEXT, …]}, the fields. "exists" when a field is among the changes that cannot be changed; it
 *     is named, and nothing has changed. The record is replaced before anything is done.
 * events   {}
 *     From now on the connection gets the events below.
 *
 * CONTAINERS
 *
 * kill     {"container": CONTAINER, "process": PROCESS, "signal": 1…64, "all": bool}
 *     "all" (left out: false): every process of the container.
 * stats    {}
 *     Answer: {"machine": {"memory_resident_bytes", "cpu_ns"}, "containers": [{"name", "stats":
 *     {…}}, …]} with the stats of husk/agent.h, of those containers that run; what is not known of
 *     the machine is left out.
 * processes  {"container": CONTAINER}
 *     Answer: that of "processes" of husk/agent.h.
 *
 * STREAMS
 *
 * exec     {"container": CONTAINER, "args": [TEXT, …], "tty": bool, "columns": N, "rows": N,
 *           "stdin": bool, "detach": bool}
 *     A process beside the container's first, with the same environment, directory, user and
 *     rights. Answer: {"process": NAME, "pid": N, "streams": [TEXT, …]} with as many descriptors,
 *     in that order: "terminal" (both ways) with "tty"; else "stdin" (when asked for), "stdout",
 *     "stderr". They are connected to the agent: the supervisor sees nothing of what passes. Each is
 *     a stream socket; a stream of output ends with everything that was written, stdin is ended by
 *     shutdown(SHUT_WR). Keep the connection until all was read: with it, and the process, the
 *     streams go. With "detach" there are none, and the supervisor swallows the output. An error
 *     has "status": 125, 126 (cannot be executed) or 127 (no such file).
 * exec.wait  {"container": CONTAINER, "process": PROCESS}
 *     EXIT when the process, which "exec" or an archive gave, has ended. Answered also after the
 *     end, as long as the supervisor knows it: it forgets a process when the connection that made
 *     it is closed and the process has ended, and the oldest beyond CONTROL_PROCESSES_MAX that have
 *     ended.
 * attach   {"container": CONTAINER, "stdin": bool, "wait": bool}
 *     To the container's first process. Answer: {"streams": [TEXT, …]} and descriptors, as "exec";
 *     "stdin" only when asked for and when the container has one. What is written from now on is
 *     copied to them, and to the log, and to everybody else who is attached; what was written
 *     before is in the log. A client with "wait" makes the container's writer wait when it does not
 *     read; another is dropped when CONTROL_ATTACH_QUEUE bytes wait for it: its streams then end.
 *     They end with this run of the container. Whoever wants to leave closes the descriptors.
 * resize   {"container": CONTAINER, "process": PROCESS, "columns": N, "rows": N}   1 to 65535
 * archive.get, archive.put     {"container": CONTAINER, …}
 *     As in husk/agent.h without "process". Answer: as that of "exec", with the streams "stdout"
 *     and "stderr", or "stdin" and "stderr"; "exec.wait" tells how it ended.
 * dial     {"address": TEXT, "port": N}
 *     A connection by TCP, made inside the pod's network namespace; "address" (left out:
 *     "127.0.0.1") is in numbers. Answer: {} with one descriptor, a stream socket. "failed" when
 *     nobody listens.
 *
 * EVENTS
 *
 *     {"event": "state", "state": STATE}                         after each change
 *     {"event": "notice", "type": "Normal"|"Warning", "reason": TEXT, "message": TEXT,
 *      "container": CONTAINER}
 *         What a kubelet tells in its events: "Pulling", "Pulled", "Failed", "BackOff", "Started",
 *         "Killing", "Unhealthy", "MachineStarted", "MachineLost", …; "container" is left out when
 *         it is about the pod.
 *     {"event": "exit", "container": CONTAINER, "process": PROCESS, "exit": EXIT}   of "exec"
 */
// clang-format on
#ifndef HUSK_POD_PODS_PROTOCOL_H
#define HUSK_POD_PODS_PROTOCOL_H

#include "pod/control/control.h"

#endif
