#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux on virtio-vsock: streams between programs of host and guest, each side connecting once, with
a host program that is slow; compared by checksum."""
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time

from husktest import Failure, POWER_OFF, Result, Tests, any_kernel, pattern

SIZE = 2 << 20
DATA = pattern(9, SIZE)
DIGEST = f"{SIZE} {hashlib.sha256(DATA).hexdigest()}"
PATIENCE_S = 250


class Program(threading.Thread):
    """A host program: a function whose result, or error, is looked at later."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.function, self.arguments = function, arguments
        self.result = None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.arguments)
        except OSError as error:
            self.result = error

    def expect(self, result):
        self.join(60)
        if self.result != result:
            raise Failure(f"the host program's result is {self.result!r}, not {result!r}")


def receive_all(connection, pause_s=0.0):
    digest, count = hashlib.sha256(), 0
    with connection:
        time.sleep(pause_s)
        while data := connection.recv(1 << 16):
            digest.update(data)
            count += len(data)
    return f"{count} {digest.hexdigest()}"


def listen(path, port):
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(PATIENCE_S)
    listener.bind(f"{path}_{port}")
    os.chmod(f"{path}_{port}", 0o777)
    listener.listen()
    return listener


def accept_and_receive(listener):
    connection, _ = listener.accept()
    return receive_all(connection, pause_s=1)


def connect(path, port):
    """As soon as somebody in the guest listens."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(str(path))
            connection.sendall(b"CONNECT %d\n" % port)
            answer = b""
            while not answer.endswith(b"\n") and (byte := connection.recv(1)):
                answer += byte
            if answer.startswith(b"OK "):
                return connection
        except OSError:
            pass  # there is no machine yet, or it has just refused
        connection.close()
        time.sleep(0.2)
    raise OSError(f"nobody listens on port {port}")


def connect_and_send(path, port):
    with connect(path, port) as connection:
        connection.sendall(DATA)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1)  # until the guest has everything


def connect_and_receive(path, port):
    return receive_all(connect(path, port), pause_s=1)


def streams(tests):
    directory = tests.path / "sockets"
    directory.mkdir()
    os.chmod(tests.path, 0o755)  # a jailed VM of root's runs as somebody else
    os.chmod(directory, 0o755)
    path = directory / "v"
    receiver = Program(accept_and_receive, listen(path, 7001))
    sender = Program(connect_and_send, path, 7002)
    client = Program(connect_and_receive, path, 7003)
    commands = (f"vsock-refused:7000,vsock-send:7001:9:{SIZE},vsock-recv:7002,"
                f"vsock-serve:7003:9:{SIZE}")
    process = subprocess.run(tests.command(any_kernel(), commands, "--vsock", f"cid=52,path={path}"),
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=400, check=False)
    result = Result(process.returncode, process.stdout.decode(errors="replace"),
                    process.stderr.decode(errors="replace"))
    result.expect_status(POWER_OFF)
    result.expect("vsock-refused", "7000")
    for name in ("vsock-send", "vsock-recv", "vsock-serve"):
        result.expect(name, DIGEST)
    receiver.expect(DIGEST)
    sender.expect(b"")
    client.expect(DIGEST)
    if path.exists():
        raise Failure("the socket is still there")


def main():
    with Tests() as tests:
        tests.case("streams both ways", streams, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
