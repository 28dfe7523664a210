# SPDX-License-Identifier: Apache-2.0
"""A network namespace with one tap in it, removed on every way out."""
import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading

import e2e

HOST_ADDRESS = "10.99.0.1"
GUEST_ADDRESS = "10.99.0.2"
PORT = 7001
CLONE_NEWNET = 0x40000000


def ip(*words):
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if result.returncode:
        raise e2e.Failure(f"ip {' '.join(words)}: {result.stderr.strip()}")


class Network:
    """The namespace; `prefix` runs a command in it."""

    def __init__(self, multi_queue=False, mtu=1500):
        self.name = f"husk-test-{os.getpid()}"
        self.prefix = ("ip", "netns", "exec", self.name)
        self.multi_queue = multi_queue
        self.mtu = mtu
        atexit.register(self.remove)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def __enter__(self):
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "tuntap", "add", "vm0", "mode", "tap",
           *(["multi_queue"] if self.multi_queue else []))
        ip("-n", self.name, "addr", "add", f"{HOST_ADDRESS}/24", "dev", "vm0")
        ip("-n", self.name, "link", "set", "vm0", "mtu", str(self.mtu), "up")
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        if os.path.exists(f"/run/netns/{self.name}"):
            subprocess.run(["ip", "netns", "del", self.name], check=False)

    def socket(self):
        """A UDP socket inside the namespace: a socket stays where it was made."""
        libc = ctypes.CDLL(None, use_errno=True)
        ours = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        theirs = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(theirs, CLONE_NEWNET):
                raise e2e.Failure(f"setns: {os.strerror(ctypes.get_errno())}")
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if libc.setns(ours, CLONE_NEWNET):
                raise e2e.Failure(f"setns: {os.strerror(ctypes.get_errno())}")
        finally:
            os.close(ours)
            os.close(theirs)
        return made


@contextlib.contextmanager
def echo_server(network):
    """Sends back what comes, and "flood N" as N datagrams."""
    with network.socket() as server:
        server.bind((HOST_ADDRESS, PORT))
        server.settimeout(0.2)
        ended = threading.Event()

        def serve():
            while not ended.is_set():
                try:
                    data, sender = server.recvfrom(65536)
                except TimeoutError:
                    continue
                count = int(data[6:]) if data.startswith(b"flood ") else 0
                try:
                    for number in range(count):
                        server.sendto(b"flood %d" % number, sender)
                    if not count:
                        server.sendto(data, sender)
                except OSError:
                    pass  # a full queue: as lossy as any network

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def need_network():
    if os.geteuid():
        e2e.skip("network namespaces need root")
    if not os.path.exists("/dev/net/tun"):
        e2e.skip("/dev/net/tun is not there")
    try:
        subprocess.run(["ip", "-V"], capture_output=True, check=True)
    except OSError:
        e2e.skip("the command ip (iproute2) is not installed")
    name = f"husk-test-probe-{os.getpid()}"
    result = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if result.returncode:
        e2e.skip(f"cannot make a network namespace: {result.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", name], check=False)
