#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux on virtio-blk: what one side writes the other reads, by checksum; both engines."""
import hashlib
import shutil
import subprocess
import sys

from husktest import Failure, MONITOR_ERROR, POWER_OFF, Skip, Tests, any_kernel, pattern

MIB = 1 << 20


def make_disk(tests, size, seed=None):
    path = tests.path / "disk.img"
    path.write_bytes(pattern(seed, size) if seed else bytes(size))
    return path


def host_to_guest(tests, options):
    disk = make_disk(tests, 2 * MIB, seed=11)
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    result = tests.run(any_kernel(), "disk-check:vda", "-d", f"{disk}{options}")
    result.expect_status(POWER_OFF)
    result.expect("disk-check", f"vda {2 * MIB} {digest}")


def guest_to_host(tests, options):
    disk = make_disk(tests, 4 * MIB)
    expected = pattern(7, 3 * MIB)
    digest = hashlib.sha256(expected).hexdigest()
    result = tests.run(any_kernel(), "disk-write:vda:7:3M", "-d", f"{disk}{options}",
                       "-c", 2)
    result.expect_status(POWER_OFF)
    result.expect("disk-write", f"vda {3 * MIB} {digest}")
    if disk.read_bytes() != expected + bytes(MIB):
        raise Failure("the image does not hold what the guest wrote")


def read_only(tests):
    disk = make_disk(tests, MIB, seed=3)
    before = disk.read_bytes()
    result = tests.run(any_kernel(), "read-only:vda,disk-check:vda", "-d", f"{disk},ro")
    result.expect_status(POWER_OFF)
    result.expect("read-only", "vda ok")
    if disk.read_bytes() != before:
        raise Failure("a read-only image changed")


def erased(tests, command):
    disk = make_disk(tests, 2 * MIB, seed=5)
    tail = disk.read_bytes()[MIB:]
    result = tests.run(any_kernel(), f"{command}:vda:1M", "-d", disk)
    result.expect_status(POWER_OFF)
    result.expect(command, "vda ok")
    if disk.read_bytes() != bytes(MIB) + tail:
        raise Failure("the image is not zero where it was erased, or not kept where it was not")


def several(tests):
    """Three disks appear in the order of the command line."""
    digests = []
    options = []
    for index in range(3):
        path = tests.path / f"disk{index}.img"
        path.write_bytes(pattern(20 + index, MIB))
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        options += ["-d", f"{path},ro"]
    for index, name in enumerate(("vda", "vdb", "vdc")):
        result = tests.run(any_kernel(), f"disk-check:{name}", *options)
        result.expect("disk-check", f"{name} {MIB} {digests[index]}")


def file_system(tests):
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if not mkfs:
        raise Skip("mkfs.ext4 is not installed")
    root = tests.path / "root"
    root.mkdir()
    (root / "hello").write_text("hello from a file system\n")
    disk = tests.path / "ext4.img"
    subprocess.run([mkfs, "-q", "-d", root, disk, "8M"], check=True)
    result = tests.run(any_kernel(), "mount:vda:ext4", "-d", f"{disk},ro")
    result.expect_status(POWER_OFF)
    result.expect("mount", "hello from a file system")


def locked(tests):
    """A second VM cannot have a disk that is in use, but two may read it."""
    disk = make_disk(tests, MIB, seed=9)
    command = tests.command(any_kernel(), "cpus,sleep:1000", "-d", disk)
    first = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    try:
        while b"husk-init: cpus" not in first.stdout.readline():
            if first.poll() is not None:
                raise Failure("the first VM ended")
        for options in ("", ",ro"):
            result = tests.run(any_kernel(), "cpus", "-d", f"{disk}{options}")
            result.expect_status(MONITOR_ERROR)
            if str(disk) not in result.errors or "in use" not in result.errors:
                raise Failure(f"the error does not say what is wrong: {result.errors}")
    finally:
        first.terminate()
        first.communicate()
    tests.run(any_kernel(), "disk-check:vda", "-d", disk).expect_status(POWER_OFF)


def main():
    with Tests() as tests:
        for engine in ("uring", "threads"):
            tests.case(f"host to guest, {engine}", host_to_guest, tests, f",engine={engine}")
            tests.case(f"guest to host, {engine}", guest_to_host, tests, f",engine={engine}")
        tests.case("guest to host, two queues", guest_to_host, tests, ",queues=2")
        tests.case("guest to host, rate limits", guest_to_host, tests, ",iops=2000,bw=64M")
        tests.case("read-only", read_only, tests)
        tests.case("discard", erased, tests, "discard")
        tests.case("write zeroes", erased, tests, "zero")
        tests.case("three disks", several, tests)
        tests.case("ext4", file_system, tests)
        tests.case("locked", locked, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
