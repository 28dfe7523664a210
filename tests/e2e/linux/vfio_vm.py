#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices of the host that come and go from a shell (`husk vm vfio`) and over the control socket (/vfio/ID), with
the NVMe controllers of the lab's machine for VFIO.

    vfio_vm.py HUSK GUESTS
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[3]
os.environ["HUSK"], os.environ["GUESTS"] = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
os.environ["TRANSPORT"] = "pci"
sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "tests/e2e/api")]

# pylint: disable=wrong-import-position
import e2e  # noqa: E402
import serve  # noqa: E402

ALONE, FIRST, SECOND = "0000:02:00.0", "0000:00:10.0", "0000:00:10.1"  # docs/lab.md
REFUSED = 1
e2e.PATIENCE_S = 300  # of the lab's emulated processor


def husk(*words, status=0):
    """Its output, or what it says of an error."""
    done = subprocess.run([e2e.HUSK, *map(str, words)], capture_output=True, text=True, timeout=e2e.PATIENCE_S,
                          check=False)
    e2e.require(done.returncode == status, f"husk {words}: status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stderr if status else done.stdout


def vfio(verb, path, what, status=0):
    return husk("vm", "vfio", verb, path, what, status=status).strip()


def refused(path, what, *texts):
    said = vfio("add", path, what, status=REFUSED)
    for text in texts:
        e2e.require(text in said, f"{what}: {text!r} is not in {said!r}")


def wait_for_socket(path, machine):
    deadline = time.monotonic() + e2e.PATIENCE_S
    while not path.exists():
        e2e.require(machine.process.poll() is None and time.monotonic() < deadline, "there is no socket")
        time.sleep(0.05)


def come_and_go(*options):
    """In a VM without a device of the host at first: errors as of --vfio, then one comes and goes, twice."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "vm.sock"
        with e2e.Machine("hotplug", "rounds=9", "--api-sock", str(path), *options,
                         stdin=subprocess.DEVNULL) as machine:
            wait_for_socket(path, machine)
            husk("vf", "unbind", ALONE)
            refused(path, ALONE, f"{ALONE}: ", "its driver is nvme, not vfio-pci", f"husk vf bind {ALONE}")
            husk("vf", "bind", ALONE)
            husk("vf", "unbind", SECOND)
            refused(path, f"{FIRST},iommu=group", "not viable", SECOND)
            husk("vf", "bind", SECOND)
            for id_option in ("", ",id=card"):
                given = vfio("add", path, f"{ALONE}{id_option}")
                e2e.require(given == ("card" if id_option else "vfio1"), f"another id: {given}")
                machine.expect("is husk-nvme-0")
                e2e.require(f"vfio {given}: {ALONE}" in husk("vm", "info", path).splitlines(), "info has it not")
                refused(path, f"{ALONE},id=other", "address", f"given to {given}")
                vfio("remove", path, given)
                machine.expect("ejected")
                e2e.require("vfio" not in husk("vm", "info", path), "info has it still")
                vfio("remove", path, given, status=REFUSED)
            machine.process.terminate()
            machine.finish(e2e.HOST_REQUEST)


def test_jailed():
    come_and_go()


def test_in_this_process():
    come_and_go("--no-jail")


def wait_until_gone(server):
    deadline = time.monotonic() + e2e.PATIENCE_S
    while server.api.get("/vm/config")["vfio"]:
        e2e.require(time.monotonic() < deadline, "the device does not go")
        time.sleep(0.05)


def over_the_socket(iommu):
    """One before the start, one after it, of the same group; both go; one comes when there is none, until the end."""
    with serve.Server() as server:
        api = server.api
        api.put("/vfio/first", {"vfio_id": "first", "address": FIRST, "iommu": iommu})
        server.start("hotplug", "rounds=9", ready=None)
        api.put("/vfio/second", {"vfio_id": "second", "address": SECOND})
        server.expect("is husk-nvme-2")
        ids = [one["vfio_id"] for one in api.get("/vm/config")["vfio"]]
        e2e.require(ids == ["first", "second"], f"{ids}")
        api.refused("PUT", "/vfio/second", {"vfio_id": "second", "address": ALONE}, "Device ID in use")
        for name in ("second", "first"):
            api.expect(204, "DELETE", f"/vfio/{name}")
            server.expect("ejected")
        wait_until_gone(server)
        api.refused("DELETE", "/vfio/first", None, "Device not found")
        api.put("/vfio/third", {"vfio_id": "third", "address": ALONE, "iommu": iommu})
        server.expect("is husk-nvme-0")
        server.process.terminate()
        server.ended(serve.OK)


def test_control_socket_by_group():
    over_the_socket("Group")


def test_control_socket_by_iommufd():
    over_the_socket("Iommufd")


def main():
    e2e.need_kvm()
    subprocess.run(["modprobe", "-a", "nvme", "vfio-pci", "vfio_iommu_type1", "iommufd"], check=True)
    for address in (ALONE, FIRST, SECOND):
        husk("vf", "bind", address)
    e2e.main(globals())


if __name__ == "__main__":
    main()
