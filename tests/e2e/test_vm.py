#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk vm: a running machine controlled from a shell, beside `husk run` and beside `husk serve`."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

import e2e

REFUSED = 1
NO_DEVICE = "ffff:ff:1f.7"  # no host has it


def vm(*words, status=0):
    """Run `husk vm`. Returns its output, or what it says of an error."""
    result = subprocess.run([e2e.HUSK, "vm", *map(str, words)], capture_output=True, text=True,
                            timeout=e2e.PATIENCE_S, check=False)
    e2e.require(result.returncode == status,
                f"husk vm {words}: status {result.returncode}, not {status}: {result.stdout}{result.stderr}")
    if status:
        e2e.require(result.stderr.startswith("husk: ") and result.stderr.count("\n") == 1,
                    f"husk vm {words}: not one line: {result.stderr!r}")
        return result.stderr
    e2e.require(result.stderr == "", f"husk vm {words}: {result.stderr}")
    return result.stdout


def make_disk(path, letter, sectors=64):
    path.write_bytes(letter.encode() + bytes(sectors * 512 - 1))
    return path


@contextlib.contextmanager
def running_guest(guest, append, *options):
    """(a machine, its socket, the directory of both)"""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "vm.sock"
        with e2e.Machine(guest, append, "--api-sock", str(path), *options, stdin=subprocess.DEVNULL) as machine:
            for _ in range(e2e.PATIENCE_S * 20):
                if path.exists() or machine.process.poll() is not None:
                    break
                time.sleep(0.05)
            yield machine, path, pathlib.Path(name)


@contextlib.contextmanager
def running(*options):
    """The same, of a machine that ticks and has a disk "data"."""
    with tempfile.TemporaryDirectory() as name:
        disk = make_disk(pathlib.Path(name) / "disk.img", "D")
        with running_guest("served", "tick", "-d", f"{disk},id=data", *options) as (machine, path, _):
            machine.expect("tick 1\n")
            yield machine, path, pathlib.Path(name)


def test_info():
    with running("-c", "1", "-m", "64M") as (_, path, directory):
        lines = vm("info", path).splitlines()
        for line in ("state: Running", "monitor: husk", "CPUs: 1", "memory: 64 MiB",
                     f"drive data: {directory / 'disk.img'}"):
            e2e.require(line in lines, f"{line!r} is not in {lines}")
        report = json.loads(vm("info", path, "--json"))
        e2e.require(report["instance"]["state"] == "Running", f"{report}")
        e2e.require(report["config"]["drives"][0]["drive_id"] == "data", f"{report}")
        e2e.require("tick" in report["config"]["boot-source"]["boot_args"], f"{report}")


def test_pause_and_resume():
    with running() as (machine, path, _):
        vm("pause", path)
        e2e.require("state: Paused" in vm("info", path), "not paused")
        vm("pause", path)
        vm("resume", path)
        e2e.require("state: Running" in vm("info", path), "not running")
        machine.expect("tick")


def test_ctrl_alt_del_and_the_end():
    """With the machine its socket goes; the exit status is that of `husk run`."""
    with running() as (machine, path, _):
        e2e.require(path.stat().st_mode & 0o022 == 0, "others may connect")
        vm("ctrl-alt-del", path)
        machine.expect("ctrl-alt-del")
        machine.finish(e2e.RESET)
        e2e.require(not path.exists(), "the socket is still there")
        e2e.require("cannot connect" in vm("info", path, status=e2e.MONITOR_ERROR), "another fault")


def test_several_clients():
    with running() as (machine, path, _):
        threads = [threading.Thread(target=lambda: [vm("info", path) for _ in range(5)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        machine.expect("tick")


def test_without_a_bus():
    if e2e.TRANSPORT != "mmio":
        return
    with running() as (machine, path, directory):
        more = make_disk(directory / "more.img", "M")
        for words in (("drive", "add", path, more), ("drive", "remove", path, "data"),
                      ("net", "add", path, "tap=nosuch"), ("net", "remove", path, "net1"),
                      ("vfio", "add", path, NO_DEVICE), ("vfio", "remove", path, "vfio1")):
            e2e.require("PCI is not enabled" in vm(*words, status=REFUSED), f"{words}: another fault")
        machine.expect("tick")


def test_refusals():
    with running("--transport", "pci") as (machine, path, directory):
        os.mkfifo(directory / "fifo")
        for words, says in ((("drive", "add", path, directory / "nodisk"), "nodisk"),
                            (("drive", "add", path, directory), "directory"),
                            (("drive", "add", path, directory / "fifo"), "fifo"),
                            (("drive", "add", path, f"{directory / 'disk.img'},id=data"), "data"),
                            (("drive", "remove", path, "none"), "none"),
                            (("net", "remove", path, "none"), "none"),
                            (("vfio", "add", path, NO_DEVICE), f"{NO_DEVICE}: "),
                            (("vfio", "add", path, NO_DEVICE), "no such PCI device"),
                            (("vfio", "remove", path, "none"), "none")):
            e2e.require(says in vm(*words, status=REFUSED), f"{words}: it does not say {says!r}")
        e2e.require("no-id" in vm("drive", "remove", path, "no-id", status=e2e.MONITOR_ERROR), "another fault")
        e2e.require(len(json.loads(vm("info", path, "--json"))["config"]["drives"]) == 1, "something was added")
        machine.expect("tick")


def test_hot_plug():
    """A disk and an interface's worth of a shell: add, be seen, remove, be gone, and the id free again."""
    with running_guest("hotplug", "rounds=9", "--transport", "pci") as (machine, path, directory):
        disk = make_disk(directory / "more.img", "M")
        name = vm("drive", "add", path, disk).strip()
        machine.expect("holds M")
        e2e.require(f"drive {name}: {disk}" in vm("info", path).splitlines(), "info does not show it")
        vm("drive", "add", path, f"{disk},id={name}", status=REFUSED)
        vm("drive", "remove", path, name)
        machine.expect("ejected")
        e2e.require(name not in vm("info", path), "info shows it still")
        vm("drive", "remove", path, name, status=REFUSED)
        other = make_disk(directory / "other.img", "O")
        e2e.require(vm("drive", "add", path, f"{other},id={name}").strip() == name, "another id")
        machine.expect("holds O")
        vm("drive", "remove", path, name)
        machine.process.terminate()
        machine.finish(e2e.HOST_REQUEST)


def test_usage():
    for words in ((), ("info",), ("explode", "s"), ("drive", "s"), ("drive", "add", "s"), ("pause", "s", "t"),
                  ("drive", "add", "s", "f,nothing=1"), ("net", "add", "s", "t"), ("info", "s", "--yaml"),
                  ("vfio", "s"), ("vfio", "add", "s", "card"), ("vfio", "add", "s", "01:00.0,fd=3")):
        vm(*words, status=e2e.USAGE)


def serve_once(path, answer):
    """Something that listens at `path` and is no husk."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run():
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)
        listener.close()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_what_is_no_vm():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "file").write_text("x", encoding="ascii")
        for path in (directory / "none", directory / "file", directory, "x" * 200):
            e2e.require(str(path)[:20] in vm("info", path, status=e2e.MONITOR_ERROR), f"{path} is not named")
        for number, answer in enumerate((b"", b"hello\r\n", b"HTTP/1.1 404 Not Found\r\n\r\nno", b"HTTP/1.1 200 OK\r\n\r\n{",
                                         b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"\x00" * 4096)):
            path = directory / f"s{number}"
            thread = serve_once(path, answer)
            e2e.require(str(path) in vm("info", path, status=e2e.MONITOR_ERROR), f"{path} is not named")
            thread.join(e2e.PATIENCE_S)


def test_a_place_that_is_taken():
    """Nothing starts when the socket cannot be made; one that a killed process left is replaced."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        taken = directory / "file"
        taken.write_text("x", encoding="ascii")
        for path in (taken, directory / "no" / "such", "x" * 200):
            with e2e.Machine("served", "tick", "--api-sock", str(path), stdin=subprocess.DEVNULL) as machine:
                machine.finish(e2e.MONITOR_ERROR)
                e2e.require("API socket" in machine.error_text() and not machine.output, machine.transcript())
        e2e.require(taken.read_text(encoding="ascii") == "x", "the file was touched")
        stale = directory / "stale"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(stale))
        with e2e.Machine("served", "tick", "--api-sock", str(stale), stdin=subprocess.DEVNULL) as machine:
            machine.expect("tick 1\n")
            vm("info", stale)


def test_the_server_of_the_api():
    """`husk vm` does not care which command serves."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "s"
        flags = ["--enable-pci"] if e2e.TRANSPORT == "pci" else []
        with subprocess.Popen([e2e.HUSK, "serve", "--api-sock", str(path), *flags], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                for _ in range(e2e.PATIENCE_S * 10):
                    if path.exists():
                        break
                    e2e.require(server.poll() is None, "husk serve has ended")
                    threading.Event().wait(0.1)
                e2e.require("state: Not started" in vm("info", path), "another state")
                e2e.require("before starting" in vm("pause", path, status=REFUSED), "another fault")
            finally:
                server.terminate()


e2e.need_kvm()
e2e.main(globals())
