#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux on the PCI bus: a distribution's kernel finds its disk there, and is interrupted by messages."""
import hashlib
import sys

from husktest import Failure, POWER_OFF, Tests, debian_kernel, own_kernel, pattern

MIB = 1 << 20


def finds_disk(tests, kernel):
    disk = tests.path / "disk.img"
    disk.write_bytes(pattern(11, 2 * MIB))
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    result = tests.run(kernel(), "disk-check:vda", "--transport", "pci", "-d", disk)
    result.expect_status(POWER_OFF)
    result.expect("disk-check", f"vda {2 * MIB} {digest}")


def writes_disk(tests, kernel):
    disk = tests.path / "disk.img"
    disk.write_bytes(bytes(4 * MIB))
    expected = pattern(7, 3 * MIB)
    result = tests.run(kernel(), "disk-write:vda:7:3M", "--transport", "pci", "-d", f"{disk},queues=2")
    result.expect_status(POWER_OFF)
    if disk.read_bytes() != expected + bytes(MIB):
        raise Failure("the image does not hold what the guest wrote")


def main():
    with Tests() as tests:
        for name, kernel in (("Debian's kernel", debian_kernel), ("husk's kernel", own_kernel)):
            tests.case(f"{name} finds its disk", finds_disk, tests, kernel)
            tests.case(f"{name} writes its disk", writes_disk, tests, kernel)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
