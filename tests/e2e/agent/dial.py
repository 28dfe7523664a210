# SPDX-License-Identifier: Apache-2.0
"""Connections into the pod (role "dial"): bytes and ends both ways, connections that break, and what is refused."""
import socket
import threading
import time

from agent import PATIENCE_S, Connection, Container, refused, require

DIALS_MAX = 128
# Without a network of its own: the pod's.
IN_POD = {"linux.namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]}


class Server(Container):
    """The probe as a server, which listens already."""

    def __init__(self, place, mode, port):
        super().__init__(place, IN_POD, f"exec /bin/probe {mode} {port}")
        out = self.stream("stdout")
        self.start()
        require(out.socket.recv(6) == b"ready\n", "the server does not come up")
        out.close()


def receive_all(sock):
    data = b""
    while part := sock.recv(1 << 16):
        data += part
    return data


def both_ways(place):
    data = bytes(range(256)) * 8192
    with Server(place, "echo", 7001):
        for address in ("127.0.0.1", "::1"):
            sock = place.dial(address, 7001)
            sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
            sender.start()
            got = b""
            while len(got) < len(data):
                part = sock.recv(1 << 16)
                require(part, "the connection ended early")
                got += part
            sender.join(PATIENCE_S)
            require(got == data, "other bytes")
            # Half an end: the other direction goes on.
            sock.shutdown(socket.SHUT_WR)
            require(receive_all(sock) == b"end", "the end did not pass")
            sock.close()


def ends_with_the_server(place):
    with Server(place, "echo", 7002) as server:
        sock = place.dial("127.0.0.1", 7002)
        sock.sendall(b"x")
        require(sock.recv(1) == b"x", "no echo")
        server.kill(9)
        require(receive_all(sock) == b"", "something came")
        sock.close()


def broken_off(place):
    """By the server, and by the host: the other end is told, and nothing is left."""
    with Server(place, "reset", 7003):
        sock = place.dial("127.0.0.1", 7003)
        sock.sendall(b"x")
        try:
            require(sock.recv(10) == b"", "bytes of a broken connection")
        except ConnectionResetError:
            pass
        sock.close()
    with Server(place, "echo", 7004) as server:
        for _ in range(3):
            sock = place.dial("127.0.0.1", 7004)
            sock.sendall(b"x" * 100000)  # unread: what comes back fills every buffer
            sock.close()
        deadline = time.monotonic() + PATIENCE_S
        # One process for each connection, and the first one.
        while len(place.control.call("processes", container=server.name)["processes"]) > 1:
            require(time.monotonic() < deadline, "connections are left")
            time.sleep(0.02)


def refusals(place):
    error = refused("failed", place.dial, "127.0.0.1", 7999)
    require("refused" in error.why, error)
    refused("failed", place.dial, "203.0.113.1", 80)  # no route
    for address, port in (("localhost", 80), ("127.1", 80), ("", 80), ("::g", 80), (7, 80), ("127.0.0.1", 0),
                          ("127.0.0.1", 65536), ("127.0.0.1", "80"), ("127.0.0.1", -1), ("1" * 100, 80)):
        refused("invalid", place.dial, address, port)
    refused("invalid", Connection(place.connect()).hello, role="dial", address="::1")
    refused("invalid", Connection(place.connect()).hello, role="dial", address="::1", port=1, host="x")


def too_many(place):
    with Server(place, "echo", 7005):
        socks = [place.dial("127.0.0.1", 7005) for _ in range(DIALS_MAX)]
        refused("limit", place.dial, "127.0.0.1", 7005)
        socks.pop().close()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            # The end of one has to come through first.
            try:
                socks.append(place.dial("127.0.0.1", 7005))
                break
            except Exception as error:  # pylint: disable=broad-except
                require(getattr(error, "code", "") == "limit" and time.monotonic() < deadline, error)
        for sock in socks:
            sock.sendall(b"y")
            require(sock.recv(1) == b"y", "one of many does not work")
            sock.close()


def run(place, report):
    place.control.call("network.set", interface="lo", addresses=["127.0.0.1/8", "::1/128"])
    for function in (both_ways, ends_with_the_server, broken_off, refusals, too_many):
        report.case(function.__name__, function, place)
