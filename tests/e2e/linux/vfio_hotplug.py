#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A VF of the host's network card comes to a Linux guest while it runs, goes back to the host, and comes again,
on the lab's machine: ACPI hot-plug, without a rescan in the guest.

usage: vfio_hotplug.py HUSK INIT VFIO-GUEST

It takes devices away from the host, so it runs in the lab only (tests/lab/run --vfio).
"""
import subprocess
import sys

from husktest import LAB_WORDS, Failure
from live import Live
from vfioguests import INTERFACES, Guests, guest_kernel
from vfiohost import ADDRESS, MAC, VF_ADDRESS, Host, driver

COMES = ("wait-device:net:eth0", f"net:eth0:{VF_ADDRESS}:24", "link:eth0", f"ping:{ADDRESS}")
GOES = "wait-no-device:net:eth0"


class Guest(Live):
    """tests/e2e/vfio_guest.c"""

    def __init__(self, tests, commands, interface, address):
        kernel = guest_kernel()
        super().__init__(tests, (tests.more[0], kernel, tests.initrd(kernel),
                                 f"quiet {LAB_WORDS} husk.run={','.join(commands)}", interface, address), subprocess.PIPE)

    def tell(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()


def comes(guest, host, times):
    host.bind(host.vf)
    guest.tell("add")
    guest.wait_for("vfio-guest: added", times)
    guest.wait_for_guest("net", f"eth0 mtu 1500 mac {MAC}", times)
    guest.wait_for_guest("link", "eth0 up", times)
    guest.wait_for_guest("ping", f"{ADDRESS} ok", times)


def goes(guest, host):
    guest.tell("remove")
    guest.wait_for_guest("wait-no-device", "eth0")
    guest.wait_for("vfio-guest: removed")
    is_the_hosts(host)


def is_the_hosts(host):
    host.unbind(host.vf)
    if driver(host.vf) != "igbvf":
        raise Failure(f"its driver is {driver(host.vf)}")
    host.ping_from(host.vf)


def hotplug(tests, host, interface):
    commands = ("cpus", *COMES, GOES, *COMES)
    with Guest(tests, commands, interface, host.vf) as guest:
        guest.wait_for_guest("cpus", "1")
        comes(guest, host, 1)
        goes(guest, host)
        comes(guest, host, 2)
        guest.finish()
    is_the_hosts(host)


def main():
    with Guests("VFIO-GUEST") as tests:
        hosts = []
        tests.case("host", lambda: hosts.append(Host(tests.husk)))
        for host in hosts:
            for interface in INTERFACES:
                tests.case(f"comes, goes and comes, {interface}", hotplug, tests, host, interface)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
