#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The log and the metrics: what is in them, where they go, and that nobody waits for them."""
import fcntl
import json
import os
import pathlib
import re
import select
import tempfile
import time

import e2e
import serve
from serve import Server, boot_source, drive

F_SETPIPE_SZ = 1031


def lines_of(path):
    """The metrics in a file: each line is one JSON object, complete."""
    text = path.read_text(encoding="utf-8")
    e2e.require(not text or text.endswith("\n"), "the last line is not complete")
    found = [json.loads(line) for line in text.splitlines()]
    e2e.require(all(isinstance(line, dict) for line in found), "a line is no object")
    return found


def numbers(value, path=()):
    """(path, number) of all in an object of objects; anything else in it is a failure."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from numbers(inner, (*path, name))
        elif isinstance(inner, int) and not isinstance(inner, bool):
            yield ".".join((*path, name)), inner
        else:
            raise e2e.Failure(f"{'.'.join((*path, name))} is {inner!r}")


def test_metrics_lines():
    with Server("--id", "watched") as server:
        path = server.directory / "metrics"
        server.api.put("/metrics", {"metrics_path": str(path)})
        server.api.refused("PUT", "/metrics", {"metrics_path": str(path)})
        server.api.put("/drives/data", drive("data", server.disk("d", "D")))
        server.start(args="tick")
        server.api.action("FlushMetrics")
        server.api.refused("PUT", "/boot-source", boot_source())
        server.api.action("FlushMetrics")
        server.ticks(2)
        server.api.action("FlushMetrics")
        found = lines_of(path)
        e2e.require(len(found) >= 3, f"{len(found)} lines after three flushes")
        flat = [dict(numbers(line)) for line in found]
        for line in flat:
            e2e.require(abs(line["utc_timestamp_ms"] / 1000 - time.time()) < 3600, "utc_timestamp_ms")
        stamps = [line["utc_timestamp_ms"] for line in flat]
        e2e.require(stamps == sorted(stamps), "time goes backwards")
        last = flat[-1]
        groups = {name.split(".")[0] for name in last}
        for group in ("api_server", "block", "entropy", "logger", "seccomp", "uart", "vcpu"):
            e2e.require(group in groups, f"there is no {group}: {sorted(groups)}")
        e2e.require(any(name.startswith("block_data.") for name in last), "the drive has no group of its own")
        total = sum(line.get("block_data.read_count", 0) for line in flat)
        e2e.require(total >= 1, f"the guest read a sector: {last}")
        e2e.require(all(value >= 0 for value in last.values()), "a counter is negative")
        server.process.terminate()
        server.finish(serve.OK)
        e2e.require(len(lines_of(path)) > len(found), "no line at the end")


def test_metrics_name_the_instance():
    with Server("--id", "watched") as server:
        path = server.directory / "metrics"
        server.api.put("/metrics", {"metrics_path": str(path), "emit_id": True,
                                    "properties": {"zone": "a\"b", "rack": "7"}})
        server.start(args="tick")
        server.api.action("FlushMetrics")
        line = lines_of(path)[-1]
        e2e.require(line["id"] == "watched" and line["properties"] == {"zone": "a\"b", "rack": "7"}, f"{line}")


def test_metrics_by_flag():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "metrics"
        with Server("--metrics-path", str(path)) as server:
            server.start(args="tick")
            server.api.action("FlushMetrics")
            e2e.require(len(lines_of(path)) >= 1, "no line")
            server.api.refused("PUT", "/metrics", {"metrics_path": str(path)})


def test_metrics_that_cannot_be():
    with Server() as server:
        for path in ("/no/such/directory/m", str(server.directory)):
            server.api.refused("PUT", "/metrics", {"metrics_path": path}, path)
        server.start(args="tick")
        # Not configured: Firecracker's answer is 204, and nothing happens.
        server.api.request("PUT", "/actions", {"action_type": "FlushMetrics"})
        server.ticks(1)


EXPOSITION = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? '
                        r'[-+]?([0-9.]+([eE][-+]?[0-9]+)?|Inf|NaN)( [0-9]+)?')


def test_prometheus():
    with Server("--id", "watched") as server:
        def scrape():
            text = server.api.expect(200, "GET", "/metrics", headers={"Accept": "text/plain"}).text
            e2e.require(text.endswith("\n"), "the last line is not complete")
            series, types = {}, {}
            for line in text.splitlines():
                if line.startswith("# TYPE "):
                    name, kind = line.split()[2:4]
                    e2e.require(name not in types, f"two types of {name}")
                    e2e.require(kind in ("counter", "gauge", "histogram", "summary", "untyped"), line)
                    types[name] = kind
                elif line and not line.startswith("#"):
                    e2e.require(EXPOSITION.fullmatch(line), f"no sample: {line!r}")
                    name, value = line.split(" ")[0], float(line.split(" ")[1])
                    e2e.require(name not in series, f"{name} is there twice")
                    e2e.require(name.split("{")[0] in types, f"{name} has no type")
                    series[name] = value
            return series, types
        scrape()
        server.api.put("/drives/data", drive("data", server.disk("d", "D")))
        server.start(args="tick")
        first, types = scrape()
        e2e.require(len(first) > 10, f"only {len(first)} series")
        server.ticks(3)
        second, _ = scrape()
        for name, value in first.items():
            if types[name.split("{")[0]] == "counter":
                e2e.require(second.get(name, 0) >= value, f"{name} went back")
        e2e.require(any(second[name] > value for name, value in first.items()), "nothing counts")


def test_log_file():
    with Server("--id", "logged") as server:
        path = server.directory / "log"
        server.api.put("/logger", {"log_path": str(path), "level": "debug", "show_level": True,
                                   "show_log_origin": True})
        server.start(args="tick")
        server.api.refused("PUT", "/boot-source", {"kernel_image_path": "/no/such/\x1b[31mkernel\n"})
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
        text = path.read_text(encoding="utf-8")
        e2e.require(text.endswith("\n"), "the last line is not complete")
        for line in text.splitlines():
            e2e.require(line.isprintable(), f"not printable: {line!r}")
            e2e.require("logged" in line, f"a line does not name the instance: {line!r}")
        e2e.require("InstanceStart" in text or "/actions" in text, f"no request is logged: {text}")
        e2e.require(re.search(r"\b(INFO|DEBUG)\b", text, re.IGNORECASE), "no level is shown")


def test_log_is_appended_and_by_flag():
    with Server() as first:
        path = first.directory / "log"
        path.write_text("kept\n", encoding="ascii")
        with Server("--log-path", str(path), "--level", "Info") as server:
            server.start(args="tick")
        text = path.read_text(encoding="utf-8")
        e2e.require(text.startswith("kept\n") and len(text.splitlines()) > 1, f"{text!r}")


def test_log_level():
    sizes = []
    for level in ("Off", "Error", "Debug"):
        with Server() as server:
            path = server.directory / "log"
            server.api.put("/logger", {"log_path": str(path), "level": level})
            server.start(args="tick")
            for _ in range(5):
                server.api.get("/")
            sizes.append(path.stat().st_size)
    e2e.require(sizes[0] == 0 and sizes[1] <= sizes[2] > 0, f"sizes {sizes}")


def test_log_that_cannot_be():
    with Server() as server:
        for path in ("/no/such/directory/log", str(server.directory)):
            server.api.refused("PUT", "/logger", {"log_path": path}, path)
        server.start(args="tick")


def full_fifo(path):
    """A FIFO as small as can be that nobody reads; the descriptor keeps it open."""
    os.mkfifo(path, 0o600)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    fcntl.fcntl(fd, F_SETPIPE_SZ, 4096)
    return fd


def test_full_fifos_block_nobody():
    with Server() as server:
        log, metrics = server.directory / "log", server.directory / "metrics"
        log_fd, metrics_fd = full_fifo(log), full_fifo(metrics)
        server.api.put("/logger", {"log_path": str(log), "level": "Debug"})
        server.api.put("/metrics", {"metrics_path": str(metrics)})
        server.start(args="tick")
        for _ in range(100):
            server.api.get("/")
            server.api.request("PUT", "/actions", {"action_type": "FlushMetrics"})
        server.ticks(2)
        # Emptied, they are written to again, from the beginning of a line on.
        for fd in (log_fd, metrics_fd):
            os.set_blocking(fd, False)
            while select.select([fd], [], [], 0)[0]:
                os.read(fd, 65536)
        server.api.get("/")
        server.api.action("FlushMetrics")
        e2e.require(select.select([log_fd], [], [], e2e.PATIENCE_S)[0], "nothing is logged any more")
        e2e.require(select.select([metrics_fd], [], [], e2e.PATIENCE_S)[0], "no metrics any more")
        line = dict(numbers(json.loads(os.read(metrics_fd, 65536).splitlines()[-1])))
        e2e.require(line.get("logger.missed_log_count", 0) + line.get("logger.missed_metrics_count", 0) > 0,
                    "what was dropped is not counted")
        os.close(log_fd)
        os.close(metrics_fd)
        # Nobody reads any more: EPIPE is no reason to end either.
        for _ in range(10):
            server.api.get("/")
            server.api.request("PUT", "/actions", {"action_type": "FlushMetrics"})
        server.ticks(2)
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)


def test_fifo_without_a_reader():
    """Opening must not wait for one; what Firecracker then answers is an error or nothing."""
    with Server() as server:
        for path, name, key in (("/logger", "log", "log_path"), ("/metrics", "metrics", "metrics_path")):
            fifo = server.directory / name
            os.mkfifo(fifo)
            server.api.request("PUT", path, {key: str(fifo)})
        server.start(args="tick")
        server.ticks(1)


serve.need_serve()
e2e.main(globals())
