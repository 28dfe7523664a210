#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk vf on a real kernel with an SR-IOV card, the lab's: every action, killed at every system call
of a bind and an unbind, and the host as it was found at the end.

It changes the first card that it finds, so it runs in the lab only (tests/lab/run --sriov).
"""
import json
import os
import pathlib
import subprocess
import sys
import time

from husktest import MONITOR_ERROR, Failure, Skip, TOP, Tests

sys.path[:0] = [str(TOP / "tests/e2e")]

# pylint: disable=wrong-import-position
from traced import Traced  # noqa: E402

NET = pathlib.Path("/sys/class/net")
DEVICES = pathlib.Path("/sys/bus/pci/devices")
RECORDS = pathlib.Path("/run/husk/vf")
OPENAT, WRITE, UNLINKAT, RENAMEAT, FLOCK = 257, 1, 263, 264, 73


def find_pf():
    if not os.environ.get("HUSK_LAB"):
        raise Skip("changes a network card of the host: only in the lab")
    for module in ("igb", "igbvf", "vfio-pci"):
        subprocess.run(["modprobe", module], check=False, capture_output=True)
    for _ in range(20):
        for path in sorted(NET.glob("*/device/sriov_totalvfs")):
            return path.parts[-3]
        time.sleep(0.5)
    raise Skip("no SR-IOV card here (tests/lab/run --sriov)")


class Card:
    def __init__(self, tests):
        self.tests = tests
        self.pf = find_pf()

    def run(self, *arguments, status=0, says=""):
        result = subprocess.run([self.tests.husk, "vf", *map(str, arguments)], capture_output=True,
                                text=True, timeout=120, check=False)
        if result.returncode != status or says not in result.stderr:
            raise Failure(f"vf {arguments}: status {result.returncode}, not {status}, and "
                          f"{says!r} in {result.stderr!r}")
        return result.stdout

    def refused(self, *arguments, says):
        self.run(*arguments, status=MONITOR_ERROR, says=says)

    def show(self):
        return json.loads(self.run("list", self.pf, "--json"))["physical_functions"][0]

    def vf(self, index):
        return self.show()["vfs"][index]

    def expect(self, index, **wanted):
        found = self.vf(index)
        for key, value in wanted.items():
            if found[key] != value:
                raise Failure(f"VF {index}: {key} is {found[key]!r}, not {value!r}")


def override(address):
    return (DEVICES / address / "driver_override").read_text().strip()


def create(card):
    before = card.show()
    if before["vfs"] or before["total_vfs"] < 2:
        raise Failure(f"no card to begin with: {before}")
    card.refused("create", card.pf, before["total_vfs"] + 1, says=f"1 to {before['total_vfs']}")
    card.refused("create", "lo", 1, says="not of a PCI device")
    card.refused("create", "nowhere0", 1, says="husk vf list")
    card.run("create", card.pf, 2)
    card.run("create", card.pf, 2, says="already")
    card.refused("create", card.pf, 1, says="husk vf remove")
    if len(card.show()["vfs"]) != 2 or card.pf not in card.run("list"):
        raise Failure("two VFs were wanted")
    card.refused("create", card.vf(0)["address"], 1, says="name its physical function")


def settings(card):
    card.run("set", card.pf, 1, "mac=02:00:00:00:00:05", "vlan=7", "trust=on", "spoofchk=off")
    card.expect(1, mac="02:00:00:00:00:05", vlan=7, trust=True, spoofchk=False)
    card.expect(0, vlan=0)
    # The driver knows no link state of VFs: what came before it is taken back.
    card.refused("set", card.pf, 1, "vlan=9", "mac=02:00:00:00:00:06", "link=off",
                 says="link: cannot be set")
    card.expect(1, mac="02:00:00:00:00:05", vlan=7)
    card.refused("set", card.pf, 2, "vlan=1", says="not in 0 to 1")
    card.run("set", card.pf, 1, "mac=00:00:00:00:00:00", "vlan=0", "trust=off", "spoofchk=on")
    card.expect(1, mac="00:00:00:00:00:00", vlan=0, trust=False, spoofchk=True)


def bind(card):
    address = card.vf(0)["address"]
    card.run("bind", address)
    card.expect(0, driver="vfio-pci")
    card.expect(1, driver="igbvf")
    card.refused("remove", card.pf, says=f"husk vf unbind {address}")
    group = os.open(f"/dev/vfio/{card.vf(0)['iommu_group']}", os.O_RDWR)
    card.refused("unbind", address, says="a VM has it")
    os.close(group)
    card.run("unbind", address)
    card.expect(0, driver="igbvf")
    if override(address) != "(null)" or list(RECORDS.iterdir()):
        raise Failure("traces are left of a function that was given back")


def kill_at(card, action, address, nth):
    """Ends husk at the entry of its Nth call that changes something; False when it came to its end."""
    with open(os.devnull, "wb") as nothing:
        traced = Traced([card.tests.husk, "vf", action, address], nothing.fileno())
    count, entry = 0, True
    while traced.step():
        if entry and traced.number() in (WRITE, UNLINKAT, RENAMEAT, FLOCK):
            count += 1
            if count == nth:
                traced.kill()
                return True
        entry = not entry
    return False


def killed(card):
    address = card.vf(0)["address"]
    nth = 1
    while kill_at(card, "bind", address, nth):
        card.run("unbind", address)
        card.expect(0, driver="igbvf")
        if override(address) != "(null)" or (RECORDS / address).exists():
            raise Failure(f"killed at call {nth} of a bind: not as found")
        nth += 1
    binds, nth = nth - 1, 1
    card.run("bind", address)
    while kill_at(card, "unbind", address, nth):
        card.run("unbind", address)
        card.expect(0, driver="igbvf")
        if override(address) != "(null)" or (RECORDS / address).exists():
            raise Failure(f"killed at call {nth} of an unbind: not as found")
        card.run("bind", address)
        nth += 1
    if binds < 5 or nth < 5:
        raise Failure(f"only {binds} calls of a bind and {nth - 1} of an unbind were seen")


def remove(card):
    interface = card.vf(1)["interfaces"][0]
    subprocess.run(["ip", "link", "set", interface, "up"], check=True)
    card.refused("remove", card.pf, says=f"ip link set {interface} down")
    subprocess.run(["ip", "link", "set", interface, "down"], check=True)
    card.run("remove", card.pf)
    card.run("remove", card.pf, says="already")
    if card.show()["vfs"] or list(RECORDS.iterdir()):
        raise Failure("not everything is removed")


def main():
    with Tests() as tests:
        cards = []
        tests.case("vf-find", lambda: cards.append(Card(tests)))
        for name, function in (("create", create), ("set", settings), ("bind", bind),
                               ("killed", killed), ("remove", remove)):
            if cards:
                tests.case(f"vf-{name}", function, cards[0])
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
