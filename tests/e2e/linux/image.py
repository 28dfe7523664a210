#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A distribution's disk image: `husk run -d IMAGE` boots its own kernel with its own initrd, which finds the
root file system behind virtio-pci with no module but the distribution's."""
import re
import subprocess
import sys

from husktest import LAB_WORDS, POWER_OFF, TOP, Failure, Result, Skip, Tests


def debian_image():
    found = subprocess.run([TOP / "tests/lab/debian-image", "--print"], capture_output=True, check=False)
    if found.returncode:
        raise Skip("Debian's image is not here (tests/lab/debian-image)")
    return found.stdout.decode().strip()


def debian(tests):
    # Read-only: in the lab, opening it for writing would copy all of it into memory.
    done = subprocess.run([tests.husk, "run", "-v", "-m", "768M", "-d", f"{debian_image()},ro", "-a", LAB_WORDS],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=500, check=False)
    result = Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    result.expect_status(POWER_OFF)
    if "partition 1 (ext4): /boot/grub/grub.cfg: /boot/vmlinuz-" not in result.errors:
        raise Failure(f"the kernel is not the one of GRUB's configuration\n{result.tail()}")
    for pattern in ("debian 12", "root /dev/vda1 ext4", r"vda /sys/devices/pci0000:00/\S*/virtio\d+/block/vda",
                    "driver virtio_blk", r"cmdline root=PARTUUID=\S+ ro console=tty0 .*console=ttyS0"):
        if not re.search(f"image: {pattern}", result.output.replace("\r", ""), re.M):
            raise Failure(f"no line 'image: {pattern}'\n{result.tail()}")


def main():
    with Tests() as tests:
        tests.case("Debian's cloud kernel from its own disk", debian, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
