#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What may be done when: before the start, while it runs, while it is paused; pause and resume; updates."""
import threading
import time

import e2e
import serve
from serve import Server, boot_source, drive

PREBOOT_ONLY = (
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64}),
    ("PATCH", "/machine-config", {"mem_size_mib": 64}),
    ("PUT", "/cpu-config", {}),
    ("PUT", "/boot-source", boot_source()),
    ("PUT", "/vsock", {"guest_cid": 3, "uds_path": "late.sock"}),
    ("PUT", "/entropy", {}),
    ("PUT", "/serial", {}),
    ("PUT", "/logger", {"level": "Info"}),
    ("PUT", "/metrics", {"metrics_path": "late.metrics"}),
    ("PUT", "/actions", {"action_type": "InstanceStart"}),
)
NO_DEVICE = {"vfio_id": "two", "address": "ffff:ff:1f.7"}  # no host has it
POSTBOOT_ONLY = (
    ("PATCH", "/vm", {"state": "Paused"}),
    ("PATCH", "/vm", {"state": "Resumed"}),
    ("PUT", "/actions", {"action_type": "FlushMetrics"}),
    ("PUT", "/actions", {"action_type": "SendCtrlAltDel"}),
    ("PATCH", "/drives/one", {"drive_id": "one", "path_on_host": "other"}),
    ("PATCH", "/network-interfaces/eth0", {"iface_id": "eth0"}),
    ("DELETE", "/vfio/card", None),
)


def state(server):
    return server.api.get("/")["state"]


def test_post_boot_only():
    with Server() as server:
        server.api.put("/drives/one", drive("one", server.disk("one", "1")))
        for verb, path, body in POSTBOOT_ONLY:
            server.api.refused(verb, path, body, "before starting the microVM")
        e2e.require(state(server) == "Not started", "the state changed")


def test_pre_boot_only():
    with Server() as server:
        server.start(args="tick")
        before = server.api.get("/vm/config")
        for again in range(2):
            for verb, path, body in PREBOOT_ONLY:
                server.api.refused(verb, path, body, "after starting the microVM")
            if e2e.TRANSPORT == "mmio":
                two = drive("two", server.disk("two", "2"))
                server.api.refused("PUT", "/drives/two", two, "PCI is not enabled")
                server.api.refused("DELETE", "/drives/two", None, "PCI is not enabled")
                server.api.refused("PUT", "/network-interfaces/two", {"iface_id": "two", "host_dev_name": "vm0"},
                                   "PCI is not enabled")
                server.api.refused("DELETE", "/network-interfaces/two", None, "PCI is not enabled")
                server.api.refused("PUT", "/vfio/two", NO_DEVICE, "PCI is not enabled")
                server.api.refused("DELETE", "/vfio/two", None, "PCI is not enabled")
            if not again:
                server.api.patch("/vm", {"state": "Paused"})
        e2e.require(server.api.get("/vm/config") == before, "the configuration changed")
        server.api.patch("/vm", {"state": "Resumed"})
        server.ticks(2)


def test_a_failed_start_can_be_tried_again():
    with Server() as server:
        gone = server.disk("gone", "G")
        server.api.put("/drives/d", drive("d", gone))
        server.configure(args="tick")
        (server.directory / "gone").unlink()
        answer = server.api.request("PUT", "/actions", {"action_type": "InstanceStart"})
        if answer.status == 400:  # else it was opened when it was put, and serves on
            e2e.require("gone" in answer.fault, f"the fault names no file: {answer.fault}")
            e2e.require(state(server) == "Not started", "the state changed")
            server.api.put("/drives/d", drive("d", server.disk("there", "T")))
            server.api.action("InstanceStart")
        server.expect("disk 0: 64 sectors")
        server.expect("tick 1")


def test_double_start_at_the_same_time():
    with Server() as server:
        server.configure(args="tick")
        statuses = []

        def start(client):
            statuses.append(client.request("PUT", "/actions", {"action_type": "InstanceStart"}).status)

        threads = [threading.Thread(target=start, args=(server.client(),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        e2e.require(sorted(statuses) == [204] + [400] * 7, f"{statuses}")
        server.ticks(2)


def test_pause_and_resume():
    with Server() as server:
        server.start(args="tick")
        server.ticks(2)
        server.api.patch("/vm", {"state": "Paused"})
        e2e.require(state(server) == "Paused", "not Paused")
        # What was said before the pause may still be on its way.
        time.sleep(0.3)
        server.drain()
        length = len(server.output)
        time.sleep(0.7)
        server.drain()
        e2e.require(len(server.output) == length, "the guest talks while it is paused")
        server.api.patch("/vm", {"state": "Paused"})
        e2e.require(state(server) == "Paused", "not Paused any more")
        server.api.patch("/vm", {"state": "Resumed"})
        e2e.require(state(server) == "Running", "not Running")
        server.api.patch("/vm", {"state": "Resumed"})
        server.ticks(2)
        for _ in range(20):
            server.api.patch("/vm", {"state": "Paused"})
            server.api.patch("/vm", {"state": "Resumed"})
        server.ticks(2)
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)


def test_pause_of_a_busy_guest():
    for args in ("do=spin", "do=halt"):
        with Server() as server:
            server.start("reset", args)
            for _ in range(5):
                server.api.patch("/vm", {"state": "Paused"})
                e2e.require(state(server) == "Paused", "not Paused")
                server.api.patch("/vm", {"state": "Resumed"})
            server.process.terminate()
            server.finish(serve.OK)


def test_a_key_in_a_pause_is_seen_after_it():
    with Server() as server:
        server.start(args="tick")
        server.api.patch("/vm", {"state": "Paused"})
        server.api.action("SendCtrlAltDel")
        e2e.require(state(server) == "Paused", "not Paused")
        server.api.patch("/vm", {"state": "Resumed"})
        server.expect("ctrl-alt-del")
        server.finish(serve.OK)


def test_another_file_in_a_drive():
    with Server() as server:
        server.api.put("/drives/root", drive("root", server.disk("r", "R", 100), root=True))
        server.api.put("/drives/data", drive("data", server.disk("a", "A", 64)))
        server.start(args="tick")
        server.expect("tick 1")
        bigger = server.disk("b", "B", 4096)
        server.api.patch("/drives/data", {"drive_id": "data", "path_on_host": bigger})
        server.expect("disk 1 is now: 4096 sectors, B")
        smaller = server.disk("c", "C", 8)
        server.api.patch("/drives/data", {"drive_id": "data", "path_on_host": smaller})
        server.expect("disk 1 is now: 8 sectors, C")
        found = {one["drive_id"]: one["path_on_host"] for one in server.api.get("/vm/config")["drives"]}
        e2e.require(found["data"] == smaller, f"/vm/config has the old file: {found}")
        # Refusals leave the drive as it is.
        server.api.refused("PATCH", "/drives/data", {"drive_id": "data", "path_on_host": "/no/such"}, "/no/such")
        server.api.refused("PATCH", "/drives/data",
                           {"drive_id": "data", "path_on_host": str(server.directory)})
        server.api.refused("PATCH", "/drives/none", {"drive_id": "none", "path_on_host": bigger}, "none")
        server.api.refused("PATCH", "/drives/data", {"drive_id": "root", "path_on_host": bigger})
        # Locked by the other drive of this machine.
        server.api.refused("PATCH", "/drives/data",
                           {"drive_id": "data", "path_on_host": str(server.directory / "r")})
        server.ticks(2)
        e2e.require("disk 0 is now" not in server.output, "another drive changed")


def test_drive_limits():
    with Server() as server:
        server.api.put("/drives/d", drive("d", server.disk("a", "A"), rate_limiter={
            "bandwidth": {"size": 1024, "refill_time": 10}}))
        server.start(args="tick")
        for limits in ({"ops": {"size": 10, "refill_time": 100}}, {"bandwidth": {"size": 0, "refill_time": 0}},
                       {}, {"bandwidth": None, "ops": {"size": 1, "one_time_burst": 1, "refill_time": 1}}):
            server.api.patch("/drives/d", {"drive_id": "d", "rate_limiter": limits})
        # Still a disk: a new file is read through the new limits.
        server.api.patch("/drives/d", {"drive_id": "d", "path_on_host": server.disk("b", "B", 99)})
        server.expect("disk 0 is now: 99 sectors, B")


def test_new_file_while_paused():
    with Server() as server:
        server.api.put("/drives/d", drive("d", server.disk("a", "A")))
        server.start(args="tick")
        server.api.patch("/vm", {"state": "Paused"})
        server.api.patch("/drives/d", {"drive_id": "d", "path_on_host": server.disk("b", "B", 77)})
        server.api.patch("/vm", {"state": "Resumed"})
        server.expect("disk 0 is now: 77 sectors, B")


def drive_ids(server):
    return [one["drive_id"] for one in server.api.get("/vm/config")["drives"]]


def wait_until_gone(server, name):
    deadline = time.monotonic() + e2e.PATIENCE_S
    while name in drive_ids(server):
        e2e.require(time.monotonic() < deadline, f"{name} does not go")
        time.sleep(0.02)


def test_drives_come_and_go():
    if e2e.TRANSPORT != "pci":
        return
    with Server() as server:
        api = server.api
        api.put("/drives/root", drive("root", server.disk("root", "R"), root=True))
        api.put("/drives/data", drive("data", server.disk("data", "D")))
        server.start("hotplug", "rounds=9", ready=None)
        more = server.disk("more", "M")
        api.put("/drives/more", drive("more", more))
        server.expect("holds M")
        e2e.require(drive_ids(server) == ["root", "data", "more"], f"{drive_ids(server)}")
        api.refused("PUT", "/drives/more", drive("more", more), "Device ID in use")
        api.refused("PUT", "/drives/late", drive("late", server.disk("late", "L"), root=True), "root")
        api.refused("PUT", "/drives/none", drive("none", "/no/such/disk"), "/no/such/disk")
        api.refused("PUT", "/drives/twice", drive("twice", more), "more")
        api.refused("DELETE", "/drives/root", None, "root")
        api.refused("DELETE", "/drives/none", None, "none")
        for name in ("more", "data"):
            api.expect(204, "DELETE", f"/drives/{name}")
            server.expect("ejected")
            wait_until_gone(server, name)
            api.refused("DELETE", f"/drives/{name}", None, "Device not found")
        e2e.require(drive_ids(server) == ["root"], f"{drive_ids(server)}")
        # The file and the id are free again; limits and another file go on as before the start.
        api.put("/drives/more", drive("more", more, rate_limiter={"ops": {"size": 100, "refill_time": 100}}))
        server.expect("holds M")
        api.patch("/drives/more", {"drive_id": "more", "path_on_host": server.disk("next", "N")})
        text = api.request("GET", "/metrics", headers={"Accept": "text/plain"}).text
        e2e.require('drive="more"' in text and 'drive="data"' not in text, "metrics of another set of drives")


def test_devices_of_the_host():
    """What there is of it without such a device."""
    if e2e.TRANSPORT != "pci":
        with Server() as server:
            server.api.refused("PUT", "/vfio/two", NO_DEVICE, "PCI is not enabled", "--enable-pci")
        return
    with Server() as server:
        server.api.put("/vfio/two", NO_DEVICE)
        server.api.refused("PUT", "/vfio/three", {**NO_DEVICE, "vfio_id": "three"}, "address", "given to two")
        e2e.require(server.api.get("/vm/config")["vfio"] == [{**NO_DEVICE, "iommu": None}], "another list")
        server.configure(args="tick")
        server.api.refused("PUT", "/actions", {"action_type": "InstanceStart"}, "ffff:ff:1f.7", "no such PCI device")
        e2e.require(state(server) == "Not started", "a failed start left another state")
    with Server() as server:
        server.start(args="tick")
        server.api.refused("PUT", "/vfio/two", NO_DEVICE, "ffff:ff:1f.7", "no such PCI device")
        server.api.refused("PUT", "/vfio/two", {**NO_DEVICE, "address": "card"}, "address", "card")
        server.api.refused("DELETE", "/vfio/two", None, "Device not found")
        e2e.require(server.api.get("/vm/config")["vfio"] == [], "a device that is not there")
        server.ticks(1)


def test_serial_to_a_file():
    with Server() as server:
        path = server.directory / "console"
        server.api.put("/serial", {"serial_out_path": str(path)})
        server.start(args="tick", ready=None)
        deadline = time.monotonic() + e2e.PATIENCE_S
        while not path.exists() or b"tick 2" not in path.read_bytes():
            e2e.require(time.monotonic() < deadline, "the guest's output does not come")
            time.sleep(0.05)
        server.api.action("SendCtrlAltDel")
        server.finish(serve.OK)
        e2e.require("tick" not in server.output, "it came to standard output too")


serve.need_serve()
e2e.main(globals())
