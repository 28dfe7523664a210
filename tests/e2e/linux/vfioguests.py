# SPDX-License-Identifier: Apache-2.0
"""Guests that are given devices of the host's: Linux with the drivers of both kinds, and the bare-metal
guest nvme (tests/guests)."""
import os
import re
import subprocess

from husktest import KERNELS, MONITOR_ERROR, TOP, Failure, Result, Skip, Tests, own_kernel

GUEST_MEMORY = 128 << 20
INTERFACES = ("group", "iommufd")


def guest_kernel():
    """The network card's driver is in our own kernel and in Debian's general one, not in its cloud kernel."""
    try:
        return own_kernel()
    except Skip:
        path = KERNELS / "debian-full" / "vmlinuz"
        if not path.exists():
            raise Skip("Debian's general kernel is not here (guest/kernel/fetch-debian --flavour full)") from None
        return path.resolve()


def vfio(address, interface="auto"):
    return "--vfio", f"{address},iommu={interface}"


class Guests(Tests):
    def initrd(self, kernel):
        modules = kernel.parent / "modules"
        target = self.path / "vfio.cpio"
        if not target.exists():
            command = [TOP / "guest/initramfs/build", "--init", self.init]
            if modules.exists():
                wanted = self.path / "modules"
                wanted.write_text((TOP / "guest/initramfs/debian-modules").read_text() + "igbvf\nnvme\n")
                command += ["--modules-from", modules, "--modules", f"@{wanted}"]
            subprocess.run([*command, target], check=True)
        return target

    def boot(self, commands, *options, peers=()):
        """Linux, with threads that talk to it."""
        for peer in peers:
            peer.start()
        result = self.run(guest_kernel(), ",".join(commands), "-m", f"{GUEST_MEMORY >> 20}M", *options,
                          timeout=600)
        for peer in peers:
            peer.join(60)
        return result

    def bare(self, append, *options, **process):
        command = [self.husk, "run", "-k", f"{os.environ['GUESTS']}/nvme.elf", "-a", append,
                   "-m", f"{GUEST_MEMORY >> 20}M", *options]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
                               **process)
        return Result(ended.returncode, ended.stdout.decode(errors="replace"),
                      ended.stderr.decode(errors="replace"))

    def refused(self, *options, says, status=MONITOR_ERROR, **process):
        result = self.bare("", *options, **process)
        if result.status != status or not all(text in result.errors for text in says):
            raise Failure(f"{' '.join(options)}: status {result.status}, not {status}, or not all of {says}\n"
                          f"{result.tail()}")


def interrupts(result, name):
    """How many interrupts the driver of `name` counted, and over how many MSI-X vectors."""
    found = re.search(rf"husk-init: interrupts: {name} (\d+) over (\d+) vectors", result.output)
    if not found or int(found[1]) == 0:
        raise Failure(f"no MSI-X interrupts of {name}\n{result.tail()}")
    return int(found[1]), int(found[2])
