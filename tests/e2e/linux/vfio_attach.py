#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who gets a device of the host's, on a real kernel with an IOMMU, the lab's: what is refused, and with which
words; groups of several devices; a user without rights who is given open files.

It takes devices away from the host, so it runs in the lab only (tests/lab/run --vfio).
"""
import fcntl
import os
import pathlib
import resource
import struct
import sys

from husktest import POWER_OFF, Failure
from vfioguests import GUEST_MEMORY, INTERFACES, Guests, vfio
from vfiohost import NVME, PAIR, Host, cdev, driver, group

USAGE = 119


def wrong_devices(tests, host):
    """Each says what to do about it; the devices are as they were."""
    tests.refused(*vfio(host.vf), says=(host.vf, "igbvf, not vfio-pci", f"husk vf bind {host.vf}"))
    tests.refused(*vfio("0000:00:1e.7"), says=("0000:00:1e.7", "no such PCI device"))
    tests.refused(*vfio(host.vf), "--transport", "mmio", status=USAGE, says=("transport",))
    tests.refused(*vfio(host.vf), *vfio(host.vf), status=USAGE, says=(host.vf,))
    if driver(host.vf) != "igbvf":
        raise Failure(f"its driver is now {driver(host.vf)}")


def one_of_a_group(tests, host):
    """Of two devices that the IOMMU cannot tell apart, the host keeps one."""
    host.bind(PAIR[0])
    try:
        for interface in INTERFACES:
            tests.refused(*vfio(PAIR[0], interface), says=(PAIR[0], "not viable", f"{PAIR[1]} (nvme)"))
    finally:
        host.unbind(PAIR[0])


def whole_group(tests, host):
    """Both of them go to one VM, through one file of the group or through two of the devices."""
    host.bind(*PAIR)
    try:
        for interface in INTERFACES:
            result = tests.bare("serial=husk-nvme-", *vfio(PAIR[0], interface), *vfio(PAIR[1], interface))
            result.expect_status(POWER_OFF)
            if "2 controllers" not in result.output:
                raise Failure(result.tail())
    finally:
        host.unbind(*PAIR)
    if [driver(address) for address in PAIR] != ["nvme", "nvme"]:
        raise Failure(f"drivers: {[driver(address) for address in PAIR]}")


def in_use(tests, host):
    host.bind(NVME)
    try:
        with open(group(NVME), "r+b", buffering=0):
            tests.refused(*vfio(NVME, "group"), says=(NVME, "in use"))
        with open(cdev(NVME), "r+b", buffering=0) as device, open("/dev/iommu", "r+b", buffering=0) as iommu:
            # VFIO_DEVICE_BIND_IOMMUFD (linux/vfio.h)
            fcntl.ioctl(device, 0x3b76, struct.pack("IIiI", 16, 0, iommu.fileno(), 0))
            tests.refused(*vfio(NVME, "iommufd"), says=(NVME, "in use"))
    finally:
        host.unbind(NVME)


def unprivileged(tests, host, interface):
    """A user without rights, who is given open descriptors: needs a sufficient limit on locked memory, and
    nothing else."""
    open_to_all(tests.husk, os.environ["GUESTS"], "/dev/kvm")
    host.bind(NVME)
    names = (group(NVME), "/dev/vfio/vfio") if interface == "group" else (cdev(NVME), "/dev/iommu")
    word = "group-fd" if interface == "group" else "fd"
    files = [open(name, "r+b", buffering=0) for name in names]
    device, iommu = (file.fileno() for file in files)
    words = ("--vfio", f"{NVME},{word}={device},iommu-fd={iommu}")
    try:
        tests.refused(*words, says=("memory", "limit", "ulimit -l"), **as_nobody(16 << 20, device, iommu))
        result = tests.bare("serial=husk-nvme-0", *words, **as_nobody(GUEST_MEMORY + (64 << 20), device, iommu))
    finally:
        for file in files:
            file.close()
        host.unbind(NVME)
    result.expect_status(POWER_OFF)


def as_nobody(locked_bytes, *descriptors):
    def become():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (locked_bytes, locked_bytes))
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    return {"preexec_fn": become, "pass_fds": descriptors}


def open_to_all(*paths):
    """In the lab only, whose changes to files are lost."""
    for path in paths:
        for part in (pathlib.Path(path), *pathlib.Path(path).parents):
            part.chmod(part.stat().st_mode | (0o777 if str(part).startswith("/dev/") else 0o555))


def main():
    with Guests() as tests:
        hosts = []
        tests.case("host", lambda: hosts.append(Host(tests.husk)))
        for host in hosts:
            tests.case("wrong devices", wrong_devices, tests, host)
            tests.case("one of a group", one_of_a_group, tests, host)
            tests.case("a whole group", whole_group, tests, host)
            tests.case("in use", in_use, tests, host)
            for interface in INTERFACES:
                tests.case(f"unprivileged, {interface}", unprivileged, tests, host, interface)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
