#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Firecracker's clients do, call by call: the Go SDK, firectl, and a shell with curl."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import uuid

import e2e
import network
import serve
from client import connect
from serve import Server, drive, guest_path

# What firectl and the SDK pass on when nothing else is asked for.
SDK_ARGS = "ro console=ttyS0 noapic reboot=k panic=1 pci=off nomodules"
GUEST_ARGS = SDK_ARGS.replace("noapic ", "")  # docs/api.md


class Fifo:
    """A FIFO that somebody reads all the time, as the SDK does with its log and metrics."""

    def __init__(self, path):
        self.path = str(path)
        os.mkfifo(self.path, 0o700)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self.data = b""
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while b"\0end\0" not in self.data:
            self.data += os.read(self.fd, 65536)

    def close(self):
        os.write(self.fd, b"\0end\0")
        self.thread.join(e2e.PATIENCE_S)
        os.close(self.fd)
        return self.data.removesuffix(b"\0end\0").decode()


def sdk_start(server, drives, nets=(), vsock=None):
    """The handlers of the SDK in their order. Returns the FIFOs of log and metrics."""
    api = server.api
    log, metrics = Fifo(server.directory / "log.fifo"), Fifo(server.directory / "metrics.fifo")
    api.put("/logger", {"log_path": log.path, "level": "Debug", "show_level": True,
                        "show_log_origin": False})
    api.put("/metrics", {"metrics_path": metrics.path})
    machine = {"vcpu_count": 1, "mem_size_mib": 128, "smt": False, "track_dirty_pages": False}
    api.put("/machine-config", machine)
    e2e.require(api.get("/machine-config").items() >= machine.items(), "/machine-config differs")
    api.put("/boot-source", {"kernel_image_path": guest_path("served"), "boot_args": SDK_ARGS})
    for one in drives:
        api.put(f"/drives/{one['drive_id']}", one)
    for number, net in enumerate(nets, 1):
        api.put(f"/network-interfaces/{number}", {"iface_id": str(number), **net})
    if vsock:
        api.put("/vsock", {"guest_cid": 3, "uds_path": vsock, "vsock_id": "root"})
    api.action("InstanceStart")
    return log, metrics


def expect_command_line(server, args, root):
    """What was given, then that there is no PCI bus, then the root device: the last word counts."""
    found = re.search(r"^command line: (.*)$", server.output, re.MULTILINE)[1]
    words = args.split() if e2e.TRANSPORT == "pci" or "pci=off" in args.split() else [*args.split(), "pci=off"]
    e2e.require(found.split() == words + root.split(), f"the command line is {found!r}")


def test_sdk_sequence():
    with Server("--id", str(uuid.uuid4())) as server:
        extra, root = server.disk("extra", "E", 100), server.disk("root", "R", 200)
        log, metrics = sdk_start(server, [drive("2", extra), drive("1", root, root=True)])
        server.expect("disk 0: 200 sectors, rw, R\n")
        server.expect("disk 1: 100 sectors, rw, E\n")
        server.expect("ready")
        expect_command_line(server, GUEST_ARGS, "root=/dev/vda rw")
        e2e.require(server.api.get("/")["state"] == "Running", "not Running")
        server.api.action("FlushMetrics")
        server.api.action("SendCtrlAltDel")
        server.expect("ctrl-alt-del")
        server.finish(serve.OK)
        lines = metrics.close().splitlines()
        e2e.require(lines and all(isinstance(json.loads(line), dict) for line in lines),
                    f"metrics: {lines}")
        e2e.require("InstanceStart" in log.close(), "the log does not tell of InstanceStart")
        e2e.require(not server.socket.exists(), "the socket is still there")


def test_firectl_sequence():
    """The drives' builder of the SDK names the root drive "root_drive" and puts it last."""
    with Server("--id", "firectl") as server:
        first, second = server.disk("a", "A"), server.disk("b", "B")
        root = server.disk("r", "R")
        log, metrics = sdk_start(server, [
            drive("0", first), {**drive("1", second), "is_read_only": True},
            {**drive("root_drive", root, root=True), "is_read_only": True}])
        for line in ("disk 0: 64 sectors, ro, R", "disk 1: 64 sectors, rw, A", "disk 2: 64 sectors, ro, B"):
            server.expect(line)
        server.expect("ready")
        expect_command_line(server, GUEST_ARGS, "root=/dev/vda ro")
        server.process.send_signal(signal.SIGTERM)
        server.finish(serve.OK)
        e2e.require(json.loads(metrics.close().splitlines()[-1]), "no metrics at the end")
        log.close()
        e2e.require(not server.socket.exists(), "the socket is still there")


def test_partuuid():
    with Server() as server:
        root = server.disk("r", "R")
        server.configure(args="tick")
        server.api.put("/drives/r", drive("r", root, root=True, partuuid="0eaa91a0-01"))
        server.api.action("InstanceStart")
        server.expect("ready")
        expect_command_line(server, "tick", "root=PARTUUID=0eaa91a0-01 rw")


def test_default_command_line():
    with Server() as server:
        server.api.put("/boot-source", {"kernel_image_path": guest_path("served")})
        server.api.action("InstanceStart")
        server.expect("ready")
        expect_command_line(server, "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux "
                            "i8042.dumbkbd swiotlb=noforce", "")


def test_vsock():
    with Server() as server:
        path = server.directory / "v.sock"
        log, metrics = sdk_start(server, [], vsock=str(path))
        server.expect("vsock: cid 3\n")
        server.expect("ready")
        e2e.require(path.is_socket(), "no socket at uds_path")
        with socket.socket(socket.AF_UNIX) as host:
            host.settimeout(e2e.PATIENCE_S)
            host.connect(str(path))
            host.sendall(b"CONNECT 52\n")
            # Nobody listens: the guest has no driver that runs.
        server.process.terminate()
        server.finish(serve.OK)
        e2e.require(not path.exists(), "uds_path is still there")
        log.close(), metrics.close()


def test_network():
    reason = network_missing()
    if reason:
        print(f"skipped: test_network: {reason}")
        return
    with network.Network() as net, Server(prefix=net.prefix) as server:
        log, metrics = sdk_start(server, [], nets=[
            {"host_dev_name": "vm0", "guest_mac": "aa:fc:00:00:00:01"}])
        server.expect("net 0: mac aa:fc:0:0:0:1, mtu 0\n")
        server.expect("ready")
        limits = {"bandwidth": {"size": 1 << 20, "refill_time": 100}}
        server.api.patch("/network-interfaces/1", {"iface_id": "1", "rx_rate_limiter": limits})
        server.api.patch("/network-interfaces/1", {"iface_id": "1", "tx_rate_limiter": {
            "ops": {"size": 1000, "refill_time": 1000, "one_time_burst": 10}}})
        server.api.refused("PATCH", "/network-interfaces/1", {"iface_id": "2"}, "1", "2")
        server.api.refused("PATCH", "/network-interfaces/9", {"iface_id": "9", "rx_rate_limiter": limits}, "9")
        server.api.refused("PUT", "/network-interfaces/2", {"iface_id": "2", "host_dev_name": "vm1"})
        if e2e.TRANSPORT == "pci":  # asked for; this guest keeps it
            server.api.expect(204, "DELETE", "/network-interfaces/1")
            e2e.require(len(server.api.get("/vm/config")["network-interfaces"]) == 1, "it is gone")
        else:
            server.api.refused("DELETE", "/network-interfaces/1", None, "PCI is not enabled")
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
        log.close(), metrics.close()


def network_missing():
    """Why no tap can be made here, or None."""
    if os.geteuid():
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is not there"
    try:
        with network.Network():
            return None
    except (e2e.Failure, OSError) as error:
        return str(error)


def test_missing_tap_is_named():
    with Server() as server:
        server.configure()
        answer = server.api.request("PUT", "/network-interfaces/1",
                                    {"iface_id": "1", "host_dev_name": "nosuchtap"})
        fault = answer.fault if answer.status == 400 else \
            server.api.refused("PUT", "/actions", {"action_type": "InstanceStart"})
        e2e.require("nosuchtap" in fault, f"the fault names no tap: {fault}")


def test_curl():
    """As the getting-started guides do it."""
    with Server() as server:
        def curl(*words):
            result = subprocess.run(["curl", "-sS", "--unix-socket", str(server.socket), *words],
                                    capture_output=True, text=True, timeout=e2e.PATIENCE_S, check=False)
            e2e.require(result.returncode == 0, f"curl {words}: {result.stderr}")
            return result.stdout
        try:
            e2e.require(json.loads(curl("http://localhost/"))["state"] == "Not started", "state")
        except FileNotFoundError:
            print("skipped: test_curl: curl is not installed")
            return
        body = json.dumps(serve.boot_source())
        e2e.require(curl("-X", "PUT", "http://localhost/boot-source", "-d", body) == "", "boot-source")
        e2e.require(curl("-X", "PUT", "http://localhost/actions", "-H", "Accept: application/json",
                         "-d", '{"action_type": "InstanceStart"}') == "", "start")
        server.expect("tick 2")


def test_deprecated_members_are_marked():
    """The header by which Firecracker tells of what may go."""
    with Server() as server:
        body = {"guest_cid": 3, "uds_path": "v.sock"}
        old = server.api.expect(204, "PUT", "/vsock", {**body, "vsock_id": "1"})
        new = server.api.expect(204, "PUT", "/vsock", body)
        e2e.require(old.headers.get("Deprecation") == "true", "vsock_id is not marked")
        e2e.require("Deprecation" not in new.headers, "all is marked")


def test_keep_alive_and_close():
    with Server() as server:
        api = server.api
        api.get("/version")
        kept = api.connection.sock
        api.refused("GET", "/nothing")
        api.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64})
        e2e.require(kept and api.connection.sock is kept, "the connection was not kept")
        api.expect(200, "GET", "/version", headers={"Connection": "close"})
        e2e.require(api.connection.sock is None, "the connection was not closed")
        for line in (b"GET /version HTTP/1.0\r\n\r\n", b"GET http://localhost/version HTTP/1.1\r\nHost: x\r\n"
                     b"Connection: close\r\n\r\n"):
            with connect(server.socket) as one:
                one.sendall(line)
                text = b""
                while more := one.recv(4096):
                    text += more
            e2e.require(serve.status_of(text) == 200 and b"firecracker_version" in text, f"{line}: {text}")


def test_command_names():
    """`husk-firecracker` is `husk serve`: clients start a program of one word."""
    with tempfile.TemporaryDirectory() as directory:
        link = os.path.join(directory, "husk-firecracker")
        os.symlink(pathlib.Path(e2e.HUSK).resolve(), link)
        with Server(program=[link]) as server:
            server.start(args="tick")


serve.need_serve()
e2e.main(globals())
