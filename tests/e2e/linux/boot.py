#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Linux in every supported way: protocols, compressions, CPU counts, memory sizes."""
import gzip
import shutil
import subprocess
import sys

from husktest import Failure, POWER_OFF, Skip, Tests, debian_kernel, own_kernel


def check_boot(tests, kernel, cpus=1, memory_mib=256):
    result = tests.run(kernel, "cpus,memory,clock,rng", "-c", cpus, "-m", f"{memory_mib}M")
    result.expect_status(POWER_OFF)
    result.expect("cpus", str(cpus))
    result.expect("rng", "ok")
    # The kernel keeps some for itself: page structures, its image, reserved low memory.
    total_mib = int(result.values["memory"]) // 1024
    if not memory_mib * 0.93 - 32 <= total_mib <= memory_mib:
        raise Failure(f"the guest sees {total_mib} MiB of {memory_mib}")


def boot_own(tests, name, *arguments):
    check_boot(tests, own_kernel(name), *arguments)


def boot_debian(tests, *arguments):
    check_boot(tests, debian_kernel(), *arguments)


def boot_compressed(tests, kind):
    source = own_kernel()
    target = tests.path / f"vmlinux.{kind}"
    if kind == "gz":
        target.write_bytes(gzip.compress(source.read_bytes(), compresslevel=1))
    else:
        if not shutil.which("zstd"):
            raise Skip("zstd is not installed")
        subprocess.run(["zstd", "-q", "-1", "-o", target, source], check=True)
    check_boot(tests, target)
    target.unlink()


def main():
    with Tests() as tests:
        tests.case("vmlinux by PVH", boot_own, tests, "vmlinux")
        tests.case("bzImage", boot_own, tests, "bzImage")
        tests.case("gzip-compressed vmlinux", boot_compressed, tests, "gz")
        tests.case("zstd-compressed vmlinux", boot_compressed, tests, "zst")
        for cpus in (2, 4):
            tests.case(f"{cpus} CPUs", boot_own, tests, "vmlinux", cpus)
        for memory_mib in (128, 3072, 6144):
            tests.case(f"{memory_mib} MiB", boot_own, tests, "vmlinux", 1, memory_mib)
        tests.case("Debian's cloud kernel", boot_debian, tests)
        tests.case("Debian's cloud kernel, 2 CPUs", boot_debian, tests, 2, 512)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
