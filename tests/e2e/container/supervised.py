# SPDX-License-Identifier: Apache-2.0
"""What the tests of the supervisor share: making a container whose machine is this host (husk-native), and
speaking the control socket's protocol (pod/supervisor/protocol.h)."""
import array
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "agent"))
import groups  # noqa: E402
from agent import Failure, Refused, Report, SHELL, SKIPPED, base_config, has_ended, make_root, patched, require  # noqa: E402

PATIENCE_S = 180
NATIVE = os.environ.get("HUSK_NATIVE", "husk-native")


class Client:
    """One connection to a supervisor."""

    def __init__(self, sock, hello=True):
        self.socket = sock
        sock.settimeout(PATIENCE_S)
        self.fds, self.answers, self.events, self.last_id = [], {}, [], 0
        if hello:
            self.send({"husk": {"major": 1, "minor": 0}})
            self.greeting = self.receive()
            if "error" in self.greeting:
                raise Refused(self.greeting["error"])

    def send(self, message):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.socket.sendall(struct.pack("<I", len(body)) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part, control, _, _ = self.socket.recvmsg(count - len(data), socket.CMSG_SPACE(64))
            if not part:
                raise EOFError("the supervisor closed the connection")
            for level, kind, value in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds = array.array("i")
                    fds.frombytes(value)
                    self.fds += list(fds)
            data += part
        return data

    def receive(self):
        length, = struct.unpack("<I", self.exactly(4))
        require(2 <= length <= 1 << 20, f"a frame of {length} bytes")
        message = json.loads(self.exactly(length))
        if self.fds:
            message["fds"], self.fds = self.fds, []
        return message

    def begin(self, method, /, **params):
        self.last_id += 1
        self.send({"id": self.last_id, "method": method, "params": params})
        return self.last_id

    def take(self):
        message = self.receive()
        if "event" in message:
            self.events.append(message)
        else:
            self.answers[message["id"]] = message

    def whole(self, number):
        while number not in self.answers:
            self.take()
        answer = self.answers.pop(number)
        if "error" in answer:
            refused = Refused(answer["error"])
            refused.status = answer["error"].get("status")
            raise refused
        return answer

    def finish(self, number):
        return self.whole(number)["result"]

    def call(self, method, /, **params):
        return self.finish(self.begin(method, **params))

    def streams(self, method, /, **params):
        """The result and {name: Stream} of a request that hands over descriptors."""
        answer = self.whole(self.begin(method, **params))
        fds, names = answer.get("fds", []), answer["result"]["streams"]
        require(len(fds) == len(names), f"{names}, but {len(fds)} descriptors")
        return answer["result"], {name: Stream(fd) for name, fd in zip(names, fds)}

    def event(self, **members):
        while True:
            for event in self.events:
                if all(event.get(key) == value for key, value in members.items()):
                    self.events.remove(event)
                    return event
            self.take()

    def close(self):
        self.socket.close()


class Stream:
    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)
        self.socket.settimeout(PATIENCE_S)

    def send(self, data):
        self.socket.sendall(data)

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def read(self):
        data = b""
        while part := self.socket.recv(1 << 16):
            data += part
        return data

    def until(self, text, times=1):
        data = b""
        while data.count(text) < times:
            part = self.socket.recv(1 << 16)
            require(part, f"the stream ended without {text!r}: {data[-500:]!r}")
            data += part
        return data

    def close(self):
        self.socket.close()


class Reader(threading.Thread):
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

    def all(self):
        self.join(PATIENCE_S)
        require(not self.is_alive(), f"the stream does not end; so far {self.data[-500:]!r}")
        return self.data


class Host:
    """A place with a root file system and a containers' directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.chmod(0o755)
        self.root = self.directory / "root"
        make_root(self.root)
        self.state = self.directory / "state"
        self.count = 0

    def native(self, *arguments, **more):
        return subprocess.run([NATIVE, *map(str, arguments)], check=False, capture_output=True, text=True,
                              timeout=PATIENCE_S, **more)

    def tidy(self):
        done = self.native("tidy", self.state)
        require(done.returncode == 0, done.stderr)

    def record(self, name):
        """The state as everybody sees it, or None when there is no such container."""
        done = self.native("state", self.state, name)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def names(self):
        return sorted(entry.name for entry in self.state.iterdir() if entry.is_dir())


class Container:
    """One with its first client. A context manager, which leaves nothing behind."""

    def __init__(self, host, command=None, changes=None, fault=None, **flags):
        host.count += 1
        self.host, self.name = host, flags.pop("name", f"c{host.count}")
        config = patched(base_config(str(host.root)), changes or {})
        if command is not None:
            config["process"]["args"] = SHELL + [command]
        user = config["process"]["user"]
        record = {"version": 1, "id": os.urandom(32).hex(), "name": self.name, "created_ns": time.time_ns(),
                  "image": {"name": "box"}, "machine": {}, "labels": {}, "remove": False, "stdin": "none",
                  "spec": {"config": config, "user": f"{user['uid']}:{user['gid']}", "volumes": [], "files": {},
                           "stop_signal": 15, "memory_bytes": 0, "cpu_nanos": 0},
                  "stop_signal": 15, "stop_grace_ms": 10000, "timeout_ms": 0, "log_file_bytes": 10 << 20,
                  "log_files": 3, **flags}
        self.directory = host.state / self.name
        file = host.directory / f"{self.name}.spec"
        file.write_text(json.dumps(record))
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "HUSK_NATIVE_RUN": groups.RUN, **({"HUSK_NATIVE_FAULT": fault} if fault else {})}
        with theirs:
            done = host.native("launch", host.state, file, theirs.fileno(), pass_fds=[theirs.fileno()],
                               env=environment)
        if done.returncode:
            raise Failure(done.stderr)
        with ours:
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        self.first = socket.socket(fileno=fds[0])
        self.client = Client(self.first)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        state = self.host.record(self.name)
        if state and state["alive"]:
            os.kill(state["supervisor"]["pid"] or self.supervisor(), signal.SIGKILL)
        self.first.close()
        self.gone()
        require("Sanitizer" not in (errors := self.errors()), errors)
        if self.host.record(self.name):
            done = self.host.native("remove", self.host.state, self.name)
            require(done.returncode == 0, done.stderr)

    def gone(self):
        deadline = time.monotonic() + PATIENCE_S
        while (state := self.host.record(self.name)) and state["alive"]:
            require(time.monotonic() < deadline, f"the supervisor does not end: {self.errors()}")
            time.sleep(0.01)

    def connect(self):
        """Another client. The path may be longer than a socket's address."""
        sock = socket.socket(socket.AF_UNIX)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{directory}/control.sock")
        finally:
            os.close(directory)
        return sock

    def another(self):
        return Client(self.connect())

    def supervisor(self):
        return self.client.call("inspect")["supervisor"]["pid"]

    def state(self):
        return json.loads((self.directory / "state.json").read_text())

    def errors(self):
        try:
            return (self.directory / "errors").read_text()[-4000:] + (self.directory / "agent.log").read_text()[-2000:]
        except OSError as error:
            return str(error)

    def start(self):
        return self.client.call("start")

    def finish(self):
        """Start, wait; returns (exit, stdout, stderr)."""
        _, streams = self.client.streams("attach", wait=True)
        out, err = Reader(streams["stdout"]), Reader(streams["stderr"])
        start = self.client.begin("start")
        ended = self.client.call("wait")
        self.client.finish(start)
        return ended, out.all().decode(), err.all().decode()

    def log(self, *numbers):
        """The lines of the log's files, the oldest first, as (stream, tag, text)."""
        lines = []
        for number in numbers or (0,):
            path = self.directory / (f"log.{number}" if number else "log")
            for line in path.read_bytes().split(b"\n")[:-1]:
                stamp, stream, tag, text = line.split(b" ", 3)
                require(len(stamp) == 30 and stamp[-1:] == b"Z", line)
                lines.append((stream.decode(), tag.decode(), text))
        return lines

    def exec(self, command, stdin=False, detach=False, client=None, **process):
        config = {"args": SHELL + [command], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
                  **process}
        return (client or self.client).streams("exec", config=config, stdin=stdin, detach=detach)


def main(cases, needs=()):
    """Run the cases, case(host), each in a report; what they leave behind is a failure."""
    if os.geteuid() != 0:
        print("skipped: supervisor: not root")
        return SKIPPED
    if not os.path.exists("/bin/busybox"):
        print("skipped: supervisor: there is no /bin/busybox")
        return SKIPPED
    report = Report()
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="husk-supervisor-") as directory:
        host = Host(directory)
        for case in cases:
            if wanted and case.__name__ not in wanted:
                continue
            report.case(case.__name__, guarded, host, case)
        if host.state.exists():
            report.case("nothing is left", nothing_is_left, host)
    return report.finish()


def guarded(host, case):
    case(host)


def nothing_is_left(host):
    host.tidy()
    require(not host.names(), f"left: {host.names()}")
    mine = [line for line in subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True,
                                            text=True).stdout.splitlines() if str(host.directory) in line]
    require(not mine, f"processes: {mine}")
    require(not (left := groups.left("husk-native")), f"control groups: {left}")


__all__ = ["Client", "Container", "Failure", "Host", "Reader", "Refused", "Stream", "main", "require", "traceback"]
