#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`husk serve` on a host that gives little: few descriptors, small files, shared files, odd files, a filter that kills."""
import os
import platform
import signal
import tempfile
import time

import e2e
import serve
import traced
from client import connect
from serve import Server, boot_source, drive, guest_path

# Of x86-64: the last call before `husk serve` waits for clients, and one that its filter has not.
LISTEN, FORK = 50, 57


def with_limit(option, number):
    return "sh", "-c", f'ulimit {option} {number}; exec "$@"', "sh"


def test_few_descriptors():
    """Idle connections, more than there are descriptors for, shut out neither the next client nor the guest."""
    with Server(prefix=with_limit("-n", 64)) as server:
        held = []
        try:
            for _ in range(100):
                held.append(connect(server.socket))
            client = server.client()
            client.put("/boot-source", boot_source())
            client.action("InstanceStart")
            server.expect("ready")
        finally:
            for one in held:
                one.close()
        server.client().get("/version")
        server.ticks(1)


def test_hardly_any_descriptors():
    """What is closed is open to others again."""
    with Server(prefix=with_limit("-n", 32)) as server:
        for _ in range(3):
            held = [connect(server.socket) for _ in range(60)]
            for one in held:
                one.close()
            server.client().get("/version")
            server.clients.pop().close()


def test_limit_on_the_size_of_files():
    """The log ends there, the machine goes on."""
    with Server("--level", "Info", "--log-path", "log", prefix=with_limit("-f", 8)) as server:
        server.start(args="tick")
        for _ in range(100):
            server.api.get("/version")
        e2e.require((server.directory / "log").stat().st_size in (4096, 8192), "the limit was not met")
        server.ticks(1)


def test_output_in_one_file():
    """`>file 2>&1`, after others wrote there: nothing is written over."""
    with tempfile.TemporaryFile() as output:
        output.write(b"what was there before\n")
        output.flush()
        with Server("--level", "Info", stdout=output, prefix=("sh", "-c", 'exec "$@" 2>&1', "sh")) as server:
            server.configure()
            server.api.action("InstanceStart")
            deadline = time.monotonic() + e2e.PATIENCE_S
            while b"ready" not in os.pread(output.fileno(), 65536, 0):
                e2e.require(time.monotonic() < deadline, "the guest is silent")
                time.sleep(0.05)
            server.process.terminate()
            server.ended(serve.OK)
        said = os.pread(output.fileno(), 65536, 0).decode()
    lines = said.splitlines()
    e2e.require(lines[0] == "what was there before", f"written over: {said!r}")
    for words in ("Running husk", '"/boot-source"', "ready", "exit_code=0"):
        e2e.require(any(words in line for line in lines), f"{words!r} is not in {said!r}")


def test_files_of_the_wrong_kind():
    """Told by the request that names them; what was set before stays."""
    with Server() as server:
        server.configure()
        os.mkfifo(server.directory / "fifo")
        for path in ("fifo", "/dev/null", "/"):
            server.api.refused("PUT", "/boot-source", {"kernel_image_path": path}, "regular file", path)
            server.api.refused("PUT", "/boot-source", {**boot_source(), "initrd_path": path}, "regular file", path)
            server.api.refused("PUT", "/drives/a", drive("a", path, is_read_only=True), "regular file", path)
        config = server.api.get("/vm/config")
        e2e.require(config["boot-source"]["kernel_image_path"] == guest_path("served"), f"{config}")
        e2e.require(config["drives"] == [], f"{config}")


def test_config_from_a_pipe():
    """Read as a file is; with nobody at its other end there is nothing to wait for."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "fifo")
        os.mkfifo(path)
        with Server("--config-file", path, wait=False) as server:
            server.finish_badly((path,))
        ends = os.pipe()
        with os.fdopen(ends[0]) as read_end, os.fdopen(ends[1], "w") as write_end:
            write_end.write('{"boot-source": {"kernel_image_path": "' + guest_path("served") + '"}, ')
            write_end.flush()
            with Server("--config-file", "/dev/stdin", stdin=read_end, wait=False) as server:
                time.sleep(0.2)
                write_end.write('"drives": []}')
                write_end.close()
                server.expect("ready")


def test_paths_are_not_unescaped():
    """An escape in a path never means another path."""
    with Server() as server:
        for path in ("/version%00", "/version%00/x", "/%76ersion", "/vm%2fconfig"):
            server.api.refused("GET", path)


def test_forbidden_system_call():
    """The process dies of SIGSYS, whatever thread it was: a supervisor sees the signal, a shell 159."""
    if platform.machine() != "x86_64" or e2e.is_sanitized():
        print("skipped: test_forbidden_system_call: needs x86-64, and a build without sanitizers")
        return
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as output:
        process = traced.Traced([str(e2e.HUSK), "serve", "--api-sock", f"{directory}/socket"], output.fileno())
        while process.step() and process.number() != LISTEN:
            pass
        process.step()  # the return
        process.step()  # the next entry
        process.become(FORK)
        found = process.finish()
        output.seek(0)
        e2e.require(found == -signal.SIGSYS, f"{found}: {output.read()!r}")


serve.need_serve()
e2e.main(globals())
