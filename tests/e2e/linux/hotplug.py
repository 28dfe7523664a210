#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux sees drives and network devices come and go, without being told to look: ACPI hot-plug."""
import hashlib
import subprocess
import sys
import time

from husktest import POWER_OFF, Failure, Result, Tests, debian_kernel, pattern
from net import Namespace

MIB = 1 << 20
PATIENCE_S = 400  # of the lab's emulated processor


class Guest:
    """husk run with a control socket, whose output is read as it comes."""

    def __init__(self, tests, commands, wrap):
        self.husk = tests.husk
        self.socket = str(tests.path / "api.sock")
        self.output = tests.path / "output"
        with open(self.output, "wb") as output:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                wrap(tests.command(debian_kernel(), commands, "--transport", "pci", "--api-sock",
                                   self.socket)),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def said(self):
        return Result(None, self.output.read_text(errors="replace"), "")

    def wait_for(self, name, value):
        deadline = time.monotonic() + PATIENCE_S
        while self.said().values.get(name) != value:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"the guest never said {name}: {value}\n{self.said().tail()}")
            time.sleep(0.2)

    def vm(self, *words):
        result = subprocess.run([self.husk, "vm", words[0], words[1], self.socket, *words[2:]],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if result.returncode:
            raise Failure(f"husk vm {' '.join(words)}: {result.stderr}{self.said().tail()}")

    def finish(self):
        self.process.wait(timeout=PATIENCE_S)
        result = self.said()
        result.status = self.process.returncode
        result.expect_status(POWER_OFF)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def with_guest(tests, commands, body, wrap=list):
    guest = Guest(tests, commands, wrap)
    try:
        body(guest)
    finally:
        guest.end()


def drives(tests):
    """A disk comes, is read by checksum, goes, and another one takes its place."""
    first, second = tests.path / "first.img", tests.path / "second.img"
    first.write_bytes(pattern(11, 2 * MIB))
    second.write_bytes(bytes(2 * MIB))
    digest = hashlib.sha256(first.read_bytes()).hexdigest()

    def body(guest):
        guest.wait_for("cpus", "1")
        guest.vm("drive", "add", f"{first},id=data,ro")
        guest.wait_for("disk-check", f"vda {2 * MIB} {digest}")
        guest.vm("drive", "remove", "data")
        guest.wait_for("wait-no-device", "vda")
        guest.vm("drive", "add", f"{second},id=data")
        guest.wait_for("disk-write", f"vda {MIB} {hashlib.sha256(pattern(7, MIB)).hexdigest()}")
        guest.finish()

    with_guest(tests, "cpus,wait-device:block:vda,disk-check:vda,wait-no-device:block:vda,"
               "wait-device:block:vda,disk-write:vda:7:1M", body)
    if second.read_bytes() != pattern(7, MIB) + bytes(MIB):
        raise Failure("the image does not hold what the guest wrote")


def nets(tests):
    """An interface comes, reaches the host, and goes."""
    def body(guest):
        guest.wait_for("cpus", "1")
        guest.vm("net", "add", "tap=tap0,id=eth0")
        guest.wait_for("ping", "10.77.0.1 ok")
        guest.vm("net", "remove", "eth0")
        guest.finish()

    with Namespace(1) as namespace:
        with_guest(tests, "cpus,wait-device:net:eth0,net:eth0:10.77.0.2:24,ping:10.77.0.1,"
                   "wait-no-device:net:eth0", body, namespace.command)


def main():
    with Tests() as tests:
        tests.case("a drive comes and goes", drives, tests)
        tests.case("an interface comes and goes", nets, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
