#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent as PID 1 of a VM: the tables of tests/e2e/agent inside, and what only a whole guest has: cgroup
limits, the out-of-memory killer, volumes on disks, the end of the machine.

usage: agent_vm.py HUSK AGENT PROBE
"""
import os
import pathlib
import sys
import tempfile
import time

from husktest import SKIPPED, Skip, any_kernel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "agent"))

# pylint: disable=wrong-import-position
import archive
import conformance
import guest
from agent import Container, Failure, Refused, Report, refused, require

SLEEP = "sleep 1000"
ROOTFS = {"layers": ["root"], "upper": "scratch"}
BARE = {"root": None}


def limited(**resources):
    return {**BARE, "linux.resources": resources}


def greeting(place):
    require(place.control.greeting["booted"], place.control.greeting)
    info = place.control.call("info")
    for name in ("cpu", "memory", "pids"):
        require(name in info["cgroup_controllers"], info)


def out_of_memory(place):
    """Only the offender dies, and everybody is told."""
    neighbour = Container(place, BARE, SLEEP, rootfs=ROOTFS)
    neighbour.start()
    with Container(place, limited(memory={"limit": 24 << 20, "swap": 24 << 20}), "exec probe memory",
                   rootfs=ROOTFS) as container:
        container.start()
        ended = container.wait()
        require(ended == {"status": 137, "signal": 9, "oom": True}, ended)
        require(place.control.event(event="oom", container=container.name)["kills"] >= 1, "no event")
        stats = place.control.call("stats", container=container.name)
        require(stats["oom_kills"] >= 1 and stats["memory_peak_bytes"] <= 24 << 20, stats)
    require(neighbour.state()["status"] == "running", "the neighbour died")
    neighbour.__exit__()


def all_memory(place):
    """Without a limit of its own, a container meets that of all containers, and the agent lives."""
    with Container(place, {**BARE, "process.oomScoreAdj": 1000}, "exec probe memory", rootfs=ROOTFS) as container:
        container.start()
        require(container.wait()["oom"], "it was not killed")
    require(place.control.call("list") == {"containers": []}, "list")


def fork_bomb(place):
    with Container(place, limited(pids={"limit": 50}), "exec probe fork", rootfs=ROOTFS) as container:
        out = container.stream("stdout")
        container.start()
        require(out.socket.recv(100).startswith(b"EAGAIN"), "the bomb did not go off")
        require(place.control.call("stats", container=container.name)["processes"] == 50, "processes")


def full_disk(place):
    other = Container(place, BARE, "read x; cat /proc/self/comm", stdin=True, rootfs=ROOTFS)
    with other, Container(place, BARE, "dd if=/dev/zero of=/big bs=1M 2>&1", rootfs=ROOTFS) as container:
        require("No space left" in container.finish()[1], "the disk has no end")
        other.stream("stdin").socket.sendall(b"\n")
        require(other.finish()[1] == "cat\n", "the other")
        require(place.control.call("file.write", file="x", data="y") == {}, "the agent's own files")
    for _ in range(100):  # what it wrote is removed behind its back
        try:
            with Container(place, BARE, "true", rootfs=ROOTFS) as later:
                require(later.finish()[0]["status"] == 0, "the disk is of no use any more")
                return
        except Refused as error:
            require(error.code == "limit", error)
            time.sleep(0.5)
    raise Failure("the space does not come back")


def update(place):
    view = {"mounts+": [{"destination": "/cg", "type": "cgroup", "source": "cgroup", "options": ["ro"]}]}
    with Container(place, {**limited(memory={"limit": 64 << 20}), **view}, SLEEP, rootfs=ROOTFS) as container:
        container.start()
        call = place.control.call
        call("update", container=container.name, resources={"memory": {"limit": 48 << 20}, "pids": {"limit": 33}})
        require(container.output("look", "cat /cg/memory.max /cg/pids.max").split() == [str(48 << 20), "33"], "limits")


def own_limits(place):
    """A container that can write to its cgroup does not lift its limits."""
    view = {"mounts+": [{"destination": "/cg", "type": "cgroup", "source": "cgroup", "options": ["rw"]}]}
    with Container(place, {**limited(memory={"limit": 64 << 20}), **view},
                   "echo max > /cg/memory.max; cat /cg/memory.max", rootfs=ROOTFS) as container:
        require(container.finish()[1] == f"{64 << 20}\n", "a limit was lifted")


def statistics(place):
    with Container(place, BARE, "head -c 1000000 /dev/zero > /f; sync; sleep 1000", rootfs=ROOTFS) as container:
        container.start()
        container.output("wait", "while ! ps | grep -q 'sleep 1000'; do sleep 0.05; done")
        stats = place.control.call("stats", container=container.name)
        for name in ("cpu_usec", "memory_bytes", "processes"):
            require(stats[name] > 0, stats)


def vsock(place):
    """The host alone may speak to the agent."""
    with Container(place, BARE, "probe vsock 1 1024; probe vsock 77 1024", rootfs=ROOTFS) as container:
        require("ok" not in container.finish()[1], "a container speaks to the agent")


def life(place):
    """The walk that a host takes, over vsock."""
    with Container(place, BARE, "cat; echo end; exit 3", stdin=True, rootfs=ROOTFS) as container:
        container.start()
        require(container.output("e", "id -u; hostname") == "0\nbox\n", "exec")
        place.control.call("pause", container=container.name)
        place.control.call("resume", container=container.name)
        out, stdin = container.stream("stdout"), container.stream("stdin")
        stdin.socket.sendall(b"to and fro\n")
        stdin.socket.shutdown(1)
        require(container.wait()["status"] == 3, "status")
        data = b""
        while part := out.socket.recv(4096):
            data += part
        require(data == b"to and fro\nend\n", data)
    with Container(place, {**BARE, "process.terminal": True}, "tty; stty size; read x", rootfs=ROOTFS) as container:
        screen = container.stream("terminal")
        place.control.call("resize", container=container.name, columns=70, rows=20)
        container.start()
        data = b""
        while b"20 70" not in data:
            data += screen.socket.recv(4096)
        screen.socket.sendall(b"\n")
        require(container.wait()["status"] == 0, "terminal")
    with Container(place, BARE, SLEEP, rootfs=ROOTFS) as container:
        container.start()
        container.kill(9)
        require(container.wait()["signal"] == 9, "kill")


def files(place):
    """An archive into an overlay and out of it, for a user by name, while the container is looked at."""
    with Container(place, BARE, "cat /srv/in/file; id -u; exec sleep 1000", rootfs=ROOTFS, user="alice") as container:
        transfer = archive.Transfer(container)
        data = archive.pack(("in/file", b"through the machine\n"), ("in/owned", {"uid": 1000, "mode": 0o600}))
        require(transfer.put(data, "/srv", create=True) == (0, ""), "not taken")
        out = container.stream("stdout")
        container.start()
        require(out.exactly(25) == b"through the machine\n1000\n", "another file, or another user")
        tar = transfer.get("/srv/in")
        require(sorted(tar.getnames()) == ["in", "in/file", "in/owned"], tar.getnames())
        require(tar.extractfile("in/file").read() == b"through the machine\n", "another file")
        require(tar.getmember("in/owned").uid == 1000, "another owner")
        listed = place.control.call("processes", container=container.name)["processes"]
        require([(one["pid_inside"], one["uid"]) for one in listed] == [(1, 1000)], listed)


def into_the_pod(place):
    """A connection through vsock to a port of the guest, both ends by themselves; and one that is refused."""
    place.control.call("network.set", interface="lo", addresses=["127.0.0.1/8"])
    kinds = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    with Container(place, {**BARE, "linux.namespaces": kinds}, "exec probe echo 7001", rootfs=ROOTFS) as container:
        out = container.stream("stdout")
        container.start()
        require(out.exactly(6) == b"ready\n", "the server does not come up")
        sock = place.dial("127.0.0.1", 7001)
        sock.sendall(b"to and fro ")
        sock.shutdown(1)
        data = b""
        while part := sock.recv(4096):
            data += part
        require(data == b"to and fro end", data)
        sock.close()
    error = refused("failed", place.dial, "127.0.0.1", 7001)
    require("refused" in error.why, error)


def contents(place):
    """What is in a volume on a disk: owner of its root, files, measuring, removal."""
    call = place.control.call
    call("volume.add", volume="part", directory="scratch", mode=0o2770, gid=2000)
    call("volume.write", volume="part", path="a/file", data="x" * 50000, gid=2000, mode=0o640)
    mounts = {"mounts+": [{"destination": "/mnt", "type": "bind", "source": "/run/husk/volumes/part",
                           "options": ["bind"]}]}
    with Container(place, {**BARE, **mounts}, "cd /mnt; stat -c '%a %g' . a/file; touch new; stat -c %g new",
                   rootfs=ROOTFS) as container:
        require(container.finish()[1] == "2770 2000\n640 2000\n2000\n", "owners")
    used = call("volume.usage", volume="part")
    require(50000 <= used["used_bytes"] < 100000 and used["used_inodes"] == 3, used)
    call("volume.delete", volume="part", path="a")
    require(call("volume.usage", volume="part")["used_inodes"] == 1, "it is still there")
    call("volume.remove", volume="part")


CASES = [greeting, life, files, into_the_pod, contents, vsock, out_of_memory, all_memory, fork_bomb, full_disk, update,
         own_limits, statistics]


def limits(place, report):
    there = place.control.call("info")["cgroup_controllers"]
    for name, controller, resources, file, value in conformance.LIMITS:
        if controller in there:
            view = conformance.mount("/sys/fs/cgroup", "cgroup", "ro")
            report.case(name, check_limit, place, {**view, **BARE, "linux.resources": resources}, file, value)
        else:
            report.skip(name, f"the guest's kernel has no {controller} controller")


def check_limit(place, changes, file, value):
    with Container(place, changes, f"cat /sys/fs/cgroup/{file}", rootfs=ROOTFS) as container:
        _, out, err = container.finish()
        require(out.strip() == value, (out, err))


def main():
    husk, program, os.environ["HUSK_AGENT_PROBE"] = sys.argv[1:4]
    report = Report()
    try:
        kernel = any_kernel()
    except Skip as reason:
        print(f"skipped: agent: {reason}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="husk-agent-") as directory:
        place = guest.Guest(directory, husk, program, kernel)
        try:
            for case in CASES:
                report.case(case.__name__.replace("_", " "), case, place)
            limits(place, report)
        finally:
            wrong = place.end()
        report.case("power-off", lambda: require(not wrong, wrong))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
