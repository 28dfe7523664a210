// SPDX-License-Identifier: Apache-2.0
// clang-format off
/*
 * What the host and the agent (PID 1 of a pod's virtual machine) say to each other.
 *
 * This header is the whole contract: constants, and the protocol in words. docs/formats/agent.md
 * has examples. Either side takes every byte of the other for hostile: a peer that breaks a rule
 * below loses its connection, never more.
 *
 * CONNECTIONS
 *
 * The agent listens on the vsock port HUSK_AGENT_PORT and takes connections of the host only (CID
 * 2); it never connects by itself. The host opens as many connections as it wants streams, and says
 * in the first frame of each what it is for. One program may use several control connections; what
 * is done over one is seen by all. A connection that has not said hello within
 * HUSK_AGENT_HELLO_TIMEOUT_MS is closed.
 *
 * FRAMES
 *
 * A frame is a length (32 bits, little-endian, 2 to HUSK_AGENT_FRAME_MAX) and that many bytes: one
 * JSON object in UTF-8, without NUL, at most HUSK_AGENT_JSON_DEPTH deep. Numbers are integers. The
 * one exception are integers of an OCI configuration above 2^63 - 1, which the agent takes for "no
 * limit" where they are at least 2^64 - 2048, and refuses elsewhere.
 *
 * HELLO
 *
 * Host:  {"husk": {"major": 1, "minor": 2}, "role": "control"}
 *     or {"husk": {…}, "role": "stream", "container": ID, "process": ID, "stream": NAME}
 *     or {"husk": {…}, "role": "dial", "address": TEXT, "port": N}                         (1.2)
 * Agent: {"husk": {"major": 1, "minor": 2}, "agent": "0.1.0", "booted": true|false}
 *     or {"error": ERROR}, then it closes.
 *
 * The majors must be equal, or the agent answers with the error "version" (which names both), and a
 * host must refuse such an agent likewise. A higher minor adds methods and members. Each side may
 * use what the lower of both minors has. Members that the agent does not know are refused in
 * requests, so that no wish is dropped in silence; a host ignores members of answers and events
 * that it does not know, and events of unknown names. "booted" tells an agent that is PID 1 of a
 * machine from one that a test has started.
 *
 * What minor 1 has added is marked (1.1) below, and what minor 2 has (1.2); the rest is
 * 1.0.
 *
 * REQUESTS
 *
 * Host:  {"id": N, "method": NAME, "params": {…}}     N: 0 to 2^53 - 1, chosen by the host
 * Agent: {"id": N, "result": {…}} or {"id": N, "error": ERROR}
 *
 * ERROR is {"code": CODE, "where": TEXT, "what": TEXT, "why": TEXT}. "where" names the field, as in
 * "config.linux.namespaces[1].type", or the object. CODE is one of
 *     "invalid"      a value of the request is wrong
 *     "unsupported"  a known field asks for what this agent does not do
 *     "not-found"    there is no such container, process, volume, disk or file
 *     "exists"       the name is taken
 *     "state"        the object is in a state in which this cannot be done
 *     "limit"        a limit of this header, or of the machine, is reached
 *     "version"      the majors differ (hello only)
 *     "failed"       the kernel refused; "why" says what it said
 * Whatever fails leaves nothing behind. The agent reads no further request from a connection while
 * HUSK_AGENT_OUTPUT_MAX bytes wait to be read by the host.
 *
 * ORDER (1.2)
 *
 * Requests of one connection are begun in the order in which they come. Most are carried out, and
 * answered, before the next one is looked at. Those that can take long do not hold up others:
 *     "create", "start", "delete"     requests that name the container wait for them
 *     "exec", "archive.put", "archive.get"
 *                                     requests that name the process wait for them
 *     "processes", "volume.usage", "volume.delete"
 *                                     nothing waits for them
 * What waits is carried out in order of arrival, over whatever connection it came; what does not
 * wait may be answered before what came earlier. "wait" is answered when the process has ended. A
 * "delete" of a container with "force" waits for another "delete" only: what else is under way for
 * the container is refused, and what waits finds it gone. The agent reads no further request from a connection while more than
 * HUSK_AGENT_QUEUE_MAX bytes of its requests wait; when the connection ends, they are forgotten.
 * A host that depends on the order of two requests that do not wait for each other in this way (a
 * "create", and the removal of a volume that it names) asks for the second when the first is
 * answered.
 *
 * To a host whose minor is below 2 the requests of one connection are carried out strictly in
 * order, and answered so, but for "wait".
 *
 * EVENTS
 *
 * Each control connection gets
 *     {"event": "exit", "container": ID, "process": ID, "exit": EXIT}
 *     {"event": "oom", "container": ID, "kills": N}
 *         N processes in all were killed for want of memory
 * A connection to which an event does not fit any more (twice HUSK_AGENT_OUTPUT_MAX) is closed: the
 * host connects again and asks for "state".
 *
 * EXIT is {"status": N, "signal": N, "oom": bool}: the status is what exit() was given, or 128 + the
 * signal that ended the process, which is 0 otherwise.
 *
 * NAMES
 *
 * Containers, processes, volumes and files have names of 1 to HUSK_AGENT_NAME_MAX characters of
 * A-Z a-z 0-9 . _ -, the first a letter or digit. A container's first process has the name "init".
 *
 * CONTAINERS (the life cycle of the OCI runtime specification)
 *
 * create   {"container": ID, "config": CONFIG, "rootfs": ROOTFS, "stdin": bool, "user": USER,
 *           "fill": [VOLUME, …], "seal": bool, "init": bool}
 *     CONFIG is a whole config.json of OCI runtime specification 1.0.2 to 1.2 as an object. What the
 *     agent does not support is refused with the field's name (docs/agent.md has the list); unknown
 *     members are ignored. Relative paths start at "/".
 *     ROOTFS may be left out: then config.root.path is a directory of the guest. Otherwise it is
 *     {"layers": [VOLUME, …], "upper": VOLUME}: read-only layers, the lowest first, and the volume
 *     that takes what the container writes (left out: it can write nothing). A writable volume
 *     serves many containers: each has a directory of its own in it, which "delete" removes.
 *     "stdin": whether there will be a stream for it (else it is empty).
 *     "user" (1.1): NAME or UID, then maybe ":" and NAME or GID of a group, looked up in /etc/passwd
 *     and /etc/group of the container's root, and taken in place of process.user's "uid" and "gid";
 *     "umask" and "additionalGids" still hold. A number is an id and needs no entry there; a name
 *     does ("not-found"). Without a group it is that of the user's entry, or the config's, and the
 *     process is in all groups that list the user's name. HOME is added to the environment when
 *     that has none: the entry's, or "/". An empty name is the config's uid.
 *     "fill" (1.1): each of these writable volumes that CONFIG mounts, and in which there is nothing
 *     yet (but "lost+found"), gets what the container's root has at that place: contents, owner, mode.
 *     "seal" (1.1): a read-only root, and volumes that are mounted read-only, become so at "start"
 *     only: "archive.put" can write there before.
 *     "init" (1.3): a process of the agent's is the container's first, the program its child: it
 *     sends signals on, reaps orphans, and ends as the program does: with its status, or 128 + its
 *     signal.
 *     Answer: {"pid": N}, the process's id in the guest.
 * start    {"container": ID}
 *     When the program cannot be executed, the process ends with the error, and the container is
 *     "stopped", to be deleted.
 * state    {"container": ID}
 *     Answer: {"container", "status": "created"|"running"|"paused"|"stopped", "pid",
 *     "processes": [{"process": ID, "pid": N, "exit": EXIT when ended}, …]}
 * list     {}                  Answer: {"containers": [ID, …]}
 * kill     {"container": ID, "process": ID, "signal": 1…64, "all": bool}
 *     "process" left out is "init"; "all" (left out: false) is every process of the container.
 * exec     {"container": ID, "process": ID, "config": PROCESS, "stdin": bool, "user": USER}
 *     PROCESS is an object as "process" of a config.json. It starts at once, in a container that is
 *     "created" or "running". Without "capabilities" it has those of the container.
 *     "user" (1.1) as above.
 *     Answer: {"pid": N}.
 * wait     {"container": ID, "process": ID}   Answer: EXIT, also for one that has ended already.
 * resize   {"container": ID, "process": ID, "columns": N, "rows": N}   the terminal's size
 * pause, resume   {"container": ID}
 * update   {"container": ID, "resources": RESOURCES}   an object as "linux.resources", without
 *     "devices"; what it leaves out stays as it is.
 * stats    {"container": ID}   Answer: {"cpu_usec", "cpu_user_usec", "cpu_system_usec",
 *     "cpu_throttled_usec", "memory_bytes", "memory_peak_bytes", "memory_anon_bytes",
 *     "memory_file_bytes", "oom_kills", "processes", "io_read_bytes", "io_write_bytes"}; what the
 *     kernel does not count is left out.
 * processes (1.1)   {"container": ID}
 *     Answer: {"processes": [{"pid": N in the guest, "pid_inside": N in its own pid namespace,
 *     "ppid": N in the guest, 0 for what is not seen there, "uid": N in the guest, "state": LETTER
 *     as in proc(5), "cpu_usec": N, "age_usec": N, "memory_bytes": N that are resident, "command":
 *     TEXT of at most 512 bytes}, …], "left_out": N}. At most 1024 are listed. "failed" when a
 *     process does not let itself be looked at in a second.
 * delete   {"container": ID, "process": ID, "force": bool}
 *     With "process": forgets a process that "exec" made and that has ended. Without: the container,
 *     which must have ended, or is killed first with "force".
 *
 * STANDARD STREAMS
 *
 * A process without a terminal has "stdout" and "stderr" (from the agent to the host), and "stdin"
 * (the other way) when the request said so; one with a terminal has "terminal" (both ways) and
 * nothing else. The host connects with role "stream"; after both hellos all bytes are those of the
 * stream. One connection at a time for each: a second is refused with "state". The stream of a
 * process ends when the agent shuts the connection down: everything has arrived then. The host ends
 * "stdin" by shutting down its sending half.
 *
 * Nothing is lost while nobody is connected: output waits in a pipe, and when that is full, the
 * writer waits. When a connection breaks, the host may connect again; what was on its way is lost,
 * and "stdin" ends only by an orderly shutdown. A process's streams go when it is deleted.
 *
 * CONNECTIONS INTO THE POD (1.2)
 *
 * With role "dial" the agent connects by TCP to "address" (IPv4 or IPv6 in numbers, as the network
 * namespace of the guest, which is the pod's, reaches it) and "port" (1 to 65535). Its hello comes
 * when this connection stands: from then on all bytes are passed on, both ways, and the end of either
 * direction by itself. A connection that breaks breaks the other one off. It is refused with
 * "failed", and what the kernel said as "why", or after HUSK_AGENT_DIAL_TIMEOUT_MS, or with "limit"
 * while there are HUSK_AGENT_DIALS_MAX.
 *
 * ARCHIVES (1.1)
 *
 * archive.put    {"container": ID, "process": ID, "path": PATH, "create": bool}
 *     Begins to unpack a tar archive (ustar, pax, GNU's long names) into the directory PATH of a
 *     container that is "created" or "running"; with "create" it is made first. Answer: {"pid": N}.
 *     A process of the container comes of it, as of "exec": its "stdin" takes the archive, "wait"
 *     tells how it ended (status 0: all is there), and "delete" forgets it; when the status is 1,
 *     "stderr" has one line of text. The archive's end is the end of "stdin". What has been put
 *     before something went wrong stays.
 *     PATH is resolved in the container's root, and the archive's paths below PATH, also through
 *     links: nothing else can be reached. ".." and devices are refused. Owners and modes are the
 *     archive's; names, extended attributes and times of directories are not used. A file takes the
 *     place of what is no directory; a directory that is there stays, and takes owner and mode.
 * archive.get    {"container": ID, "process": ID, "path": PATH, "follow": bool, "content": bool}
 *     The same the other way: "stdout" is an archive of PATH, whose first entry has the name of
 *     PATH's last part, or "." when that has none. A link at the end of PATH is archived as one,
 *     unless "follow" says otherwise. Without "content" (left out: true) it is one entry without
 *     bytes: what there is, and of what kind. Sockets, and what is in proc, sysfs and the like, are
 *     left out; hard links become files. An archive that lacks its end (two blocks of zeros) broke
 *     off.
 *
 * VOLUMES
 *
 * volume.add     {"volume": NAME, SOURCE, "fstype": TYPE, "readonly": bool, "options": [TEXT, …],
 *                 "mode": N, "uid": N, "gid": N}
 *     SOURCE is one of
 *         "disk": SERIAL     a virtio disk by its serial number, which is the drive's id of the host
 *                            cut to 20 bytes; it needs "fstype": "erofs", "ext4" or another of the
 *                            kernel's, and the others have none
 *         "disk": SERIAL, "offset_bytes": N, "size_bytes": N   (1.1)
 *                            a part of that disk, in whole sectors of 512 bytes that no other
 *                            volume has; "size_bytes" is at least 1, and both are given or none
 *         "virtiofs": TAG    a shared folder
 *         "tmpfs_bytes": N   memory of the guest, at most N bytes
 *         "directory": VOLUME   (1.1) a new, empty directory of another, writable volume, which goes
 *                            with this volume and keeps the other one from being removed. On a disk
 *                            that an earlier machine wrote, what volume and container of the same
 *                            names had there at its "shutdown" is there again
 *     "mode" (up to 07777), "uid", "gid" (1.2): what the volume's root directory becomes before
 *     anybody can see it; a read-only volume cannot. What is left out stays as it is: 0755, 0, 0 for
 *     "tmpfs_bytes" and "directory". With the set-group-id bit, what containers make in it has its
 *     group (a file system group of Kubernetes).
 *     "not-found" while the guest has not seen the disk (a moment, after a hot-plug): ask again.
 *     The volume is mounted at HUSK_AGENT_VOLUMES/NAME, never with device nodes or set-user-id
 *     programs outside of a root file system. A config.json names it by that path, or one below it,
 *     as the source of a bind mount; a link in the volume cannot lead out of it.
 * volume.remove  {"volume": NAME}
 *     "state" while a container uses it.
 *
 * What is in a volume (1.2). PATH is relative to the volume's root, 1 to HUSK_AGENT_PATH_MAX bytes,
 * without ".." as a part. Containers may have put links on the way, and may change them at any
 * moment: whatever they are, also absolute ones, nothing outside of the volume is reached. Numbers
 * for owner and mode are as for "volume.add"; the mode is not changed by any umask.
 *
 * volume.directory  {"volume": NAME, "path": PATH, "mode": N, "uid": N, "gid": N}
 *     Makes a directory, and those above it that are missing, all with this mode (left out: 0755) and
 *     owner (0, 0). What PATH names already, also a file, stays as it is, and is no error.
 * volume.write   {"volume": NAME, "path": PATH, "data": TEXT or "data_base64": TEXT or "link": TEXT,
 *                 "mode": N, "uid": N, "gid": N, "directory_mode": N, "append": bool}
 *     A file of at most HUSK_AGENT_DATA_MAX bytes with this mode (left out: 0644) and owner (0, 0), or
 *     a symbolic link with this text. Directories that are missing are made, of the same owner and
 *     with "directory_mode" (left out: 0755). What PATH names, a link itself and not what it points
 *     to, is replaced in one step: who reads it sees the old file or the new one, whole; who has
 *     bound the old one keeps that. "exists" when that is a directory.
 *     "append": the bytes come to the end of a regular file that is there, whose mode and owner
 *     stay; without one it is made. Longer files are made so.
 * volume.read    {"volume": NAME, "path": PATH, "max_bytes": N, "tail": bool}
 *     Answer: {"data_base64": TEXT, "size_bytes": N}: the first bytes of a regular file, or the last
 *     ones with "tail", at most max_bytes and HUSK_AGENT_DATA_MAX; and the size of the whole file.
 *     "invalid" when it is none.
 * volume.delete  {"volume": NAME, "path": PATH}
 *     A file, a link itself, or a directory with all that is in it; no error when there is none.
 *     Answered when it is gone; what containers make in it meanwhile may make it fail.
 * volume.usage   {"volume": NAME}
 *     Answer: {"used_bytes", "used_inodes", "size_bytes", "inodes"}. What is used is that of the
 *     file system; of a "directory" it is that of all that is in it, which is gone through: "failed"
 *     when this takes more than HUSK_AGENT_USAGE_MS, and "limit" when directories are more than 256
 *     deep in each other. The size is that of the file system in any case.
 *
 * file.write     {"file": NAME, "data": TEXT}
 *     At most HUSK_AGENT_FILE_MAX bytes, at HUSK_AGENT_FILES/NAME, mode 0644: a hosts or resolv.conf
 *     to be bound into containers. Writing it again changes it in place, also in those.
 *
 * THE POD
 *
 * pod.set        {"hostname": TEXT, "share": ["ipc", "uts", "pid"], "sysctl": {NAME: TEXT, …},
 *                 "shm_bytes": N}
 *     Once, before the containers that use it. For each word of "share" it makes a namespace, at
 *     HUSK_AGENT_NAMESPACES/WORD, which a config.json joins by that path. "hostname" is that of the
 *     shared namespace and of the guest. "sysctl" are those of the shared ipc and uts namespaces and
 *     of the network; "shm_bytes" is a tmpfs for all containers at HUSK_AGENT_SHM, to be bound to
 *     their /dev/shm. The pod's network namespace is the guest's own: a config.json that names no
 *     network namespace is in it.
 * network.set    {"interface": NAME or "mac": TEXT, "addresses": ["10.1.2.3/24", …], "mtu": N,
 *                 "routes": [{"to": "0.0.0.0/0", "via": "10.1.2.1"}, …]}
 *     Brings an interface up with these addresses (IPv4 or IPv6) and routes, in addition to those it
 *     has. "via" may be left out. An interface that is named by its MAC is waited for, for 5 seconds.
 *     From then on it takes no addresses and routes from router advertisements.
 *
 * THE GUEST
 *
 * info           {}
 *     Answer: {"kernel": RELEASE, "processors": N, "memory_bytes": N,
 *     "cgroup_controllers": [TEXT, …]}
 * shutdown       {"reboot": bool}
 *     Kills the containers, unmounts the volumes, then powers off or resets. The answer comes first.
 *     An agent that is no PID 1 of a machine just ends.
 */
// clang-format on
#ifndef HUSK_AGENT_H
#define HUSK_AGENT_H

#define HUSK_AGENT_MAJOR 1
#define HUSK_AGENT_MINOR 3
#define HUSK_AGENT_PORT  1024

#define HUSK_AGENT_FRAME_MAX        (1u << 20) /* bytes after the length */
#define HUSK_AGENT_JSON_DEPTH       32
#define HUSK_AGENT_OUTPUT_MAX       (1u << 20)
#define HUSK_AGENT_HELLO_TIMEOUT_MS 10000
#define HUSK_AGENT_CONNECTIONS_MAX  512 /* streams included */
#define HUSK_AGENT_CONTAINERS_MAX   128
#define HUSK_AGENT_PROCESSES_MAX    256 /* of all containers, those that have ended included */
#define HUSK_AGENT_WAITS_MAX        512 /* unanswered "wait" requests */
#define HUSK_AGENT_VOLUMES_MAX      512
#define HUSK_AGENT_LAYERS_MAX       128
#define HUSK_AGENT_NAME_MAX         64
#define HUSK_AGENT_FILE_MAX         (256u << 10)
#define HUSK_AGENT_QUEUE_MAX        (1u << 20)
#define HUSK_AGENT_DATA_MAX         (512u << 10)
#define HUSK_AGENT_PATH_MAX         1024
#define HUSK_AGENT_USAGE_MS         10000
#define HUSK_AGENT_DIALS_MAX        128
#define HUSK_AGENT_DIAL_TIMEOUT_MS  10000

/* Where things are in the guest, for the paths of a config.json. */
#define HUSK_AGENT_VOLUMES    "/run/husk/volumes"
#define HUSK_AGENT_FILES      "/run/husk/files"
#define HUSK_AGENT_NAMESPACES "/run/husk/namespaces"
#define HUSK_AGENT_SHM        "/run/husk/shm"
/* What the initial RAM disk held, read-only. */
#define HUSK_AGENT_INITRAMFS  "/run/husk/initramfs"

#endif
