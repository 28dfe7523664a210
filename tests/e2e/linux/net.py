#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux on virtio-net: two taps in network namespaces of the test's own, a guest between them.

The host's end of each tap lives in a namespace that this program makes and removes; the guest pings
it and exchanges TCP streams with it in both directions, compared by checksum.
"""
import hashlib
import os
import socket
import subprocess
import sys
import threading

from husktest import Failure, POWER_OFF, Result, Skip, Tests, any_kernel, pattern

SIZE = 4 << 20


class Namespace:
    """A network namespace with taps in it; husk is started inside."""

    def __init__(self, taps, multi_queue=False):
        self.name = f"husk-e2e-{os.getpid()}"
        self.taps = taps
        self.multi_queue = multi_queue

    def ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("making network namespaces needs root")
        self.ip("netns", "add", self.name)
        try:
            for index in range(self.taps):
                tap = f"tap{index}"
                mode = ["multi_queue"] if self.multi_queue else []
                self.ip("-n", self.name, "tuntap", "add", tap, "mode", "tap", *mode)
                self.ip("-n", self.name, "address", "add", f"10.77.{index}.1/24", "dev", tap)
                self.ip("-n", self.name, "link", "set", tap, "up")
        except subprocess.CalledProcessError as error:
            self.__exit__()
            raise Failure(f"ip: {error.stderr.decode()}") from error
        return self

    def __exit__(self, *exc):
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)

    def command(self, command):
        return ["ip", "netns", "exec", self.name, *command]

    def enter(self):
        """Moves the calling thread into the namespace."""
        with open(f"/run/netns/{self.name}", "rb") as handle:
            os.setns(handle.fileno()) if hasattr(os, "setns") else setns(handle.fileno())


def setns(fd):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


class Peer(threading.Thread):
    """The host's side, in the namespace: receives a stream, or sends one."""

    def __init__(self, namespace, function):
        super().__init__(daemon=True)
        self.namespace, self.function = namespace, function
        self.result = self.error = None
        self.ready = threading.Event()

    def begin(self):
        """Returns when it listens: a guest may be as fast as this thread."""
        self.start()
        if not self.ready.wait(250) or self.error:
            raise Failure(f"the host's side: {self.error or 'it is not ready'}")

    def run(self):
        try:
            self.namespace.enter()
            self.result = self.function(self.ready)
        except OSError as error:
            self.error = error
        finally:
            self.ready.set()


def receive(address, port, ready):
    with socket.create_server((address, port)) as server:
        server.settimeout(250)
        ready.set()
        connection, _ = server.accept()
        digest, count = hashlib.sha256(), 0
        with connection:
            while data := connection.recv(1 << 16):
                digest.update(data)
                count += len(data)
        return f"{count} {digest.hexdigest()}"


def send(address, port, data, ready):
    import time
    ready.set()
    for _ in range(240):
        try:
            connection = socket.create_connection((address, port), timeout=5)
            break
        except OSError:
            time.sleep(0.5)
    else:
        raise OSError(f"nobody listens on {address}:{port}")
    connection.settimeout(120)
    with connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    return "sent"


def transfer(tests, options, multi_queue=False, taps=1, cpus=1):
    """Ping and TCP both ways over every tap."""
    data = pattern(9, SIZE)
    digest = hashlib.sha256(data).hexdigest()
    with Namespace(taps, multi_queue) as namespace:
        commands, nets, peers = [], [], []
        for index in range(taps):
            host, guest = f"10.77.{index}.1", f"10.77.{index}.2"
            commands += [f"net:eth{index}:{guest}:24", f"ping:{host}",
                         f"tcp-send:{host}:7001:9:{SIZE}", "tcp-recv:7002"]
            nets += ["-n", f"tap=tap{index}{options}"]
            peers.append(Peer(namespace, lambda ready, h=host: receive(h, 7001, ready)))
            peers.append(Peer(namespace, lambda ready, g=guest: send(g, 7002, data, ready)))
        # One interface after the other: the second sender waits until the guest listens.
        results = []
        for index in range(taps):
            for peer in peers[2 * index:2 * index + 2]:
                peer.begin()
            lists = ",".join(commands[4 * index:4 * index + 4])
            process = subprocess.run(
                namespace.command(tests.command(any_kernel(), lists, *nets, "-c", cpus)),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=400, check=False)
            result = Result(process.returncode, process.stdout.decode(errors="replace"),
                            process.stderr.decode(errors="replace"))
            for peer in peers[2 * index:2 * index + 2]:
                peer.join(60)
            results.append(result)
            result.expect_status(POWER_OFF)
            result.expect("ping", f"10.77.{index}.1 ok")
            result.expect("tcp-send", f"{SIZE} {digest}")
            result.expect("tcp-recv", f"{SIZE} {digest}")
            if peers[2 * index].result != f"{SIZE} {digest}":
                raise Failure(f"the host received {peers[2 * index].result or peers[2 * index].error}")
        return results


def mtu_and_mac(tests):
    with Namespace(1) as namespace:
        namespace.ip("-n", namespace.name, "link", "set", "tap0", "mtu", "9000")
        command = tests.command(any_kernel(), "net:eth0:10.77.0.2:24,ping:10.77.0.1",
                                "-n", "tap=tap0,mtu=9000,mac=52:54:00:01:02:03")
        process = subprocess.run(namespace.command(command), stdin=subprocess.DEVNULL,
                                 capture_output=True, timeout=300, check=False)
        result = Result(process.returncode, process.stdout.decode(), process.stderr.decode())
        result.expect_status(POWER_OFF)
        result.expect("net", "eth0 mtu 9000 mac 52:54:00:01:02:03")


def vhost(tests):
    if not os.path.exists("/dev/vhost-net"):
        raise Skip("there is no /dev/vhost-net")
    transfer(tests, ",vhost=on")


def main():
    with Tests() as tests:
        tests.case("own data path", transfer, tests, ",vhost=off")
        tests.case("vhost-net", vhost, tests)
        tests.case("two taps", lambda: transfer(tests, ",vhost=off", taps=2))
        tests.case("two queue pairs", lambda: transfer(tests, ",vhost=off,queues=2",
                                                       multi_queue=True, cpus=2))
        tests.case("rate limit", transfer, tests, ",vhost=off,bw=64M")
        tests.case("MTU and MAC address", mtu_and_mac, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
