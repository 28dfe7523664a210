# SPDX-License-Identifier: Apache-2.0
"""What a container is with the configuration that pod/spec makes of options, looked at from inside it under the
real agent. Tables: a line is a case.

LOOKS   name, options, shell command, what it prints (or a function of that)
"""
import io
import json
import os
import pathlib
import socket
import subprocess
import tarfile
import tempfile

from agent import Reader, Refused, require

CONFIG = os.environ["HUSK_SPEC_CONFIG"]
ID = "0123456789ab" + "0" * 52
IMAGE = {"Env": ["PATH=/bin", "LANG=C.UTF-8"], "Cmd": ["/bin/busybox", "true"]}
DEFAULT_CAPS = 0xa80425fb
NUMBERS = {"CHOWN": 0, "KILL": 5, "NET_ADMIN": 12, "SYS_ADMIN": 21}


def describe(options, command=None, image=None):
    document = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []},
                "config": {**IMAGE, **(image or {})}}
    words = [CONFIG, json.dumps(document), f"--id={ID}", *options, *(["--", *command] if command else [])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": "/nowhere", "CALLER": "its value"})
    require(done.returncode == 0, f"{options}: {done.stderr}")
    return json.loads(done.stdout)


class Made:
    """A container as a supervisor would make it; its root is the test's directory."""

    count = 0

    def __init__(self, place, options, command=None, image=None, record=None):
        Made.count += 1
        self.place, self.control, self.name = place, place.control, f"made{Made.count}"
        self.record = record or describe(options, command, image)
        config = self.record["config"]
        config["root"]["path"] = place.root
        if not place.agent_has_capability("SYS_RESOURCE"):  # which raises limits; the host's are lower
            config["process"]["rlimits"] = [line for line in config["process"]["rlimits"]
                                            if line["type"] == "RLIMIT_CORE"]
        for name, text in self.record["files"].items():
            self.control.call("file.write", file=name, data=text)
        self.volumes = [volume["name"] for volume in self.record["volumes"] if volume["kind"] != "file"]
        if self.volumes:
            self.control.call("volume.add", volume="scratch", tmpfs_bytes=8 << 20)
        for name in self.volumes:
            self.control.call("volume.add", volume=name, directory="scratch")
        copies = [volume for volume in self.record["volumes"] if volume["kind"] in ("file", "directory")]
        self.control.call("create", container=self.name, config=config, user=self.record["user"], stdin=False,
                          fill=[volume["name"] for volume in self.record["volumes"] if volume["fill"]],
                          seal=bool(copies))
        for volume in copies:
            self.copy(volume)

    def copy(self, volume):
        """As the command does it, between "create" and "start"."""
        source, destination = volume["source"], pathlib.PurePosixPath(volume["destination"])
        is_file = volume["kind"] == "file"
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            archive.add(source, destination.name if is_file else ".")
        self.control.call("archive.put", container=self.name, process="copy", create=True,
                          path=str(destination.parent if is_file else destination))
        stream = self.place.stream(self.name, "copy", "stdin")
        stream.socket.sendall(data.getvalue())
        stream.socket.shutdown(socket.SHUT_WR)
        ended = self.control.call("wait", container=self.name, process="copy")
        require(ended["status"] == 0, f"{volume}: {ended}, {self.stream('stderr', 'copy').text()}")
        self.control.call("delete", container=self.name, process="copy")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.control.call("delete", container=self.name, force=True)
        for name in self.volumes + (["scratch"] if self.volumes else []):
            self.control.call("volume.remove", volume=name)

    def stream(self, name, process="init"):
        return Reader(self.place.stream(self.name, process, name))

    def finish(self, *streams):
        readers = [self.stream(name) for name in streams or ("stdout", "stderr")]
        self.control.call("start", container=self.name)
        ended = self.control.call("wait", container=self.name, process="init")
        return ended, *[reader.text() for reader in readers]

    def exec(self, options, command):
        words = [CONFIG, "--exec", json.dumps(self.record), *options, "--", *command]
        made = json.loads(subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout)
        if not self.place.agent_has_capability("SYS_RESOURCE"):
            made["process"].pop("rlimits", None)
        self.control.call("exec", container=self.name, process="p", config=made["process"], user=made["user"],
                          stdin=False)
        reader = self.stream("terminal" if made["process"]["terminal"] else "stdout", "p")
        self.control.call("wait", container=self.name, process="p")
        text = reader.text()
        self.control.call("delete", container=self.name, process="p")
        return text


def shell(command):
    return ["/bin/busybox", "sh", "-c", command]


def caps(bounding, effective=None):
    effective = bounding if effective is None else effective
    return f"0 {effective:x} {effective:x} {bounding:x} 0"


SHOW_CAPS = "grep ^Cap /proc/self/status | while read name set; do printf '%x ' 0x$set; done"
MOUNT_OF = "grep ' {0} ' /proc/self/mountinfo | head -n 1 | while read a b c d e f g; do echo $f; done"


def options_of(*wanted):
    """Mount options, in any order, among others."""
    return lambda out: set(wanted) <= set(out.split(","))


LOOKS = [
    ("capabilities", [], SHOW_CAPS, caps(DEFAULT_CAPS)),
    ("capabilities of a user", ["--user=1000"], SHOW_CAPS, caps(DEFAULT_CAPS, 0)),
    ("cap-drop", ["--cap-drop=CAP_CHOWN"], SHOW_CAPS, caps(DEFAULT_CAPS & ~1)),
    ("cap-drop ALL", ["--cap-drop=ALL"], SHOW_CAPS, caps(0)),
    ("cap-drop ALL, cap-add", ["--cap-drop=all", "--cap-add=kill"], SHOW_CAPS, caps(1 << NUMBERS["KILL"])),
    ("cap-add", ["--cap-add=NET_ADMIN"], SHOW_CAPS, caps(DEFAULT_CAPS | 1 << NUMBERS["NET_ADMIN"])),
    ("no new privileges", [], "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | grep -o '[0-9]'", "0\n2"),
    ("no-new-privileges", ["--security-opt=no-new-privileges"],
     "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | grep -o '[0-9]'", "1\n2"),
    ("seccomp=unconfined", ["--security-opt=seccomp=unconfined"],
     "grep -E '^Seccomp:' /proc/self/status | grep -o '[0-9]'", "0"),
    ("user by name", ["--user=alice"], "id -u; id -G; echo $HOME", "1000\n1001 10 50\n/home/alice"),
    ("user root", [], "id -u; id -G; echo $HOME", "0\n0 44\n/"),
    ("user and group", ["--user=7:9"], "id -u; id -G", "7\n9"),
    ("environment", ["--env=A=1 2", "--env=CALLER", "--env=LANG"],
     "for i in A CALLER LANG PATH HOSTNAME TERM; do eval \"echo \\\"\\$i=\\${$i-none}\\\"\"; done",
     "A=1 2\nCALLER=its value\nLANG=none\nPATH=/bin\nHOSTNAME=0123456789ab\nTERM=none"),
    ("hostname", ["--hostname=web"], "hostname; cat /etc/hostname; echo $HOSTNAME", "web\nweb\nweb"),
    ("hosts", [], "grep -c localhost /etc/hosts", "2"),
    ("resolv.conf", [], "wc -c < /etc/resolv.conf", "0"),
    ("workdir", ["--workdir=/some/where"], "pwd", "/some/where"),
    ("read-only", ["--read-only"], "touch /x 2>&1; touch /etc/hosts 2>&1; touch /dev/shm/x && echo shm",
     lambda out: out.count("Read-only file system") == 2 and out.endswith("shm")),
    ("writable", [], "echo x >> /etc/hosts && touch /tmp/x && rm /tmp/x && echo yes", "yes"),
    ("proc", [], MOUNT_OF.format("/proc"), options_of("rw", "nosuid", "nodev", "noexec")),
    ("dev", [], MOUNT_OF.format("/dev"), options_of("rw", "nosuid")),
    ("dev/shm", [], "df -k /dev/shm | grep -o 65536 | head -n 1; stat -c %a /dev/shm; "
     + MOUNT_OF.format("/dev/shm"), lambda out: out.startswith("65536\n1777\nrw,")
     and {"nosuid", "nodev", "noexec"} <= set(out.split("\n")[2].split(","))),
    ("shm-size", ["--shm-size=8m"], "df -k /dev/shm | grep -o 8192 | head -n 1", "8192"),
    ("dev/mqueue", [], MOUNT_OF.format("/dev/mqueue"), options_of("nosuid", "nodev", "noexec")),
    ("sys", [], MOUNT_OF.format("/sys"), options_of("ro", "nosuid", "nodev", "noexec")),
    ("cgroup", [], MOUNT_OF.format("/sys/fs/cgroup"), options_of("ro", "nosuid", "nodev", "noexec")),
    ("tmpfs", ["--tmpfs=/scratch:size=1m,mode=700"], "df -k /scratch | grep -o 1024 | head -n 1; "
     "stat -c %a /scratch; " + MOUNT_OF.format("/scratch"),
     lambda out: out.startswith("1024\n700\n") and {"nosuid", "nodev", "noexec"} <= set(out.split("\n")[2].split(","))),
    ("tmpfs with exec", ["--tmpfs=/scratch:exec"], MOUNT_OF.format("/scratch"),
     lambda out: "noexec" not in out and "nosuid" in out),
    ("volume", ["--volume=/data"], "echo there > /data/x && cat /data/x", "there"),
    ("volume, read-only", ["--volume=/data:ro"], "touch /data/x 2>&1", lambda out: "Read-only" in out),
    ("masked files", [], "for i in kcore keys timer_list sched_debug interrupts; do "
     "[ ! -e /proc/$i ] || { [ -c /proc/$i ] && wc -c < /proc/$i; } || echo $i is not masked; done",
     lambda out: set(out.split("\n")) == {"0"}),
    ("masked directories", [], "ls -A /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap "
     "2>/dev/null | grep -v ':$' | grep -v '^$'", ""),
    ("read-only paths", [], "for i in /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do "
     "[ ! -e $i ] || (echo x > $i) 2>&1; done", lambda out: out.count("Read-only file system") == out.count("sh:") > 0),
    ("devices", [], "ls -A /dev", "\n".join(sorted(
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()))),
    ("device nodes may be made", [], "mknod /tmp/n c 1 3 && echo made; rm -f /tmp/n", "made"),
    ("devices are denied", [], "mknod /tmp/m c 1 1 && (cat /tmp/m 2>&1 | head -n 1); rm -f /tmp/m",
     lambda out: "not permitted" in out),
    ("ports", [], "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/sys/net/ipv4/ping_group_range",
     lambda out: out.split() == ["0", "0", "2147483647"]),
    ("sysctl", ["--sysctl=kernel.shmmax=12345678"], "cat /proc/sys/kernel/shmmax", "12345678"),
    ("core size", ["--ulimit=core=1024"], "ulimit -c; ulimit -H -c", "2\n2"),
    ("process numbers", [], "echo $$", "1"),
    ("umask", [], "umask", "0022"),
    ("entrypoint", ["--entrypoint=/bin/busybox"], None, "hello"),
]

# As an engine has it: system calls (see calls.c) with their results in an ordinary container.
DENIED = ("acct add_key bpf clock_settime clone-newns clone-newuser delete_module fanotify_init finit_module fsopen "
          "init_module io_uring_setup kcmp kexec_load keyctl mbind mount move_pages open_by_handle_at open_tree "
          "perf_event_open personality-norandom pivot_root quotactl reboot request_key sethostname setns "
          "settimeofday socket-vsock swapoff swapon syslog umount2 unshare-newuser userfaultfd vhangup").split()
ALLOWED = ("chroot clone getrandom personality-linux personality-query process_vm_readv ptrace socket-inet "
           "statx").split()


def look(place, options, command, expected):
    with Made(place, options, shell(command) if command else ["echo", "hello"]) as made:
        ended, out, err = made.finish()
    out = out.rstrip("\n").rstrip()
    good = expected(out) if callable(expected) else out == expected
    require(good, f"printed {out!r}, {err!r}, {ended}" + ("" if callable(expected) else f", not {expected!r}"))


def calls(place, options):
    with Made(place, options, ["/bin/calls"]) as made:
        _, out, err = made.finish()
    results = dict(line.split() for line in out.splitlines())
    require(len(results) > 40, f"{out!r} {err!r}")
    return results


def filtered(place):
    results = calls(place, [])
    wrong = [f"{name}: {results[name]}" for name in DENIED if results[name] != "EPERM"]
    wrong += [f"{name}: {results[name]}" for name in ALLOWED if results[name] in ("EPERM", "ENOSYS")]
    require(not wrong, ", ".join(wrong))
    require(results["clone3"] == "ENOSYS", results["clone3"])


def newer_calls(place):
    """What nobody knew when the filter was made does not exist for the container: programs have a way without."""
    results = calls(place, [])
    require(results["unknown"] == "ENOSYS", results["unknown"])
    require(results["fchmodat2"] != "EPERM", results["fchmodat2"])


def unfiltered(place):
    results = calls(place, ["--security-opt=seccomp=unconfined"])
    for name in ("clone-newuser", "unshare-newuser", "personality-norandom", "socket-vsock"):
        require(results[name] == "ok", f"{name}: {results[name]}")


def with_capability(place):
    results = calls(place, ["--cap-add=SYS_ADMIN"])
    for name in ("clone-newuser", "unshare-newuser", "clone-newns"):
        require(results[name] == "ok", f"{name}: {results[name]}")
    require(results["mount"] == "EFAULT", results["mount"])
    require(results["clone3"] != "ENOSYS", results["clone3"])
    require(results["reboot"] == "EPERM", results["reboot"])


def profile(place):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "profile.json"
        path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["statx"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
            {"names": ["getrandom"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["mbind"], "action": "SCMP_ACT_ERRNO", "errnoRet": 98, "excludes": {"minKernel": "9.9"}}]}))
        results = calls(place, [f"--security-opt=seccomp={path}"])
    require(results["statx"] == "EADDRNOTAVAIL", results["statx"])
    require(results["getrandom"] == "EINVAL", results["getrandom"])
    require(results["mbind"] == "EADDRINUSE", results["mbind"])
    require(results["clone-newuser"] == "ok", results["clone-newuser"])


def copies(place):
    """Directories and files of the host are copied in before the start, also to where nothing can be written then."""
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory) / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "sub" / "file").write_text("in the tree\n")
        (tree / "link").symlink_to("sub/file")
        single = pathlib.Path(directory) / "single"
        single.write_text("alone\n")
        os.chmod(single, 0o640)
        options = [f"--volume={tree}:/copied", f"--volume={tree}:/fixed:ro", f"--volume={single}:/etc/conf/single",
                   f"--volume={single}:/fixed/single", f"--volume={single}:/etc/hosts"]
        command = ("cat /copied/link /fixed/sub/file /etc/conf/single /fixed/single /etc/hosts; "
                   "stat -c %a /etc/conf/single; touch /copied/new && echo new; touch /fixed/new 2>&1; "
                   "touch /etc/conf/new 2>&1")
        expected = "in the tree\nin the tree\nalone\nalone\nalone\n640\nnew\n"
        with Made(place, options, shell(command)) as made:
            _, out, err = made.finish()
            require(out.startswith(expected) and out.count("Read-only") == 1, f"{out!r} {err!r}")
        with Made(place, ["--read-only", *options], shell(command)) as made:
            _, out, err = made.finish()
            require(out.startswith(expected) and out.count("Read-only") == 2, f"{out!r} {err!r}")
        require(not (tree / "new").exists(), "it has reached the host")


def filled(place):
    image = pathlib.Path(place.root) / "var-data"
    image.mkdir(exist_ok=True)
    (image / "seed").write_text("from the image\n")
    with Made(place, ["--volume=/other"], shell("cat /var-data/seed; rm /var-data/seed; ls -A /other"),
              image={"Volumes": {"/var-data": {}}}) as made:
        _, out, err = made.finish()
    require(out == "from the image\n", f"{out!r} {err!r}")
    require((image / "seed").exists(), "the image has changed")


def terminal(place):
    with Made(place, ["--tty"], shell("tty; echo $TERM; [ -t 1 ] && echo yes")) as made:
        _, out = made.finish("terminal")
    require(out.split() == ["/dev/pts/0", "xterm", "yes"], out)


def exec_process(place):
    with Made(place, ["--env=A=1", "--user=alice", "--workdir=/tmp"], ["/bin/busybox", "sleep", "1000"]) as made:
        made.control.call("start", container=made.name)
        out = made.exec([], shell("id -u; pwd; echo $A $HOME $TERM."))
        require(out == "1000\n/tmp\n1 /home/alice .\n", out)
        out = made.exec(["--user=0:7", "--env=A=2", "--workdir=/bin"], shell("id -u; id -g; pwd; echo $A"))
        require(out == "0\n7\n/bin\n2\n", out)
        out = made.exec(["--tty"], shell("[ -t 0 ] && echo $TERM"))
        require(out.strip() == "xterm", out)
        out = made.exec(["--user=0"], shell(SHOW_CAPS))
        require(out.strip() == caps(DEFAULT_CAPS), out)


def exec_privileged(place):
    with Made(place, [], ["/bin/busybox", "sleep", "1000"]) as made:
        made.control.call("start", container=made.name)
        out = made.exec(["--privileged"], shell(SHOW_CAPS))
        require(out.strip() == caps(DEFAULT_CAPS, (1 << 41) - 1) or out.strip() == caps((1 << 41) - 1), out)


def rlimits(place):
    with Made(place, []) as made:
        _, out, _ = made.finish()
    require(out == "", out)
    with Made(place, [], shell("ulimit -n; ulimit -H -n; ulimit -u")) as made:
        _, out, _ = made.finish()
    require(out.split() == ["1024", "524288", "unlimited"], out)


def limits(place, options, controller, file, value):
    with Made(place, options, shell(f"cat /sys/fs/cgroup/{file}")) as made:
        _, out, err = made.finish()
    require(out.strip() == value, f"{out!r} {err!r}")


LIMITS = [
    ("memory", ["--memory=64m"], "memory", "memory.max", str(64 << 20)),
    ("cpus", ["--cpus=0.5"], "cpu", "cpu.max", "50000 100000"),
    ("pids-limit", ["--pids-limit=55"], "pids", "pids.max", "55"),
]


def run(place, report):
    place.control.call("pod.set", **describe([])["pod"])
    names = [line[0] for line in LOOKS]
    require(len(names) == len(set(names)), "two cases have one name")
    for name, options, command, expected in LOOKS:
        report.case(name, look, place, options, command, expected)
    for function in (copies, filled, filtered, newer_calls, unfiltered, with_capability, profile, terminal, exec_process):
        report.case(function.__name__, function, place)
    if place.agent_has_capability("SYS_RESOURCE"):
        report.case("rlimits", rlimits, place)
        report.case("exec_privileged", exec_privileged, place)
    else:
        report.skip("rlimits, exec --privileged", "the agent itself has no CAP_SYS_RESOURCE here")
    there = place.control.call("info")["cgroup_controllers"]
    for name, options, controller, file, value in LIMITS:
        if controller in there:
            report.case(name, limits, place, options, controller, file, value)
        else:
            report.skip(name, f"this kernel has no {controller} controller of cgroup version 2")
