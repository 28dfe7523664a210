#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nobody reads the console, the disk is full: the machine goes on."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

import e2e
import serve
from serve import Server

LINES = 8000  # about 350 KiB: more than the pipes and rings on the way take
FEWER = 2000  # where 64 KiB are too much

# A guest that is emulated instruction by instruction says 30 KiB a second on a quiet host.
e2e.PATIENCE_S = 300


def test_console_that_nobody_reads():
    with Server() as server:
        server.start("flood", f"lines={LINES}", ready=None)
        for _ in range(20):
            if server.process.poll() is not None:
                break
            server.api.get("/")
            time.sleep(0.1)
        server.ended(serve.OK)


def test_console_that_is_read_late():
    """What is there is whole lines of the guest, the first ones without a gap."""
    with Server() as server:
        server.start("flood", "lines=300", ready=None)
        server.expect("line 0 of")
        server.expect("line 299 of")
        server.expect("end of the flood")


def test_console_that_is_closed():
    with Server(stdout=subprocess.DEVNULL) as server:
        server.start("flood", f"lines={FEWER}", ready=None)
        server.ended(serve.OK)


def full_disk_prefix(path):
    """Runs a command with a tmpfs of 64 KiB at this path, which only it sees."""
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c",
            f"mount -t tmpfs -o size=64k none '{path}' && exec \"$@\"", "sh")


def full_disks_missing():
    with tempfile.TemporaryDirectory() as directory:
        try:
            result = subprocess.run([*full_disk_prefix(directory), "true"], capture_output=True, text=True,
                                    check=False)
        except OSError as error:
            return str(error)
        return result.stderr.strip() if result.returncode else None


def on_full_disk(function):
    reason = full_disks_missing()
    if reason:
        print(f"skipped: {function.__name__}: no tmpfs in a mount namespace: {reason}")
        return
    with tempfile.TemporaryDirectory() as directory:
        small = os.path.join(directory, "small")
        os.mkdir(small)
        with Server(directory=directory, prefix=full_disk_prefix(small)) as server:
            function(server, small)


def inside(server, small, name):
    """A file as the server sees it."""
    return pathlib.Path(f"/proc/{server.process.pid}/root{small}/{name}")


def test_log_on_a_full_disk():
    def check(server, small):
        server.api.put("/logger", {"log_path": f"{small}/log", "level": "Debug", "show_level": True})
        server.start(args="tick")
        log = inside(server, small, "log")
        for number in range(2000):
            server.api.request("GET", f"/nothing{'x' * 100}{number}")
        e2e.require(60000 <= log.stat().st_size <= 65536, f"the log has {log.stat().st_size} bytes")
        server.ticks(2)
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
    on_full_disk(check)


def test_metrics_on_a_full_disk():
    def check(server, small):
        server.api.put("/metrics", {"metrics_path": f"{small}/metrics"})
        server.start(args="tick")
        for _ in range(200):
            server.api.request("PUT", "/actions", {"action_type": "FlushMetrics"})
        server.ticks(2)
        path = inside(server, small, "metrics")
        size = path.stat().st_size
        e2e.require(size <= 65536, f"{size} bytes of metrics")
        for line in path.read_text(encoding="utf-8").splitlines()[:-1]:
            json.loads(line)
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
    on_full_disk(check)


def test_console_on_a_full_disk():
    def check(server, small):
        server.api.put("/serial", {"serial_out_path": f"{small}/console"})
        server.start("flood", f"lines={FEWER}", ready=None)
        server.finish(serve.OK)
    on_full_disk(check)


serve.need_serve()
e2e.main(globals())
