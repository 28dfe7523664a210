#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PCI bus: guests that play with BARs, MSI-X tables and configuration space, and break what they can."""
import pathlib
import tempfile

import e2e

BUS = ("--transport", "pci")


def test_bus():
    e2e.run("pci", "", *BUS)


def test_bus_with_disk():
    with tempfile.TemporaryDirectory() as directory:
        image = pathlib.Path(directory) / "disk.img"
        image.write_bytes(bytes(1 << 20))
        e2e.run("pci", "", *BUS, "-d", str(image))


def test_hostile_driver():
    """Everything that must not be done, on one processor and on two at once."""
    for cpus in (1, 2):
        with tempfile.TemporaryDirectory() as directory:
            image = pathlib.Path(directory) / "disk.img"
            image.write_bytes(bytes(1 << 20))
            with e2e.Machine("pci_hostile", f"cpus={cpus}", *BUS, "-c", str(cpus), "-d", str(image)) as machine:
                machine.finish()
                lines = machine.error_text().splitlines()
            e2e.require(len(lines) < 1000, f"{len(lines)} lines of log")
            e2e.require(image.stat().st_size == 1 << 20, "the image changed its size")


def test_more_devices_than_pins():
    """16 disks, sockets, and the entropy device: virtio-mmio has room for 17."""
    with tempfile.TemporaryDirectory() as directory:
        disks = []
        for number in range(16):
            image = pathlib.Path(directory) / f"{number}.img"
            image.write_bytes(bytes(1 << 16))
            disks += ["-d", f"{image},ro"]
        e2e.run("pci", "", *BUS, *disks, "--vsock", f"cid=3,path={directory}/v")


e2e.need_kvm()
e2e.main(globals())
