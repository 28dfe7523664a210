# SPDX-License-Identifier: Apache-2.0
"""What tests of pods share: pods whose machine is this host (husk-native), and their control socket
(pod/pods/protocol.h)."""
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "container"))
sys.path.insert(0, str(HERE.parent / "agent"))

# pylint: disable=wrong-import-position
import box
import groups
import images
from agent import Failure, Report, SKIPPED, has_ended, require
from native_box import reason_to_skip
from supervised import Client, NATIVE, Reader, Refused

PATIENCE_S = 180


def container(name, command, **more):
    """A container of a canonical Pod object (pod/manifest/manifest.h)."""
    return {"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", **more}


def probe(**more):
    return {"initialDelaySeconds": 0, "timeoutSeconds": 1, "periodSeconds": 1, "successThreshold": 1,
            "failureThreshold": 3, **more}


class Host:
    """A store with the image "busybox" and a directory of pods, with processes that start their supervisors."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "root"
        self.root.mkdir()
        box.make_root(self.root)
        self.root.chmod(0o755)
        self.box = box.Box((), HUSK_NATIVE_ROOT=str(self.root))
        self.pods = self.directory / "pods"
        self.count = 0
        self.environment = {**self.box.environment, "HUSK_PODS": str(self.pods)}

    def native(self, *arguments, check=True, **environment):
        done = subprocess.run([NATIVE, *map(str, arguments)], check=False, capture_output=True, text=True,
                              timeout=PATIENCE_S, env={**self.environment, **environment})
        if check and done.returncode:
            raise Failure(f"{arguments}: {done.stderr}")
        return done

    def tidy(self):
        self.native("pod-tidy", self.pods)

    def names(self):
        return sorted(entry.name for entry in self.pods.iterdir() if entry.is_dir()) if self.pods.exists() else []

    def close(self):
        self.box.__exit__()


class Pod:
    """A pod that is made, and started unless told otherwise. A context manager, which leaves nothing behind."""

    def __init__(self, host, *containers, inits=(), start=True, policy="Never", grace=10, objects=None, remove=False,
                 fault=None, name=None, **spec):
        host.count += 1
        self.host, self.name = host, name or f"p{host.count}"
        self.fault = fault
        self.record = {
            "version": 1, "uid": os.urandom(32).hex(), "key": self.name, "created_ns": time.time_ns(),
            "pod": {"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": self.name, "namespace": "default"},
                    "spec": {"containers": list(containers), **({"initContainers": list(inits)} if inits else {}),
                             "restartPolicy": policy, "terminationGracePeriodSeconds": grace,
                             "dnsPolicy": "ClusterFirst", **spec}},
            "objects": objects or {"configMaps": {}, "secrets": {}},
            "network": "none", "kernel": "", "remove": False}
        self.directory = host.pods / self.name
        self.client = None
        host.native("pod-create", host.pods, self.write())
        if start:
            self.start(remove)

    def write(self):
        file = self.host.directory / f"{self.name}.record"
        file.write_text(json.dumps(self.record))
        return file

    def start(self, remove=False):
        fault = {"HUSK_NATIVE_FAULT": self.fault} if self.fault else {}
        self.host.native("pod-start", self.host.pods, self.name, *(["remove"] if remove else []), **fault)
        self.client = self.connect()

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{directory}/control.sock")
        finally:
            os.close(directory)
        return Client(sock)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            print(self.errors())
        self.kill()
        if self.client:
            self.client.close()
        require("Sanitizer" not in (errors := self.errors()), errors)
        if self.directory.exists():
            self.host.tidy()
            self.host.native("pod-remove", self.host.pods, self.name)

    def kill(self):
        """kill -9 of the supervisor, if there is one, and the wait for its end."""
        state = self.seen()
        if not state or not state["alive"]:
            return
        pid = state["supervisor"]["pid"]
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: has_ended(pid), "the supervisor's end")
        # Its lock goes with the last of its threads and of what it had forked and not yet run.
        self.until(lambda: not self.seen()["alive"], "the end of its lock")

    def seen(self):
        """The state as everybody sees it, or None when there is no such pod."""
        done = self.host.native("pod-state", self.host.pods, self.name, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def until(self, function, what):
        deadline = time.monotonic() + PATIENCE_S
        while not (value := function()):
            require(time.monotonic() < deadline, f"in vain: {what}: {self.seen()}\n{self.errors()}")
            time.sleep(0.02)
        return value

    def status(self):
        return self.client.call("inspect")["status"]

    def of(self, name, status=None):
        """The status of one container."""
        status = status or self.status()
        for one in status.get("initContainerStatuses", []) + status["containerStatuses"]:
            if one["name"] == name:
                return one
        raise Failure(f"{name} is in no status: {status}")

    def until_status(self, test, what):
        """The first status for which this is so, of those that are told."""
        watcher = self.connect()
        watcher.call("events")
        status = watcher.call("inspect")["status"]
        try:
            while not test(status):
                status = watcher.event(event="state")["state"]["status"]
        except (EOFError, TimeoutError) as error:
            raise Failure(f"in vain: {what}: {status}\n{self.errors()}") from error
        finally:
            watcher.close()
        return status

    def running(self, *names):
        return self.until_status(lambda status: all("running" in self.of(name, status)["state"] for name in names),
                                 f"{names} run")

    def end(self):
        """Wait for its end: its last status."""
        status = self.client.call("wait")["status"]
        self.gone()
        return status

    def gone(self):
        self.until(lambda: not (state := self.seen()) or not state["alive"], "the supervisor's end")

    def stop(self, **params):
        require(self.client.call("stop", **params) == {}, "stop")
        return self.end()

    def errors(self):
        text = ""
        for name in ("errors", "agent.log"):
            try:
                text += (self.directory / name).read_text()[-3000:]
            except OSError:
                pass
        return text

    def log(self, name, run=0):
        """The lines of a run's log, as (stream, tag, text)."""
        lines = []
        for line in (self.directory / "logs" / name / f"{run}.log").read_bytes().split(b"\n")[:-1]:
            stamp, stream, tag, text = line.split(b" ", 3)
            require(len(stamp) == 30 and stamp[-1:] == b"Z", line)
            lines.append((stream.decode(), tag.decode(), text.decode()))
        return lines

    def text(self, name, run=0):
        return "".join(text + "\n" for _, _, text in self.log(name, run))

    def exec(self, name, command, **params):
        """Run it: (exit, output, error)."""
        result, streams = self.client.streams("exec", container=name, args=["sh", "-c", command], **params)
        readers = {which: Reader(stream) for which, stream in streams.items()}
        ended = self.client.call("exec.wait", container=name, process=result["process"])
        return ended, readers["stdout"].all().decode(), readers["stderr"].all().decode()


def main(cases):
    """Run the cases, case(host), each in a report; what they leave behind is a failure."""
    if reason := reason_to_skip():
        print(f"skipped: pods: {reason}")
        return SKIPPED
    report = Report()
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="husk-pods-") as directory:
        os.chmod(directory, 0o755)
        host = Host(directory)
        for case in cases:
            if not wanted or case.__name__ in wanted:
                report.case(case.__name__, case, host)
        report.case("nothing is left", nothing_is_left, host)
        host.close()
    return report.finish()


def nothing_is_left(host):
    require(not host.names(), f"left: {host.names()}")
    mine = [line for line in subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True,
                                            text=True).stdout.splitlines() if str(host.directory) in line]
    require(not mine, f"processes: {mine}")
    require(not (left := groups.left("husk-native")), f"control groups: {left}")


__all__ = ["Failure", "NATIVE", "PATIENCE_S", "Pod", "Refused", "Report", "container", "groups", "images", "main",
           "probe", "require", "resource"]
