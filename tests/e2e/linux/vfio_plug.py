#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The NVMe controllers of the lab's machine for VFIO, and tests/e2e/vfio_plug.c with them.

    vfio_plug.py HUSK VFIO-PLUG GUESTS group|iommufd
"""
import os
import subprocess
import sys

CONTROLLERS = ("0000:02:00.0", "0000:00:10.0", "0000:00:10.1")  # docs/lab.md


def main():
    husk, program, guests, interface = sys.argv[1:]
    subprocess.run(["modprobe", "-a", "vfio-pci", "vfio_iommu_type1", "iommufd"], check=True)
    for address in CONTROLLERS:
        subprocess.run([husk, "vf", "bind", address], check=True)
    os.execv(program, [program, guests, interface, *CONTROLLERS])


if __name__ == "__main__":
    main()
