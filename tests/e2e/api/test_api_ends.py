#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How `husk serve` begins and ends: its options, its socket file, its exit statuses, signals."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import e2e
import serve
from client import connect
from serve import Server, boot_source


def refused(status, *options, says=()):
    """A command line that must be refused."""
    with Server(*options, wait=False) as server:
        server.finish(status)
        text = server.error_text()
        for word in says:
            e2e.require(word in text, f"{options}: {word!r} is not in {text!r}")


def test_guest_ends():
    """Whatever way the guest ends by itself, a supervisor sees 0, as with Firecracker."""
    for args in ("do=keyboard", "do=reset", "do=poweroff", "do=triple"):
        with Server() as server:
            server.start("reset", args)
            server.finish(serve.OK)
            e2e.require(not server.socket.exists(), f"{args}: the socket is still there")


def test_signals_before_boot():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Server() as server:
            server.process.send_signal(number)
            server.finish(serve.OK)
            e2e.require(not server.socket.exists(), f"{number.name}: the socket is still there")


def test_signals_while_it_runs():
    for number, guest, args in ((signal.SIGTERM, "reset", "do=spin"), (signal.SIGINT, "served", "tick"),
                                (signal.SIGHUP, "reset", "do=halt")):
        with Server() as server:
            server.start(guest, args)
            server.process.send_signal(number)
            server.finish(serve.OK)


def test_signal_while_paused():
    with Server() as server:
        server.start(args="tick")
        server.api.patch("/vm", {"state": "Paused"})
        server.process.terminate()
        server.finish(serve.OK)


def test_reader_of_the_console_goes():
    """SIGPIPE must not end the machine."""
    with Server() as server:
        server.start(args="tick")
        server.out.close()
        server.process.stdout = None
        for _ in range(20):
            e2e.require(server.api.get("/")["state"] == "Running", "not Running")
            time.sleep(0.05)
        server.api.action("SendCtrlAltDel")
        server.ended(serve.OK)


def test_console_dialogue():
    """Standard input is the guest's keyboard, as with Firecracker."""
    with Server(stdin=subprocess.PIPE) as server:
        server.start("uart", "", ready=None)
        server.expect("type: polled")
        server.send("a polled line\n")
        server.expect("got: a polled line")
        server.expect("type: interrupts")
        server.send("a line by interrupts\n")
        server.expect("got: a line by interrupts")
        server.finish(serve.OK)


def test_command_line():
    refused(serve.ARGUMENTS, "--no-such-flag", says=("no-such-flag",))
    refused(serve.ARGUMENTS, "--http-api-max-payload-size", "many", says=("http-api-max-payload-size",))
    refused(serve.ARGUMENTS, "--id", "bad/id", says=("id",))
    refused(serve.ARGUMENTS, "--no-api", says=("no-api",))
    for option in ("--version", "--snapshot-version"):
        result = subprocess.run([e2e.HUSK, "serve", option], capture_output=True, text=True, check=False)
        if option == "--version":
            e2e.require(result.returncode == 0 and result.stdout.strip(), f"{option}: {result}")


def test_id():
    with Server("--id", "vm-7") as server:
        e2e.require(server.api.get("/")["id"] == "vm-7", "the id is another")
    with Server() as server:
        e2e.require(server.api.get("/")["id"] == "anonymous-instance", "the default id is another")


def test_sdk_flags():
    """What the SDK and the jailer add to the command line."""
    with Server("--id", "551e7604-e35c-42b3-b825-416853441234", "--no-seccomp", "--start-time-us", "1",
                "--start-time-cpu-us", "1", "--parent-cpu-time-us", "1", "--boot-timer", "--level", "Debug",
                "--show-level", "--show-log-origin") as server:
        server.start(args="tick")


def test_pci():
    """Devices are where the flag says; words that hide the bus are noticed."""
    for flags, bus in (((), "virtio-mmio"), (("--enable-pci",), "PCI")):
        with Server(*flags, "--level", "Warn") as server:
            server.api.put("/drives/d", serve.drive("d", server.disk("d", "D", 9)))
            server.start(args="pci=off", ready=f"bus: {bus}")
            e2e.require("disk 0: 9 sectors, rw, D" in server.output, server.output)
            e2e.require(("pci=off" in server.error_text()) == bool(flags), server.error_text())


def test_payload_limit():
    with Server("--http-api-max-payload-size", "300") as server:
        server.api.put("/boot-source", boot_source())
        server.api.refused("PUT", "/boot-source", boot_source(args="x" * 300))
        server.client().get("/version")


def test_stale_socket_is_replaced():
    with Server() as server:
        server.start(args="tick")
        server.process.kill()
        server.process.wait()
        e2e.require(server.socket.exists(), "this test needs the socket file to stay")
        with Server(directory=server.directory) as second:
            second.start(args="tick")


def test_socket_in_use_is_not():
    with Server() as server:
        with Server(directory=server.directory, wait=False) as second:
            second.finish(serve.ERROR)
            e2e.require("api.socket" in second.error_text(), "the message names no socket")
        server.start(args="tick")


def test_other_file_is_not_replaced():
    directory = tempfile.TemporaryDirectory()
    path = os.path.join(directory.name, "api.socket")
    with open(path, "w", encoding="ascii") as out:
        out.write("precious")
    with Server(directory=directory.name, wait=False) as server:
        server.finish(serve.ERROR)
        e2e.require("api.socket" in server.error_text(), "the message names no file")
    with open(path, encoding="ascii") as text:
        e2e.require(text.read() == "precious", "the file was changed")


def test_nobody_else_may_connect():
    with Server() as server:
        mode = server.socket.stat().st_mode
        e2e.require(not mode & 0o022, f"others may write to the socket: {mode:o}")


def test_config_file():
    directory = tempfile.TemporaryDirectory()
    root, extra = (serve.make_disk(pathlib.Path(directory.name) / name, name, 80) for name in "RE")
    path = os.path.join(directory.name, "config.json")
    write_json(path, {
        "boot-source": boot_source(),
        "drives": [serve.drive("extra", extra), serve.drive("root", root, root=True)],
        "machine-config": {"vcpu_count": 2, "mem_size_mib": 64},
        "network-interfaces": [],
    })
    with Server("--config-file", path, directory=directory.name) as server:
        server.expect("disk 0: 80 sectors, rw, R\n")
        server.expect("tick 1")
        e2e.require(server.api.get("/")["state"] == "Running", "not Running")
        e2e.require(server.api.get("/machine-config")["vcpu_count"] == 2, "vcpu_count")
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
    with Server("--config-file", path, "--no-api", directory=directory.name, api=False, wait=False) as server:
        server.expect("tick 2")
        e2e.require(not os.path.exists(server.socket), "there is a socket")
        server.process.terminate()
        server.finish(serve.OK)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as out:
        out.write(value if isinstance(value, str) else json.dumps(value))


def test_bad_config_files():
    good = {"boot-source": boot_source(), "drives": []}
    cases = (
        ("{", ()),
        ("[]", ()),
        ({}, ("boot-source",)),
        ({**good, "boot-sauce": {}}, ("boot-sauce",)),
        ({**good, "machine-config": {"vcpu_count": 0, "mem_size_mib": 64}}, ("vcpu_count",)),
        ({**good, "machine-config": {"vcpu_count": 1}}, ("mem_size_mib",)),
        ({**good, "drives": [{"drive_id": "a", "path_on_host": "/nonexistent", "is_root_device": False}]},
         ("/nonexistent",)),
        ({**good, "drives": {}}, ("drives",)),
        ({**good, "boot-source": {"kernel_image_path": "/no/such/kernel"}}, ("/no/such/kernel",)),
        ({**good, "boot-source": {**good["boot-source"], "extra": 1}}, ("extra",)),
    )
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "config.json")
        for value, words in cases:
            write_json(path, value)
            with Server("--config-file", path, wait=False) as server:
                server.finish_badly(words)


def test_missing_config_file():
    with Server("--config-file", "/no/such/file", wait=False) as server:
        server.finish_badly(("/no/such/file",))


def test_round_trip():
    """GET /vm/config is a configuration file that gives the same machine."""
    limits = {"bandwidth": {"size": 1 << 20, "one_time_burst": None, "refill_time": 100},
              "ops": {"size": 500, "one_time_burst": 20, "refill_time": 1000}}
    with Server() as server:
        api = server.api
        api.put("/machine-config", {"vcpu_count": 2, "mem_size_mib": 96, "track_dirty_pages": True, "smt": True})
        api.put("/boot-source", boot_source())
        api.put("/drives/two", serve.drive("two", server.disk("two", "2"), io_engine="Sync",
                                           cache_type="Writeback", rate_limiter=limits))
        api.put("/drives/root", {**serve.drive("root", server.disk("root", "R", 90), root=True),
                                 "is_read_only": True})
        api.put("/entropy", {"rate_limiter": {"bandwidth": limits["bandwidth"]}})
        api.put("/vsock", {"guest_cid": 7, "uds_path": str(server.directory / "v.sock")})
        config = api.get("/vm/config")
        path = server.directory / "config.json"
        write_json(path, config)
        with Server("--config-file", path) as second:
            second.expect("disk 0: 90 sectors, ro, R\n")
            second.expect("disk 1: 64 sectors, rw, 2\n")
            second.expect("vsock: cid 7\n")
            second.expect("tick 1")
            again = second.api.get("/vm/config")
            e2e.require(normal(again) == normal(config), f"{again}\nis not\n{config}")


def normal(config):
    """null and absent are the same."""
    if isinstance(config, dict):
        return {key: normal(value) for key, value in config.items() if value is not None}
    if isinstance(config, list):
        return [normal(value) for value in config]
    return config


def test_open_connections_do_not_keep_it():
    with Server() as server:
        idle = [connect(server.socket) for _ in range(5)]
        idle[0].sendall(b"PUT /boot-source HTTP/1.1\r\nContent-Le")
        server.start(args="tick")
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
        for one in idle:
            one.close()


serve.need_serve()
e2e.main(globals())
