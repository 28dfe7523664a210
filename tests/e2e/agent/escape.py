# SPDX-License-Identifier: Apache-2.0
"""The escape checklist: what a hostile container, image or process tries, one case each. After every case the
agent must still answer and a neighbour container must still run untouched."""
from agent import Container, Refused, SHELL, require

SLEEP = "sleep 1000"
ALL = ["CAP_" + name for name in (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN NET_RAW "
    "IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE MKNOD SETFCAP SYSLOG").split()]


def powers(*names):
    return {"process.capabilities": {kind: list(names) for kind in ("bounding", "permitted", "effective")},
            "process.noNewPrivileges": False}


def host_view(path, kind, *options, source="none"):
    return {"mounts+": [{"destination": path, "type": kind, "source": source, "options": list(options)}]}


# name, changes, command, what must be in its output, what must not
ATTEMPTS = [
    # --- mount tricks
    ("mount", {}, "probe mount", "EPERM", None),
    ("unmount a mask", {}, "probe umount /proc/keys; probe umount /proc", "EPERM", "ok"),
    ("remount what is read-only", {}, "probe remount /proc/sys; probe remount /", "EPERM", "ok"),
    ("mount in a user namespace of its own", {}, "probe unshare 0x10020000", "", None),
    ("links of the image as mount points", {"mounts+": [
        {"destination": "/escape/tmp/husk-agent-was-here", "type": "tmpfs", "source": "x", "options": []}]},
     "ls -d /tmp/husk-agent-was-here", "/tmp/husk-agent-was-here", None),
    ("climb out of a chroot", powers(*ALL), "mkdir -p /tmp/j && chroot /tmp/j /bin/true; cd /; "
     "i=0; while [ $i -lt 40 ]; do cd ..; i=$((i+1)); done; ls -a", "bin", "agent.sock"),
    ("mounts of the agent", powers(*ALL), "cat /proc/self/mountinfo", "proc", "husk/volumes"),
    ("umount of the root shows nothing", powers(*ALL), "probe umount /; ls -a / | head -3; cat /proc/self/mountinfo",
     "", "agent.sock"),
    ("a read-only root stays so", {"root.readonly": True}, "probe remount /; touch /x 2>&1", "Read-only", None),
    ("a handle of another file system's root", {}, "probe handle", "EPERM", "ok"),
    # --- proc and sys
    ("write to the kernel's parameters", {}, "for f in kernel/core_pattern kernel/modprobe vm/panic_on_oom kernel/hotplug; "
     "do (echo x > /proc/sys/$f) 2>&1; done", "Read-only", None),
    ("trigger sysrq", {}, "(echo b > /proc/sysrq-trigger) 2>&1", "", None),
    ("read the kernel's memory", {}, "head -c 16 /proc/kcore | wc -c; head -c 16 /proc/keys | wc -c", "0", "16"),
    ("write to sysfs", host_view("/sys", "sysfs", "ro", "nosuid", "nodev", "noexec"),
     "(echo 1 > /sys/kernel/mm/ksm/run) 2>&1; (echo x > /sys/kernel/uevent_helper) 2>&1; mkdir /sys/x 2>&1",
     "Read-only", None),
    ("see processes outside", {}, "ls /proc | grep '^[0-9]' | sort -n | tail -n 1", "", "husk"),
    ("the agent's files through /proc/1/root", powers(*ALL), "ls -a /proc/1/root/", "bin", "agent.sock"),
    ("the program that was executed", powers(*ALL), "readlink /proc/self/exe; (: > /proc/self/exe) 2>&1",
     "/bin/busybox", "husk-agent"),
    ("raise the own OOM score", {"process.user": {"uid": 5, "gid": 5}}, "(echo -1000 > /proc/self/oom_score_adj) 2>&1",
     "denied", None),
    # --- devices
    ("make a disk's node", {}, "mknod /tmp/d b 254 0; (: < /tmp/d) 2>&1; rm -f /tmp/d", "not permitted", None),
    ("make the memory's node", powers(*ALL), "mknod /tmp/m c 1 1; (: < /tmp/m) 2>&1; rm -f /tmp/m", "not permitted",
     None),
    ("make a node without the right", powers("CAP_CHOWN"), "mknod /tmp/n c 1 3 2>&1", "not permitted", None),
    ("nodes on a volume of others", host_view("/mnt", "tmpfs", "nodev"),
     "mknod /mnt/z c 1 5 && (: < /mnt/z) 2>&1", "denied", None),
    # --- other processes
    ("trace init", {}, "sh -c 'probe ptrace 1'", "", "ESRCH"),
    ("trace without a right", {"process.user": {"uid": 5, "gid": 5}}, "probe ptrace 1", "EPERM", "ok"),
    ("kill all", {}, "kill -9 -1; echo alive", "", None),
    ("a pid of the agent's", {}, "kill -0 2 2>&1; probe ptrace 2", "", None),
    # --- cgroups
    ("leave the cgroup", host_view("/sys/fs/cgroup", "cgroup", "rw"),
     "echo $$ > /sys/fs/cgroup/../cgroup.procs; ls /sys/fs/cgroup/.. ; cat /proc/self/cgroup | grep 0::", "0::/",
     "husk-agent-test"),
    ("mount another view of cgroups", powers(*ALL), "mkdir -p /tmp/cg; mount -t cgroup2 none /tmp/cg && ls /tmp/cg",
     "cgroup.procs", "husk-agent-test"),
    ("cgroups without number", host_view("/sys/fs/cgroup", "cgroup", "rw"),
     "i=0; while [ $i -lt 400 ] && mkdir /sys/fs/cgroup/$i 2>&1; do i=$((i+1)); done; echo made $i", "made 256", None),
    ("cgroups without bottom", host_view("/sys/fs/cgroup", "cgroup", "rw"),
     "cd /sys/fs/cgroup; i=0; while [ $i -lt 20 ] && mkdir d 2>&1; do cd d; i=$((i+1)); done; echo made $i", "made 8",
     None),
    ("a cgroup of the old kind", powers(*ALL), "mkdir -p /tmp/v1; mount -t cgroup -o memory x /tmp/v1 && "
     "ls /tmp/v1/release_agent", "", None),
    # --- keys, namespaces, kernel code
    ("namespaces without a right", {}, "for f in 0x00020000 0x20000000 0x40000000 0x08000000 0x04000000 0x02000000; do "
     "probe unshare $f; done", "EPERM", "ok"),
    ("enter another's namespace", {}, "probe setns /proc/1/ns/net; probe setns /proc/1/ns/mnt", "EPERM", "ok"),
    ("load a module", powers(*ALL), "probe module", "E", "ok"),
    ("load a BPF program", {}, "probe bpf", "E", "ok"),
    # --- descriptors
    ("descriptors of the agent", powers(*ALL), "ls -l /proc/self/fd", "", "socket"),
    ("descriptors of init", powers(*ALL), "ls -l /proc/1/fd | grep -v -E 'pipe|null|total'", "", "socket"),
    ("a working directory by a descriptor's link", {"process.cwd": "/proc/self/fd/3"}, "pwd; ls ..", None, "agent.sock"),
]


def attempt(place, neighbour, changes, command, wanted, unwanted):
    try:
        with Container(place, changes, command) as container:
            _, out, err = container.finish()
        out += err
    except Refused as error:
        require(wanted is None, f"refused: {error}")
        out = ""
    for word in (wanted or "").split(" and "):
        require(word in out, f"printed {out!r} without {word!r}")
    if unwanted:
        require(unwanted not in out, f"printed {out!r}")
    unharmed(place, neighbour)


def unharmed(place, neighbour):
    require(place.alive(), "the agent has ended")
    state = neighbour.state()
    require(state["status"] == "running" and "exit" not in state["processes"][0], f"the neighbour: {state}")


def keys_of_another(place, neighbour):
    """A session keyring is inherited: the number of one container's key must say nothing to another."""
    with Container(place, None, "probe key-add; sleep 1000") as first:
        stream = first.stream("stdout")
        first.start()
        answer = stream.socket.recv(100).decode().split()
        if len(answer) != 2:
            require(answer in (["ENOSYS"], ["EPERM"]), answer)
            return
        with Container(place, {"process.user": {"uid": 5, "gid": 5}}, f"probe keyctl {answer[0]}") as second:
            require("ok" not in second.finish()[1], "a key of another container can be read")
        with Container(place, None, f"probe keyctl {answer[0]}") as third:
            require("ok" not in third.finish()[1], "a key of another container can be read by root")


def fork_bomb(place, neighbour):
    """As many processes as the machine lets it have, for which it is killed as one."""
    limit = {"process.rlimits": [{"type": "RLIMIT_NPROC", "soft": 400, "hard": 400}],
             "process.user": {"uid": 4242, "gid": 4242}}
    with Container(place, limit, "probe fork") as container:
        out = container.stream("stdout")
        container.start()
        require(out.socket.recv(100).startswith(b"EAGAIN"), "the bomb did not go off")
        unharmed(place, neighbour)
        place.control.call("delete", container=container.name, force=True)


def output_flood(place, neighbour):
    """Into a stream that nobody reads, and one that a slow reader has."""
    with Container(place, None, "cat /dev/zero & cat /dev/zero >&2") as container:
        slow = container.stream("stderr")
        container.start()
        slow.socket.recv(10)
        unharmed(place, neighbour)
        container.kill(9)
        container.wait()


def kills_the_child_of_an_exec(place, neighbour):
    """Whoever is on its way into a container can be killed or stopped in it."""
    with Container(place, None, "while :; do for p in $(ls /proc | grep '^[0-9]'); do "
                   "[ $p -gt 2 ] && [ $p != $$ ] && kill -9 $p 2>/dev/null; done; done") as container:
        container.start()
        for number in range(10):
            try:
                container.exec(f"e{number}", "true")
            except Refused as error:
                require(error.code in ("failed", "not-found", "state"), error)
        unharmed(place, neighbour)


def deep_directories(place, neighbour):
    """Deeper than any path may be long."""
    call = place.control.call
    call("volume.add", volume="deep-low", tmpfs_bytes=16 << 20)
    call("volume.add", volume="deep-up", tmpfs_bytes=64 << 20)
    fill = {"mounts+": [{"destination": "/low", "type": "bind", "source": "/run/husk/volumes/deep-low",
                         "options": ["bind"]}]}
    with Container(place, fill, "mkdir -p /low/bin /low/proc /low/dev; cp /bin/busybox /low/bin") as maker:
        maker.finish()
    rootfs = {"layers": ["deep-low"], "upper": "deep-up"}
    with Container(place, {"root": None}, "i=0; while [ $i -lt 1200 ]; do mkdir dddddddddd && cd dddddddddd; i=$((i+1)); "
                   "done; echo made", rootfs=rootfs) as container:
        require("made" in container.finish()[1], "not made")
    look = {"mounts+": [{"destination": "/up", "type": "bind", "source": "/run/husk/volumes/deep-up",
                         "options": ["bind"]}]}
    with Container(place, look, "for i in $(seq 1000); do [ -z \"$(ls -A /up)\" ] && break; sleep 0.02; done; ls -A /up"
                   ) as last:
        require(last.finish()[1] == "", "it is still there")
    unharmed(place, neighbour)
    call("volume.remove", volume="deep-low")
    call("volume.remove", volume="deep-up")


def kills_init(place, neighbour):
    with Container(place, None, "kill -9 $$; kill -SEGV $$; sleep 0.1; echo alive") as container:
        container.finish()
    unharmed(place, neighbour)


def vsock(place, neighbour):
    """The agent's port, from inside: by the local address and by the guest's own."""
    with Container(place, None, "probe vsock 1 1024; probe vsock 4294967295 1024") as container:
        require("ok" not in container.finish()[1], "a container can speak to the agent")
    unharmed(place, neighbour)


def looks_into_the_first_process(place, neighbour):
    """It is a copy of the agent, and shows nothing of it."""
    script = ("readlink /proc/1/exe; ls /proc/1/fd; cat /proc/1/environ /proc/1/maps; head -c 1 /proc/1/mem;"
              "ls /proc/1/root; (: > /proc/1/exe); probe ptrace 1")
    with Container(place, {}, script, init=True) as container:
        _, out, err = container.finish()
        require(out.split()[-1] == "EPERM" and "husk" not in out and "bin" not in out, out)
        require(err.count("denied") == 5, err)
    script = "grep -hE '^(Cap(Prm|Eff|Bnd)|NoNewPrivs|Seccomp):' /proc/1/status /proc/self/status"
    with Container(place, {}, script, init=True) as container:
        lines = container.finish()[1].splitlines()
        require(lines[:len(lines) // 2] == lines[len(lines) // 2:] and len(lines) == 10, lines)
    unharmed(place, neighbour)


CASES = [looks_into_the_first_process, keys_of_another, fork_bomb, output_flood, kills_the_child_of_an_exec, deep_directories, kills_init, vsock]


def run(place, report):
    neighbour = Container(place, {"process.args": SHELL + [SLEEP]})
    neighbour.start()
    for name, *rest in ATTEMPTS:
        report.case(name, attempt, place, neighbour, *rest)
    for case in CASES:
        report.case(case.__name__.replace("_", " "), case, place, neighbour)
    neighbour.__exit__()
    report.case("nothing is left", lambda: require(not place.control.call("list")["containers"], "containers"))
