#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, broken or hostile: the API answers others, the guest runs, memory is bounded."""
import json
import pathlib
import random
import resource
import socket
import time

import e2e
import serve
from client import connect
from serve import Server, boot_source, status_of

# What the process may grow by while it is abused: connections and their buffers, a heap that is not
# given back. A leak of a kilobyte a connection would be several times this.
GROWTH_KIB = 16384
GET = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"


def read_all(one, patience=None):
    """Until the other side closes or nothing comes any more."""
    data = b""
    one.settimeout(patience or e2e.PATIENCE_S)
    try:
        while more := one.recv(65536):
            data += more
    except (TimeoutError, ConnectionError):
        pass
    return data


def read_answers(one, count):
    """So many answers to GET /version."""
    data = b""
    while data.count(b"firecracker_version") < count:
        more = one.recv(65536)
        if not more:
            raise e2e.Failure(f"closed after {data.count(b'firecracker_version')} of {count} answers")
        data += more
    return data


def send(one, data):
    """As much as it takes."""
    try:
        one.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


class Abused(Server):
    """A server with a guest that ticks; afterwards both must be well."""

    def __init__(self, *options):
        super().__init__(*options)
        try:
            self.start(args="tick")
            self.ticks(1)
            self.before_kib = self.resident_kib()
        except BaseException:
            self.__exit__()
            raise

    def well(self):
        client = self.client()
        e2e.require(client.get("/")["state"] == "Running", "not Running")
        self.ticks(2)
        grown = self.resident_kib() - self.before_kib
        e2e.require(grown < GROWTH_KIB, f"grew by {grown} KiB")

    def raw(self):
        return connect(self.socket)


def test_garbage():
    """Whatever the bytes: an error or a closed connection, never an answer of success."""
    head = b"PUT /machine-config HTTP/1.1\r\nHost: x\r\n"
    inputs = [
        b"\0" * 100, b"\r\n" * 1000, b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n",
        b"A" * 100000, b"GET / HTTP/1.1\r\nX: " + b"x" * 100000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
        head + b"Content-Length: -1\r\n\r\n{}", head + b"Content-Length: x\r\n\r\n{}",
        head + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
        head + b"Content-Length: 51201\r\n\r\n" + b" " * 51201,
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
    ]
    chance = random.Random(7)
    inputs += [chance.randbytes(chance.randrange(1, 2000)) for _ in range(50)]
    with Abused() as server:
        for data in inputs:
            with server.raw() as one:
                send(one, data)
                one.shutdown(socket.SHUT_WR)
                status = status_of(read_all(one))
                e2e.require(status is None or 400 <= status < 600, f"{data[:60]!r}: {status}")
        server.well()


def test_bodies_of_all_sizes():
    with Abused() as server:
        # Up to the limit it is read, and refused as what it is; beyond, refused for its size.
        for size in (51200, 51201, 60000, 200000, 5 << 20):
            client = server.client()
            body = json.dumps(boot_source(args="x")).encode()
            body += b" " * (size - len(body))
            try:
                client.refused("PUT", "/boot-source", body)
            except e2e.Failure as failure:
                # The server may close while we still send: the answer is then lost with the rest.
                if size <= 51201 or not any(word in str(failure) for word in ("BrokenPipe", "Reset")):
                    raise
            client.close()
        server.well()


def test_limit_is_exact():
    with Server() as server:
        body = json.dumps(boot_source()).encode()
        server.api.put("/boot-source", body + b" " * (51200 - len(body)))
        server.client().refused("PUT", "/boot-source", body + b" " * (51201 - len(body)))


def test_expect_continue():
    """What curl sends with a long body; a long one is refused before it comes."""
    with Server() as server:
        body = json.dumps(boot_source()).encode()
        with connect(server.socket) as one:
            one.sendall(b"PUT /boot-source HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            one.settimeout(2)
            try:
                first = one.recv(65536)
            except TimeoutError:
                first = b""
            one.settimeout(e2e.PATIENCE_S)
            one.sendall(body)
            answer = first.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n") or one.recv(65536)
            e2e.require(status_of(answer) == 204, f"{first!r} {answer!r}")
        with connect(server.socket) as one:
            one.sendall(b"PUT /boot-source HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                        b"Content-Length: 60000\r\n\r\n")
            e2e.require(status_of(one.recv(65536)) in (400, 413, 417), "a long body was asked for")


def test_chunked():
    """Either taken as a body or refused: never half of it."""
    body = json.dumps({"vcpu_count": 2, "mem_size_mib": 64}).encode()
    with Server() as server:
        with connect(server.socket) as one:
            one.sendall(b"PUT /machine-config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for byte in body:
                one.sendall(b"1\r\n%c\r\n" % byte)
            one.sendall(b"0\r\n\r\n")
            status = status_of(one.recv(65536))
        wanted = {204: 2, 400: 1}.get(status)
        e2e.require(server.api.get("/machine-config")["vcpu_count"] == wanted, f"{status}")
        with connect(server.socket) as one:
            send(one, b"PUT /machine-config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(100):
                send(one, b"1000\r\n" + b" " * 4096 + b"\r\n")
            send(one, b"0\r\n\r\n")
            status = status_of(read_all(one, 5))
            e2e.require(status in (None, 400, 413), f"400 KiB in chunks: {status}")
        server.api.get("/")


def test_pipelined():
    with Abused() as server:
        with server.raw() as one:
            one.sendall(GET * 50)
            read_answers(one, 50)
        # More than fits any buffer, and answers that nobody reads for a while.
        with server.raw() as one:
            one.settimeout(0.2)
            sent = 0
            try:
                for _ in range(20000):
                    one.sendall(GET)
                    sent += 1
            except TimeoutError:
                pass
            server.client().get("/")
            server.ticks(1)
            one.settimeout(e2e.PATIENCE_S)
            read_answers(one, min(sent, 100))
        server.well()


def test_cut_in_pieces():
    """A request may come in any pieces."""
    body = json.dumps({"vcpu_count": 2, "mem_size_mib": 64}).encode()
    request = (b"PUT /machine-config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    with Server() as server:
        for size in (1, 7, len(request) - 1):
            with connect(server.socket) as one:
                for at in range(0, len(request), size):
                    one.sendall(request[at:at + size])
                    time.sleep(0.001)
                e2e.require(status_of(one.recv(65536)) == 204, f"pieces of {size}")


def test_slow_clients():
    """One byte a second each: others are answered meanwhile, and the guest runs."""
    request = b"PUT /actions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
    with Abused() as server:
        slow = [server.raw() for _ in range(20)]
        for at in range(4):
            for one in slow:
                send(one, request[at:at + 1])
            for _ in range(5):
                server.api.get("/")
                time.sleep(0.2)
        # Those who send the head and keep the body back.
        for one in slow:
            send(one, request[4:] + b"{")
        server.client().get("/vm/config")
        server.ticks(2)
        for one in slow:
            one.close()
        server.well()


def test_a_request_that_never_ends():
    """However it trickles in: it is given up, and the connection closed."""
    endless = (b"GET /version HTTP/1.1\r\nX: ",
               b"PUT /machine-config HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n{")
    with Abused() as server:
        held = [server.raw() for _ in endless]
        for one, begin in zip(held, endless):
            one.sendall(begin)
            one.settimeout(0.25)
        deadline = time.monotonic() + e2e.PATIENCE_S
        while held:
            e2e.require(time.monotonic() < deadline, f"{len(held)} still open")
            for one in list(held):
                try:
                    one.sendall(b" ")
                    answer = one.recv(4096)
                    e2e.require(status_of(answer) in (None, 400, 408), f"{answer}")
                except TimeoutError:
                    continue
                except ConnectionError:
                    pass
                one.close()
                held.remove(one)
        server.well()


def test_dropped_in_the_middle():
    request = (b"PUT /boot-source HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b'Content-Length: 1000\r\n\r\n{"kernel_image_path": "')
    with Abused() as server:
        for round_ in range(5):
            for length in range(1, len(request), 7):
                with server.raw() as one:
                    one.sendall(request[:length])
            for _ in range(50):  # answers that nobody waits for
                with server.raw() as one:
                    one.sendall(GET * (1 + round_))
        server.well()


def test_many_connections():
    """Two thousand, one after the other and as many at once as we may open."""
    with Abused() as server:
        for _ in range(2000):
            with server.raw() as one:
                one.sendall(GET)
                e2e.require(status_of(one.recv(4096)) == 200, "refused")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(2000, hard - 100)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
        held, refused = [], 0
        try:
            for number in range(count):
                try:
                    one = connect(server.socket, 1)
                except OSError:  # the queue of those who wait is full: a bound, too
                    refused += 1
                    if refused > 20:
                        break
                    continue
                held.append(one)
                send(one, GET[:number % len(GET)])
            server.ticks(2)
        finally:
            for one in held:
                one.close()
        e2e.require(len(held) > 10, f"only {len(held)} connections")
        server.well()


def test_connections_do_not_leak():
    with Abused() as server:
        def descriptors():
            return len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))
        before = descriptors()
        for _ in range(300):
            with server.raw() as one:
                send(one, b"garbage\r\n\r\n")
        for _ in range(100):
            server.client().get("/version")
        for client in server.clients[1:]:
            client.close()
        deadline = time.monotonic() + e2e.PATIENCE_S
        while descriptors() > before + 2:
            e2e.require(time.monotonic() < deadline, f"{descriptors()} descriptors, {before} before")
            time.sleep(0.1)
        server.well()


def test_one_who_fills_up_does_not_shut_out_the_rest():
    """With every place taken by idle connections, a newcomer is served within a bounded time."""
    with Abused() as server:
        held = []
        try:
            for _ in range(200):
                try:
                    held.append(connect(server.socket, 0.5))
                except OSError:
                    break
            client = server.client()
            client.get("/")
        finally:
            for one in held:
                one.close()
        server.well()


serve.need_serve()
e2e.main(globals())
