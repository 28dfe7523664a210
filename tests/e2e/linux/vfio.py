#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices of the host's at work in a guest, on a real kernel with an IOMMU, the lab's: a VF of its network
card and an NVMe controller, through one of the kernel's interfaces, with the host as it was found at the end.

usage: vfio.py HUSK INIT group|iommufd

It takes devices away from the host, so it runs in the lab only (tests/lab/run --vfio).
"""
import hashlib
import re
import subprocess
import sys
import threading

from husktest import POWER_OFF, RESET, Failure, pattern
from net import receive, send
from vfioguests import GUEST_MEMORY, INTERFACES, Guests, interrupts, vfio
from vfiohost import ADDRESS, MAC, NVME, PAGE, VF_ADDRESS, Host, Victims, check_faults, driver, log, run

SIZE = 1 << 20
STREAM_SEED, DISK_SEED = 9, 10
DISK_BYTES = 16 << 20  # tests/lab/machine.py
NET_COMMANDS = (f"net:eth0:{VF_ADDRESS}:24", "link:eth0", f"ping:{ADDRESS}")
STREAM = pattern(STREAM_SEED, SIZE)
STREAM_DIGEST = f"{SIZE} {hashlib.sha256(STREAM).hexdigest()}"
DISK_DIGEST = hashlib.sha256(pattern(DISK_SEED, SIZE) + bytes(DISK_BYTES - SIZE)).hexdigest()


class Peer(threading.Thread):
    """The host's side of a conversation."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.function, self.arguments = function, arguments
        self.outcome = "no end of it"

    def run(self):
        try:
            self.outcome = self.function(*self.arguments, threading.Event())
        except OSError as error:
            self.outcome = str(error)

    def expect(self, outcome):
        if self.outcome != outcome:
            raise Failure(f"the host's side, {self.function.__name__}: {self.outcome}, not {outcome}")


def ping(address, _ready):
    """From the physical function's side."""
    for _ in range(100):
        if subprocess.run(["ping", "-c", "1", "-W", "2", address], capture_output=True, check=False).returncode == 0:
            return "answered"
    return "not answered"


def first_boot(tests, host, interface):
    """Everything on both devices, then a reset in the middle of their lives."""
    host.bind(host.vf, NVME)
    peers = [Peer(receive, ADDRESS, 7001), Peer(send, VF_ADDRESS, 7002, STREAM), Peer(ping, VF_ADDRESS)]
    result = tests.boot((*NET_COMMANDS, f"tcp-send:{ADDRESS}:7001:{STREAM_SEED}:{SIZE}", "tcp-recv:7002",
                         "interrupts:eth0", f"disk-write:nvme0n1:{DISK_SEED}:{SIZE}", "interrupts:nvme0", "reboot"),
                        *vfio(host.vf, interface), *vfio(NVME, interface), peers=peers)
    result.expect_status(RESET)
    result.expect("net", f"eth0 mtu 1500 mac {MAC}")
    result.expect("link", "eth0 up")
    result.expect("ping", f"{ADDRESS} ok")
    result.expect("tcp-send", STREAM_DIGEST)
    result.expect("tcp-recv", STREAM_DIGEST)
    result.expect("disk-write", f"nvme0n1 {SIZE} {hashlib.sha256(pattern(DISK_SEED, SIZE)).hexdigest()}")
    for peer, outcome in zip(peers, (STREAM_DIGEST, "sent", "answered")):
        peer.expect(outcome)
    times, vectors = interrupts(result, "eth0")
    # A frame each way is at least an interrupt for every 64 of them; three vectors: mail, send, receive.
    if times < 2 * SIZE // 1500 // 64 or vectors < 2:
        raise Failure(f"{times} interrupts of the VF over {vectors} vectors")
    interrupts(result, "nvme0")


def second_boot(tests, host, interface):
    """The devices begin anew, whatever the guest before did to them; the disk has kept what it was given."""
    result = tests.boot((*NET_COMMANDS, "interrupts:eth0", "disk-check:nvme0n1", "interrupts:nvme0"),
                        *vfio(host.vf, interface), *vfio(NVME, interface))
    result.expect_status(POWER_OFF)
    result.expect("ping", f"{ADDRESS} ok")
    result.expect("disk-check", f"nvme0n1 {DISK_BYTES} {DISK_DIGEST}")
    interrupts(result, "eth0")
    interrupts(result, "nvme0")


def isolation(tests, interface):
    """A guest has its device write to and read from memory of the host, by its physical addresses, and to
    what follows its own memory."""
    victims = Victims(2, above=GUEST_MEMORY)
    run("dmesg", "--clear")
    result = tests.bare(f"serial=husk-nvme-0 frames={':'.join(map(str, victims.frames))}", *vfio(NVME, interface))
    result.expect_status(POWER_OFF)
    if "FAIL" in result.output or "ok: memory beside" not in result.output:
        raise Failure(result.tail())
    aimed = {int(at, 16) // PAGE: int(read, 16)
             for at, read in re.findall(r"aimed at (0x[0-9a-f]+): read (0x[0-9a-f]+)", result.output)}
    if set(aimed) != {*victims.frames, GUEST_MEMORY // PAGE}:
        raise Failure(f"aimed at frames {sorted(aimed)}\n{result.tail()}")
    victims.check()
    for frame in victims.frames:
        victims.check_secret(frame, aimed[frame])
    check_faults(log(), NVME, aimed)


def back_to_the_host(host):
    """Both devices work with the host's drivers as before."""
    host.unbind(host.vf, NVME)
    if (driver(host.vf), driver(NVME)) != ("igbvf", "nvme"):
        raise Failure(f"drivers: {driver(host.vf)}, {driver(NVME)}")
    host.ping_from(host.vf)
    with open(f"/dev/{host.disk_of(NVME)}", "rb") as disk:
        if hashlib.sha256(disk.read(DISK_BYTES)).hexdigest() != DISK_DIGEST:
            raise Failure("the disk does not hold what the guest wrote")


def main():
    with Guests("group|iommufd") as tests:
        interface = tests.more[0]
        if interface not in INTERFACES:
            sys.exit(f"{interface}: not one of {INTERFACES}")
        hosts = []
        tests.case("host", lambda: hosts.append(Host(tests.husk)))
        for host in hosts:
            tests.case("first boot", first_boot, tests, host, interface)
            tests.case("second boot", second_boot, tests, host, interface)
            tests.case("isolation", isolation, tests, interface)
            tests.case("back to the host", back_to_the_host, host)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
