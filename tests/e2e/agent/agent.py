# SPDX-License-Identifier: Apache-2.0
"""What the tests of the guest's agent share: starting it, speaking its protocol (include/husk/agent.h),
running a container of a patched config.json, reporting.

The same cases run on this host, where the agent is started in namespaces of its own, and in a husk VM,
where it is PID 1: a test asks `place` for connections and paths and does not know which it is.
"""
import copy
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import groups

SKIPPED = 77
PATIENCE_S = 180
FRAME_MAX = 1 << 20
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
                "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
                "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
SHELL = ["/bin/busybox", "sh", "-c"]


class Refused(Exception):
    """An error answer."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['where']}: {error['what']}: {error['why']}")
        self.code, self.where, self.why = error["code"], error["where"], error["why"]


class Failure(Exception):
    pass


def refused(code, function, *arguments, **named):
    """The error, which must have this code."""
    try:
        function(*arguments, **named)
    except Refused as error:
        require(error.code == code, f"refused with {error}, not {code}")
        return error
    raise Failure(f"was not refused with {code}")


def require(condition, message):
    if not condition:
        raise Failure(message)


def has_ended(pid):
    """A zombie has, too: whoever is to take notice of it may be slow."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def base_config(root):
    """What an ordinary engine would write, without limits."""
    caps = {name: CAPABILITIES for name in ("bounding", "effective", "permitted")}
    return {
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/busybox", "true"], "env": ["PATH=/bin"], "cwd": "/",
                    "user": {"uid": 0, "gid": 0}, "capabilities": caps, "noNewPrivileges": True},
        "root": {"path": root},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64k"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
                  "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
                  "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"]},
    }


def patched(config, changes):
    """A copy with changes by dotted path; a trailing "+" extends a list, None removes."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *way, last = path.rstrip("+").split(".")
        at = config
        for step in way:
            at = at.setdefault(step, {})
        if value is None:
            at.pop(last, None)
        elif path.endswith("+"):
            at[last] = at.get(last, []) + value
        else:
            at[last] = value
    return config


class Connection:
    def __init__(self, sock, minor=2):
        self.socket, self.minor = sock, minor
        sock.settimeout(PATIENCE_S)

    def send(self, message):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.socket.sendall(struct.pack("<I", len(body)) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError("the agent closed the connection")
            data += part
        return data

    def receive(self):
        length, = struct.unpack("<I", self.exactly(4))
        require(2 <= length <= FRAME_MAX, f"a frame of {length} bytes")
        return json.loads(self.exactly(length))

    def hello(self, **members):
        self.send({"husk": {"major": 1, "minor": self.minor}, **members})
        answer = self.receive()
        if "error" in answer:
            raise Refused(answer["error"])
        require(answer["husk"]["major"] == 1, answer)
        return answer

    def close(self):
        self.socket.close()


class Control(Connection):
    def __init__(self, sock, minor=2):
        super().__init__(sock, minor)
        self.greeting = self.hello(role="control")
        self.last_id = 0
        self.events, self.answers = [], {}

    def begin(self, method, **params):
        self.last_id += 1
        self.send({"id": self.last_id, "method": method, "params": params})
        return self.last_id

    def finish(self, number):
        while number not in self.answers:
            self.take()
        answer = self.answers.pop(number)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def take(self):
        message = self.receive()
        if "event" in message:
            self.events.append(message)
        else:
            self.answers[message["id"]] = message

    def call(self, method, **params):
        return self.finish(self.begin(method, **params))

    def event(self, **members):
        """The first event that has these members, taken out of the list."""
        while True:
            for event in self.events:
                if all(event.get(key) == value for key, value in members.items()):
                    self.events.remove(event)
                    return event
            self.take()


class Reader(threading.Thread):
    """A stream, read to its end."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.data = stream, b""
        self.start()

    def run(self):
        try:
            while part := self.stream.socket.recv(1 << 16):
                self.data += part
        except OSError:
            pass

    def text(self):
        self.join(PATIENCE_S)
        require(not self.is_alive(), f"the stream does not end; so far: {self.data[-500:]!r}")
        self.stream.close()
        return self.data.decode(errors="replace")


class Container:
    """One that runs a shell command; used as a context manager, which deletes it."""

    count = 0

    def __init__(self, place, changes=None, command=None, stdin=False, rootfs=None, name=None,
                 user=None, **more):
        Container.count += 1
        self.place, self.control = place, place.control
        self.name = name or f"c{Container.count}"
        config = self.config_of(place, changes, command)
        extra = {"rootfs": rootfs, **more} if rootfs else more
        if user is not None:
            extra["user"] = user
        self.pid = self.control.call("create", container=self.name, config=config, stdin=stdin, **extra)["pid"]

    @staticmethod
    def config_of(place, changes=None, command=None):
        config = patched(base_config(place.root), changes or {})
        if command is not None:
            config["process"]["args"] = SHELL + [command]
        return config

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.control.call("delete", container=self.name, force=True)
        except Refused as error:
            if error.code != "not-found":
                raise

    def stream(self, name, process="init"):
        return self.place.stream(self.name, process, name)

    def start(self):
        self.control.call("start", container=self.name)

    def wait(self, process="init"):
        return self.control.call("wait", container=self.name, process=process)

    def kill(self, signal=9, **more):
        self.control.call("kill", container=self.name, signal=signal, **more)

    def state(self):
        return self.control.call("state", container=self.name)

    def finish(self):
        """Start, wait, and return (exit, stdout, stderr)."""
        out, err = Reader(self.stream("stdout")), Reader(self.stream("stderr"))
        self.start()
        ended = self.wait()
        return ended, out.text(), err.text()

    def exec(self, name, command, stdin=False, asked=None, **process):
        """asked: further members of the request."""
        config = {"args": SHELL + [command], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
                  **process}
        return self.control.call("exec", container=self.name, process=name, config=config, stdin=stdin,
                                 **(asked or {}))

    def output(self, name, command, **process):
        self.exec(name, command, **process)
        text = Reader(self.stream("stdout", name)).text()
        self.wait(name)
        self.control.call("delete", container=self.name, process=name)
        return text


def make_root(path):
    """A root file system: busybox, and the things that a hostile image would bring."""
    for name in ("bin", "proc", "dev", "sys", "tmp", "etc", "mnt"):
        (path / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for applet in ("sh", "cat", "ls", "id", "mount", "umount", "mknod", "ps", "sleep", "stat", "grep", "head",
                   "touch", "dd", "kill", "stty", "echo", "readlink", "chroot", "unshare", "nsenter", "ionice", "mkfifo", "rm", "mkdir", "ln", "printf"):
        (path / "bin" / applet).symlink_to("busybox")
    probe = os.environ.get("HUSK_AGENT_PROBE")
    if probe:
        shutil.copy(probe, path / "bin/probe")
    (path / "etc/passwd").write_text(
        "root:x:0:0::/:/bin/sh\n\nbroken:x:abc:1::/:\nnegative:x:-1:1::/:\n"
        "alice:x:1000:1001:Alice:/home/alice:/bin/sh\nalice:x:3:3::/three:/bin/sh\n"
        "1234:x:77:77::/seven:/bin/sh\nhomeless:x:1002:1002\nnine:x:9:9::/:")
    (path / "etc/group").write_text(
        "root:x:0:\nstaff:x:50:bob,alice\nwheel:x:10:alicex,alice\nali:x:60:ali\nvideo:x:44:root\nodd:x:x:alice\n"
        "again:x:50:alice")
    (path / "escape").symlink_to("../../../../../..")
    (path / "absolute").symlink_to("/mnt")
    (path / "magic").symlink_to("/proc/1/root")


class Native:
    """The agent on this host, in namespaces of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        os.chmod(self.directory, 0o755)
        self.root = str(self.directory / "root")
        make_root(pathlib.Path(self.root))
        self.socket_path = self.directory / "agent.sock"
        self.cgroups = self.directory / "cgroup"
        self.cgroups.mkdir()
        name = f"husk-agent-test-{groups.RUN}"
        script = (f"mount -t tmpfs -o mode=755 run /run && mount -t cgroup2 none {self.cgroups} && "
                  f"mkdir {self.cgroups}/{name} && "
                  f"exec {os.environ['HUSK_AGENT']} --listen {self.socket_path} --cgroup {self.cgroups}/{name}")
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--ipc", "--uts", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--", "sh", "-c", script], stdin=subprocess.DEVNULL, stderr=self.log)
        self.cgroup_name = name
        self.keeper = groups.Keeper(name, self.process.pid)
        self.control = Control(self.connect(PATIENCE_S))

    def connect(self, patience_s=5):
        deadline = time.monotonic() + patience_s
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(str(self.socket_path))
                return sock
            except OSError:
                sock.close()
                require(time.monotonic() < deadline, f"the agent does not listen: {self.messages()}")
                require(self.process.poll() is None, f"the agent has ended: {self.messages()}")
                time.sleep(0.02)

    def new_control(self, minor=2):
        return Control(self.connect(), minor)

    def stream(self, container, process, name):
        connection = Connection(self.connect())
        connection.hello(role="stream", container=container, process=process, stream=name)
        return connection

    def dial(self, address, port):
        """A connection into the pod."""
        connection = Connection(self.connect())
        connection.hello(role="dial", address=address, port=port)
        return connection.socket

    def agent_has_capability(self, name):
        numbers = {"SYS_RESOURCE": 24}
        status = pathlib.Path("/proc/self/status").read_text()
        effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
        return bool(int(effective.split()[1], 16) >> numbers[name] & 1)

    def messages(self):
        return (self.directory / "log").read_text(errors="replace")[-3000:]

    def alive(self):
        return self.process.poll() is None

    def end(self, ask=True):
        """Returns what is wrong with the agent's end, if anything. ask: nobody has told it to end yet."""
        try:
            if ask:
                self.control.call("shutdown")
            status = self.process.wait(PATIENCE_S)
        except (OSError, EOFError, Refused, subprocess.TimeoutExpired) as error:
            status = error
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.keeper.close()
        if left := groups.left("husk-agent-test"):
            return f"control groups are left: {left}"
        return None if status == 0 else f"the agent ended with {status}: {self.messages()}"


def controllers(place):
    return place.control.call("info")["cgroup_controllers"]


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def case(self, name, function, *arguments):
        try:
            function(*arguments)
        except (Failure, Refused, EOFError, OSError, KeyError, AssertionError) as error:
            self.failed += 1
            steps = " < ".join(f"{pathlib.Path(step.filename).name}:{step.lineno}"
                               for step in reversed(traceback.extract_tb(error.__traceback__)[1:]))
            print(f"FAILED: {name} ({steps}): {type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1

    def skip(self, name, why):
        self.skipped += 1
        print(f"skipped: {name}: {why}", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed else 0 if self.passed else SKIPPED


def main(run):
    """Run the cases of a test program, run(place, report), on this host."""
    if os.geteuid() != 0:
        print("skipped: containers: not root")
        return SKIPPED
    if not os.path.exists("/bin/busybox"):
        print("skipped: containers: there is no /bin/busybox")
        return SKIPPED
    report = Report()
    with tempfile.TemporaryDirectory(prefix="husk-agent-") as directory:
        try:
            place = Native(directory)
        except (Failure, OSError, EOFError) as error:
            print(f"FAILED: start: {error}")
            return 1
        try:
            run(place, report)
        finally:
            wrong = place.end()
        if wrong:
            report.failed += 1
            print(f"FAILED: end: {wrong}")
    return report.finish()


if __name__ == "__main__":
    sys.exit("this is a module")
