#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that breaks every rule of virtio: devices recover by reset, the machine never notices."""
import pathlib
import tempfile

import e2e

IMAGE_BYTES = 2 << 20


def attack(devices, *options, engine="auto", vsock=False):
    with tempfile.TemporaryDirectory() as directory:
        image = pathlib.Path(directory) / "disk.img"
        image.write_bytes(bytes(IMAGE_BYTES))
        disk = str(image) if engine == "auto" else f"{image},engine={engine}"
        with e2e.Machine("hostile", f"devices={devices} cpus=2", "-c", "2", "-d", disk,
                         *(("--vsock", f"cid=3,path={directory}/v") if vsock else ()),
                         *options) as machine:
            machine.finish()
            lines = machine.error_text().splitlines()
        # Each device says at most ten lines a second, whatever the guest does.
        e2e.require(len(lines) < 1000, f"{len(lines)} lines of log")
        e2e.require(image.stat().st_size == IMAGE_BYTES, "the image changed its size")


def test_disk_and_entropy():
    attack(2)


def test_disk_by_threads():
    attack(1, "--no-rng", engine="threads")


def test_sockets():
    attack(3, vsock=True)


def test_console():
    """The guest's report goes nowhere here: its status tells."""
    attack(3, "--console", "virtio")


e2e.need_kvm()
e2e.main(globals())
