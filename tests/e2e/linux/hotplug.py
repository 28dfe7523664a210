#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux sees drives and network devices come and go, without being told to look: ACPI hot-plug.

One guest for everything, in a network namespace of the test's own. `husk vm` adds and removes, and
waits until a removal is over. What the guest does last is to meet a device that is added after the
last removal: it is still there when the host looks whether that is over.
"""
import hashlib
import subprocess
import sys

from husktest import Failure, Tests, debian_kernel, pattern
from live import PATIENCE_S, Live
from net import Namespace

MIB = 1 << 20
CYCLES = 3


class Guest(Live):
    """husk run with a control socket."""

    def __init__(self, tests, commands, wrap):
        self.husk = tests.husk
        self.socket = str(tests.path / "api.sock")
        super().__init__(tests, wrap(tests.command(debian_kernel(), ",".join(commands), "--transport", "pci",
                                                   "--api-sock", self.socket)))

    def vm(self, noun, verb, *words):
        result = subprocess.run([self.husk, "vm", noun, verb, self.socket, *words],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if result.returncode:
            raise Failure(f"husk vm {noun} {verb} {' '.join(words)}: {result.stderr}"
                          f"{self.said().tail()}")


READ = ["wait-device:block:vda", "disk-check:vda", "wait-no-device:block:vda"]
WRITE = ["wait-device:block:vda", f"disk-write:vda:7:{MIB}", "wait-no-device:block:vda"]
PING = ["wait-device:net:eth0", "net:eth0:10.77.0.2:24", "ping:10.77.0.1"]


def drives_come_and_go(guest, tests):
    """Each with other data, in the slot that the one before it had."""
    for cycle in range(CYCLES):
        image = tests.path / f"{cycle}.img"
        data = pattern(11 + cycle, MIB)
        image.write_bytes(data)
        guest.vm("drive", "add", f"{image},id=data,ro")
        guest.wait_for_guest("disk-check", f"vda {MIB} {hashlib.sha256(data).hexdigest()}")
        guest.vm("drive", "remove", "data")
        guest.wait_for_guest("wait-no-device", "vda", cycle + 1)
        image.unlink()


def drive_keeps_what_was_written(guest, tests):
    image = tests.path / "written.img"
    image.write_bytes(bytes(2 * MIB))
    written = pattern(7, MIB)
    guest.vm("drive", "add", f"{image},id=data")
    guest.wait_for_guest("disk-write", f"vda {MIB} {hashlib.sha256(written).hexdigest()}")
    guest.vm("drive", "remove", "data")
    if image.read_bytes() != written + bytes(MIB):
        raise Failure("the image does not hold what the guest wrote")


def interface_comes_goes_and_comes(guest):
    guest.vm("net", "add", "tap=tap0,id=eth0")
    guest.wait_for_guest("ping", "10.77.0.1 ok")
    guest.vm("net", "remove", "eth0")
    guest.wait_for_guest("wait-no-device", "eth0")
    guest.vm("net", "add", "tap=tap0,id=eth0")
    guest.wait_for_guest("ping", "10.77.0.1 ok", 2)


def hotplug(tests):
    commands = ["cpus", *READ * CYCLES, *WRITE, *PING, "wait-no-device:net:eth0", *PING]
    with Namespace(1) as namespace, Guest(tests, commands, namespace.command) as guest:
        guest.wait_for_guest("cpus", "1")
        drives_come_and_go(guest, tests)
        drive_keeps_what_was_written(guest, tests)
        interface_comes_goes_and_comes(guest)
        guest.finish()


def main():
    with Tests() as tests:
        tests.case("drives and interfaces come and go", hotplug, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
