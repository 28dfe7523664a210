# SPDX-License-Identifier: Apache-2.0
"""The host's side of device passthrough in the lab: devices and their drivers, memory at a known
physical address, what the kernel's log says."""
import ctypes
import json
import mmap
import os
import pathlib
import re
import subprocess
import time

from husktest import Failure, Skip

NET = pathlib.Path("/sys/class/net")
DEVICES = pathlib.Path("/sys/bus/pci/devices")
PAGE, PAGES = 4096, 256
ADDRESS, VF_ADDRESS = "10.9.0.1", "10.9.0.2"
MAC = "02:00:00:00:00:05"
NVME, PAIR = "0000:02:00.0", ("0000:00:10.0", "0000:00:10.1")  # tests/lab/machine.py


def run(*command, status=0):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=200,
                            check=False)
    if result.returncode != status:
        raise Failure(f"{command}: status {result.returncode}: {result.stderr}")
    return result.stdout


def wait_for(ready, what, seconds=60):
    """The clock of the lab is not the host's: counted in tries, not by it."""
    for _ in range(seconds * 10):
        found = ready()
        if found:
            return found
        time.sleep(0.1)
    raise Failure(f"no {what}")


def driver(address):
    link = DEVICES / address / "driver"
    return link.resolve().name if link.exists() else None


def log():
    return run("dmesg")


class Host:
    """The card with two VFs, of which the first has MAC; its interface is up with ADDRESS."""

    def __init__(self, husk):
        if not os.environ.get("HUSK_LAB"):
            raise Skip("takes devices away from the host: only in the lab")
        self.husk = husk
        for module in ("igb", "igbvf", "vfio-pci", "vfio_iommu_type1", "nvme"):
            subprocess.run(["modprobe", module], check=False, capture_output=True)
        self.pf = wait_for(lambda: next((path.parts[-3] for path in
                                         NET.glob("*/device/sriov_totalvfs")), None), "SR-IOV card")
        if not os.path.exists("/dev/iommu"):
            raise Failure("no /dev/iommu: tests/lab/run --vfio has it")
        run("ip", "address", "add", f"{ADDRESS}/24", "dev", self.pf)
        run("ip", "link", "set", self.pf, "up")
        self.make_vfs()

    def make_vfs(self):
        """The MAC address is set before a guest's driver asks for it."""
        run(self.husk, "vf", "create", self.pf, "2")
        wait_for(lambda: (NET / self.pf / "carrier").read_text().strip() == "1", f"link of {self.pf}")
        run(self.husk, "vf", "set", self.pf, "0", f"mac={MAC}")
        listed = json.loads(run(self.husk, "vf", "list", self.pf, "--json"))
        self.vf, self.other_vf = (vf["address"] for vf in listed["physical_functions"][0]["vfs"])

    def bind(self, *addresses):
        for address in addresses:
            run(self.husk, "vf", "bind", address)

    def unbind(self, *addresses):
        for address in addresses:
            run(self.husk, "vf", "unbind", address)

    def interface_of(self, address):
        return wait_for(lambda: next((path.name for path in (DEVICES / address).glob("net/*")), None),
                        f"interface of {address}")

    def disk_of(self, address):
        """Below the controller is the disk itself, nvme0n1, or the path to it, nvme0c0n1, of a disk that
        could have several: this is /sys/block/nvme0n1."""
        name = wait_for(lambda: next((path.name for path in (DEVICES / address).glob("nvme/nvme*/nvme*n*")), None),
                        f"disk of {address}")
        name = re.sub(r"^(nvme\d+)c\d+(n\d+)$", r"\1\2", name)
        return wait_for(lambda: name if pathlib.Path("/dev", name).is_block_device() else None, f"/dev/{name}")

    def ping_from(self, address):
        """The VF's interface reaches the physical function's, from a network namespace."""
        name, space = self.interface_of(address), "husk-vf"
        run("ip", "netns", "add", space)
        try:
            run("ip", "link", "set", name, "netns", space)
            run("ip", "-n", space, "address", "add", f"{VF_ADDRESS}/24", "dev", name)
            run("ip", "-n", space, "link", "set", name, "up")
            wait_for(lambda: subprocess.run(["ip", "netns", "exec", space, "ping", "-c", "1", "-W", "2", ADDRESS],
                                            capture_output=True, check=False).returncode == 0,
                     f"answer to {name}")
            run("ip", "-n", space, "link", "set", name, "netns", "1")
        finally:
            run("ip", "netns", "delete", space)


def cdev(address):
    """/dev/vfio/devices/vfioN"""
    return pathlib.Path("/dev/vfio/devices") / next((DEVICES / address / "vfio-dev").iterdir()).name


def group(address):
    """/dev/vfio/N"""
    return pathlib.Path("/dev/vfio") / (DEVICES / address / "iommu_group").resolve().name


class Victims:
    """Pages of this process, locked, above so many bytes of physical memory: where a device that is not
    held back would write, if its guest gave it these addresses."""

    def __init__(self, count, above):
        self.area = mmap.mmap(-1, PAGES * PAGE)
        self.area[:] = os.urandom(PAGES * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.area))
        if ctypes.CDLL(None, use_errno=True).mlock(ctypes.c_void_p(start), PAGES * PAGE):
            raise Failure(f"mlock: {os.strerror(ctypes.get_errno())}")
        self.first = start // PAGE
        frames = [self.frame(index) for index in range(PAGES)]
        self.chosen = [index for index, frame in enumerate(frames) if frame * PAGE >= above][:count]
        if len(self.chosen) < count:
            raise Failure(f"fewer than {count} pages of {PAGES} lie above {above >> 20} MiB")
        self.frames = [frames[index] for index in self.chosen]
        self.before = bytes(self.area)

    def frame(self, index):
        """Documentation/admin-guide/mm/pagemap.rst: bits 0 to 54, and 63 for presence."""
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            entry = int.from_bytes(os.pread(pagemap.fileno(), 8, (self.first + index) * 8), "little")
        if not entry >> 63 or not entry & ((1 << 55) - 1):
            raise Failure(f"/proc/self/pagemap: page {index} is {entry:#x}")
        return entry & ((1 << 55) - 1)

    def check(self):
        if [self.frame(index) for index in self.chosen] != self.frames:
            raise Failure("the pages have moved: nothing is proven")
        after = bytes(self.area)
        changed = [index for index in range(PAGES)
                   if after[index * PAGE:(index + 1) * PAGE] != self.before[index * PAGE:(index + 1) * PAGE]]
        if changed:
            raise Failure(f"memory of the host has changed: pages {changed}, aimed at {self.chosen}")

    def check_secret(self, frame, read):
        """`read` is what a device says are the first 48 bits of the page, as a clock in milliseconds that
        has run on."""
        start = self.chosen[self.frames.index(frame)] * PAGE
        secret = int.from_bytes(self.before[start:start + 6], "little")
        if (read - secret) % (1 << 48) < 3600 * 1000:
            raise Failure(f"the guest learnt what is in the host's frame {frame:#x}: {read:#x}")


def check_faults(text, address, frames):
    """The kernel's log of DMA that the IOMMU refused: at least one access of this device, and none but to
    these frames. Not each of them: the IOMMU keeps one fault at a time, and the kernel's lines are limited in
    their rate."""
    device = re.escape(address.removeprefix("0000:"))
    faults = [int(found, 16) for found in
              re.findall(rf"DMAR: \[DMA (?:Read|Write)[^]]*\] Request device \[{device}\] fault addr (0x[0-9a-f]+)",
                         text)]
    if not faults:
        raise Failure(f"no refused access of {address} is recorded:\n{text}")
    for fault in faults:
        if fault // PAGE not in frames:
            raise Failure(f"{address} was refused {fault:#x}, at which it was not aimed:\n{text}")
