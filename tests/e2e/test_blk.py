#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""virtio-blk: a guest that checks what it reads, a host that checks what was written."""
import pathlib
import struct
import tempfile

import e2e

SECTOR = 512
WORDS = SECTOR // 8
SECTORS = 4096
MASK = (1 << 64) - 1
# What the guest writes (blk.c): first sector, count.
WRITTEN = ((100, 16), (200, 64))
ZEROED = (600, 16)
DISCARDED = (640, 16)


def sector(number, version):
    return struct.pack(f"<{WORDS}Q", *(
        ((number * WORDS + word + (version << 32)) * 0x9E3779B97F4A7C15) & MASK for word in range(WORDS)))


PATTERN = b"".join(sector(number, 0) for number in range(SECTORS))


class Image:
    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.directory.name) / "disk.img"
        self.path.write_bytes(PATTERN)
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def check_written(self):
        data = self.path.read_bytes()
        e2e.require(len(data) == len(PATTERN), "the image changed its size")
        changed = dict.fromkeys(range(ZEROED[0], sum(ZEROED)), bytes(SECTOR))
        for first, count in WRITTEN:
            changed.update((number, sector(number, 1)) for number in range(first, first + count))
        for number in range(SECTORS):
            if DISCARDED[0] <= number < sum(DISCARDED):
                continue
            expected = changed.get(number, PATTERN[number * SECTOR:(number + 1) * SECTOR])
            e2e.require(data[number * SECTOR:(number + 1) * SECTOR] == expected,
                        f"sector {number} of the image is wrong")


def run(options, disk_options=""):
    with Image() as image:
        e2e.run("blk", f"sectors={SECTORS} {options}", "-d", f"{image.path}{disk_options}")
        image.check_written()


def test_uring():
    run("", ",engine=uring")


def test_threads():
    run("", ",engine=threads")


def test_queues():
    run("queues=4", ",queues=4")


def test_limits_slow_but_do_not_fail():
    run("", ",iops=400,bw=4M")


def test_read_only():
    with Image() as image:
        image.path.chmod(0o444)
        e2e.run("blk", f"sectors={SECTORS} ro", "-d", f"{image.path},ro")
        e2e.require(image.path.read_bytes() == PATTERN, "a read-only image changed")


def test_image_is_locked():
    with Image() as image:
        with e2e.Machine("reset", "do=halt", "-d", str(image.path)) as machine:
            machine.expect("ready")
            with e2e.Machine("exit", "", "-d", str(image.path)) as second:
                second.finish(e2e.MONITOR_ERROR)
                e2e.require("disk.img" in second.error_text(), "the message names no file")
            machine.process.terminate()
            machine.finish(e2e.HOST_REQUEST)


def test_several_disks_in_order():
    with Image() as first, Image() as second:
        second.path.write_bytes(PATTERN[:1024 * SECTOR])
        e2e.run("blk", "sectors=1024", "-d", str(second.path), "-d", str(first.path))
        e2e.require(first.path.read_bytes() == PATTERN, "the second disk was written to")


e2e.need_kvm()
e2e.main(globals())
