#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PCI bus: a guest that plays with BARs, MSI-X tables and configuration space."""
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
