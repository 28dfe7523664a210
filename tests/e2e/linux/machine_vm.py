#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The virtual machine of a container (pod/machine): an image of several layers from the store, a scratch disk and
a volume, and a container in it that sees all of them.

usage: machine_vm.py HUSK CONTAINER_MACHINE
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

for part in ("agent", "oci", ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / part))

# pylint: disable=wrong-import-position
import agent
import images
from agent import Container, Report, require

PATIENCE_S = 300
LAYERS = 9
# A cpio archive (newc) of nothing but its end.
EMPTY_ARCHIVE = (b"070701" + b"0" * 8 * 11 + b"0000000B" + b"0" * 8 + b"TRAILER!!!\0").ljust(124, b"\0")


def busybox_layer():
    members = [images.directory(name) for name in ("bin", "proc", "dev", "sys", "tmp", "etc", "data")]
    members.append(("bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), {"mode": 0o755}))
    for applet in ("sh", "cat", "ls", "dd", "rm", "sync", "df", "head", "sleep", "wc", "md5sum", "free"):
        members.append((f"bin/{applet}", b"", {"type": images.tarfile.SYMTYPE, "linkname": "busybox"}))
    return images.tar_of(members)


def layers(count):
    """busybox; then layers that each have a file of their own, replace one of all, and remove that of the one
    before the last."""
    result = [busybox_layer()]
    for number in range(2, count + 1):
        members = [images.directory("f"), (f"f/{number}", b"x" * (5000 * number)),
                   ("f/all", f"layer {number}\n".encode())]
        if number > 3:
            members.append((f"f/.wh.{number - 2}", b""))
        result.append(images.tar_of(members))
    return result


class Machine:
    """A container's machine, and its agent as `place` of tests/e2e/agent."""

    root = "/"

    def __init__(self, program, store, image, directory, **options):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        os.chmod(self.directory, 0o755)
        self.errors = open(self.directory / "errors", "w+b")
        self.process = subprocess.Popen([program, str(store), image, str(self.directory), json.dumps(options)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise agent.Failure(self.said())
        self.plan = json.loads(line)
        self.rootfs = self.plan["rootfs"]

    def open(self):
        self.control = agent.Control(self.connect())
        for request in self.plan["requests"]:
            self.control.call(request["method"], **request["params"])

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def connect(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_S)
            try:
                sock.connect(self.plan["vsock"])
                sock.sendall(b"CONNECT 1024\n")
                answer = b""
                while not answer.endswith(b"\n") and (byte := sock.recv(1)):
                    answer += byte
                if answer.startswith(b"OK "):
                    return sock
            except OSError:
                pass
            sock.close()
            require(self.process.poll() is None, f"the machine has ended: {self.said()}")
            require(time.monotonic() < deadline, "nobody listens in the machine")
            time.sleep(0.01)

    def stream(self, container, process, name):
        connection = agent.Connection(self.connect())
        connection.hello(role="stream", container=container, process=process, stream=name)
        return connection

    def end(self):
        """Ends it by force and returns its last line."""
        self.process.stdin.close()
        line = self.process.stdout.readline()
        self.process.wait(PATIENCE_S)
        self.errors.close()
        return json.loads(line) if line else None

    def power_off(self):
        self.control.call("shutdown")
        return self.end_line()

    def end_line(self):
        line = self.process.stdout.readline()
        require(line, self.said())
        self.process.wait(PATIENCE_S)
        return json.loads(line)


def load(husk, store, image, name):
    with tempfile.TemporaryDirectory(prefix="husk-machine-") as directory:
        source = images.layout(pathlib.Path(directory) / "layout", [images.named(image, name)], image.blobs)
        subprocess.run([husk, "image", "load", "-q", str(source)], check=True,
                       env={**os.environ, "HUSK_STORE": str(store)}, stdout=subprocess.DEVNULL)


def stacked(machine):
    """Every layer is there, the highest on top, and whiteouts work."""
    with Container(machine, {"root": None}, "cat /f/all; cd /f; ls; wc -c 9", rootfs=machine.rootfs) as container:
        ended, out, err = container.finish()
        require(ended["status"] == 0, (ended, out, err))
        require(out.split() == ["layer", "9", "8", "9", "all", "45000", "9"], out)


def scratch(machine):
    """It has the size that was asked for; what is deleted frees blocks of the host's file."""
    path = machine.directory / "scratch.img"

    def kib():
        return path.stat().st_blocks // 2

    empty = kib()
    require(empty < 1024, f"an empty scratch disk of {empty} KiB")
    with Container(machine, {"root": None}, "sleep 1000", rootfs=machine.rootfs) as container:
        container.start()
        container.output("w", "dd if=/dev/zero of=/big bs=1M count=24 2>&1; echo x >> /f/all; sync")
        full = kib()
        require(full >= empty + (24 << 10), f"{full} KiB after writing 24 MiB")
        container.output("r", "rm /big; sync")
        freed = kib()
        require(freed < full - (20 << 10), f"{full} KiB, and {freed} when the file was removed")
        lines = container.output("d", "df -k /").splitlines()
        size = int(lines[-1].split()[-5])
        require(100 << 10 < size <= 128 << 10, lines)


def parts(machine):
    """A part of a disk that is another volume's, or behind the end, is none; one that was given back can be had again."""
    layer = {**machine.plan["requests"][0]["params"], "volume": "again"}
    for wrong in ({}, {"offset_bytes": 1 << 40}, {"offset_bytes": layer["offset_bytes"] + 1}):
        try:
            machine.control.call("volume.add", **{**layer, **wrong})
        except agent.Refused:
            continue
        raise agent.Failure(f"{wrong} was taken")
    last = machine.plan["requests"][LAYERS - 1]["params"]
    machine.control.call("volume.remove", volume=last["volume"])
    machine.control.call("volume.add", **last)


def volume(machine):
    mounts = {"mounts+": [{"destination": "/data", "type": "none", "source": "/run/husk/volumes/store",
                           "options": ["bind"]}]}
    with Container(machine, {"root": None, **mounts}, "echo kept > /data/x; cat /data/x; sync",
                   rootfs=machine.rootfs) as container:
        require(container.finish()[1] == "kept\n", "the volume")


def memory(machine):
    info = machine.control.call("info")
    require((90 << 20) < info["memory_bytes"] <= (192 << 20), info)
    require(info["processors"] == 1, info)


def held(husk, store, image):
    """A layer that a machine uses is not collected, though its image is removed."""
    environment = {**os.environ, "HUSK_STORE": str(store)}
    subprocess.run([husk, "image", "rm", image], check=True, env=environment, stdout=subprocess.DEVNULL)
    require(len(list((store / "layers").iterdir())) == LAYERS, "layers were collected")


def explained(program, store, image, directory):
    """A kernel that cannot go on is said to have panicked, and why."""
    with tempfile.NamedTemporaryFile() as nothing:  # a RAM disk without an init
        os.environ["HUSK_AGENT"] = nothing.name
        pathlib.Path(nothing.name).write_bytes(EMPTY_ARCHIVE)
        machine = Machine(program, store, image, directory)
        line = machine.end_line()
    require(line["why"].startswith("the guest's kernel panicked: "), line)
    require("Kernel panic" in line["last"], line)


def main():
    husk, program = sys.argv[1:3]
    report = Report()
    with tempfile.TemporaryDirectory(prefix="husk-machine-", dir="/var/tmp") as name:
        top = pathlib.Path(name)
        os.chmod(top, 0o755)
        store = top / "store"
        load(husk, store, images.Image(layers(LAYERS)), "layers:1")
        disk = top / "disk.img"
        disk.touch()
        os.truncate(disk, 16 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True)
        machine = Machine(program, store, "layers:1", top / "c1", memory_bytes=192 << 20, vcpus=1,
                          scratch_bytes=128 << 20,
                          disks=[{"volume": "store", "path": str(disk), "type": "ext4", "readonly": False}])
        try:
            machine.open()
            for case in (memory, parts, stacked, scratch, volume):
                report.case(case.__name__, case, machine)
            report.case("layers are held", held, husk, store, "layers:1")
            report.case("power-off", lambda: require(machine.power_off()["reason"] == "power-off", "its reason"))
        finally:
            if machine.process.poll() is None:
                print(machine.end(), flush=True)
        said = subprocess.run(["debugfs", "-R", "cat /x", str(disk)], capture_output=True, text=True, check=True)
        load(husk, store, images.Image(layers(1)), "one:1")
        report.case("a panic is explained", explained, program, store, "one:1", top / "c2")
        report.case("the volume's file", lambda: require(said.stdout == "kept\n", said))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
