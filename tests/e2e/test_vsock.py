#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""virtio-vsock: a guest and host programs that connect to each other through unix sockets."""
import os
import pathlib
import socket
import tempfile
import threading
import time

import e2e

CID = 52
LISTEN_PORT = 1234


class Sockets:
    """A directory for the sockets, and a program that echoes what the guest sends to host port 52."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        os.chmod(self.directory.name, 0o755)  # a jailed VM of root's runs as somebody else
        self.path = pathlib.Path(self.directory.name) / "v"
        self.options = ("--vsock", f"cid={CID},path={self.path}")
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def start_echo(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.path}_52")
        os.chmod(f"{self.path}_52", 0o777)
        self.listener.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            program, _ = self.listener.accept()
            try:
                while data := program.recv(65536):
                    program.sendall(data)
                program.sendall(b"done")
            except OSError:
                pass  # the hostile guest's connection is reset
            program.close()

    def connect(self):
        program = socket.socket(socket.AF_UNIX)
        program.settimeout(e2e.PATIENCE_S)
        program.connect(str(self.path))
        return program

    def wait_until_stale(self):
        """The VM's own process ends a little later than the command that was killed."""
        deadline = time.monotonic() + e2e.PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.connect().close()
            except ConnectionRefusedError:
                return
            time.sleep(0.02)
        raise e2e.Failure("somebody still listens")

    def connect_to(self, port):
        program = self.connect()
        program.sendall(b"CONNECT %d\n" % port)
        return program


def read_exactly(program, count):
    data = b""
    while len(data) < count:
        more = program.recv(count - len(data))
        e2e.require(more, f"ended after {data!r}")
        data += more
    return data


def read_answer(program):
    line = b""
    while not line.endswith(b"\n"):
        line += read_exactly(program, 1)
    e2e.require(line.startswith(b"OK "), f"answer {line!r}")
    return int(line[3:])


def test_guest_connects_out():
    with Sockets() as sockets:
        sockets.start_echo()
        e2e.run("vsock", f"cid={CID} do=out", *sockets.options)
        e2e.require(not sockets.path.exists(), "the socket is still there")


def test_hostile_guest():
    with Sockets() as sockets:
        sockets.start_echo()
        e2e.run("vsock", f"cid={CID} do=hostile bytes=20000", *sockets.options)


def test_host_connects_in():
    with Sockets() as sockets, e2e.Machine("vsock", f"cid={CID} do=in", *sockets.options) as machine:
        machine.expect("listening")
        refused = sockets.connect_to(LISTEN_PORT + 1)
        e2e.require(refused.recv(100) == b"", "a port without a listener answers")
        programs = [sockets.connect_to(LISTEN_PORT) for _ in range(4)]
        ports = {read_answer(program) for program in programs}
        e2e.require(len(ports) == 4, f"host ports {ports}")
        for round_ in range(10):
            for number, program in enumerate(programs):
                text = f"round {round_} of {number}".encode() * 50
                program.sendall(text)
                e2e.require(read_exactly(program, len(text)) == text, "the echo is another")
        for program in programs[1:]:
            program.close()
        again = sockets.connect_to(LISTEN_PORT)
        read_answer(again)
        again.sendall(b"quit")
        machine.finish()
        e2e.require(read_exactly(again, 4) == b"quit", "the last words are lost")
        e2e.require(programs[0].recv(1) == b"", "a connection outlives the machine")


def test_bad_clients():
    """They are closed, and harm nobody."""
    with Sockets() as sockets, e2e.Machine("vsock", f"cid={CID} do=in", *sockets.options) as machine:
        machine.expect("listening")
        for line in (b"CONNECT\n", b"CONNECT 99999999999\n", b"HELLO\n", b"x" * 1000, b"\0" * 30):
            program = sockets.connect()
            program.sendall(line)
            try:
                e2e.require(program.recv(100) == b"", f"{line!r} is answered")
            except ConnectionResetError:
                pass  # it had said more than was read
        silent = [sockets.connect() for _ in range(20)]
        program = sockets.connect_to(LISTEN_PORT)
        read_answer(program)
        program.sendall(b"quit")
        machine.finish()
        for client in silent:
            client.close()


def refused(*options):
    with e2e.Machine("exit", "", *options) as machine:
        machine.finish(e2e.MONITOR_ERROR)
        return machine.error_text()


def test_socket_in_use():
    with Sockets() as sockets:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(sockets.path))
            other.listen()
            error = refused(*sockets.options)
            e2e.require(str(sockets.path) in error and "another process listens" in error, error)
            e2e.require(sockets.path.exists(), "another process's socket was removed")
        # Now nobody listens there any more.
        sockets.start_echo()
        e2e.run("vsock", f"cid={CID} do=out bytes=1000", *sockets.options)


def test_other_file():
    with Sockets() as sockets:
        sockets.path.write_text("mine", encoding="utf-8")
        error = refused(*sockets.options)
        e2e.require("a file of this name exists" in error, error)
        e2e.require(sockets.path.read_text(encoding="utf-8") == "mine", "the file was changed")


def test_killed_husk_leaves_a_socket_that_is_replaced():
    with Sockets() as sockets:
        with e2e.Machine("vsock", f"cid={CID} do=in", *sockets.options) as machine:
            machine.expect("listening")
        e2e.require(os.path.exists(sockets.path), "the socket has gone")
        sockets.wait_until_stale()
        sockets.start_echo()
        e2e.run("vsock", f"cid={CID} do=out bytes=1000", *sockets.options)


e2e.need_kvm()
e2e.main(dict(globals()))
