#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""virtio-rng and virtio-console."""
import re
import time

import e2e


def test_entropy():
    e2e.run("rng")


def test_without_entropy_device():
    with e2e.Machine("rng", "", "--no-rng") as machine:
        while machine.read_more(time.monotonic() + e2e.PATIENCE_S):
            pass
        e2e.require(machine.process.wait() == 1, "the guest found one")
        e2e.require("FAIL: rng: none" in machine.output, machine.transcript())


def test_console_echo():
    with e2e.Machine("console", "", "--console", "virtio") as machine:
        machine.expect("type: lines\n")
        for line in ("short", "x" * 200, "another one"):
            machine.send(line + "\n")
            machine.expect(f"echo: {line}\n")
        machine.send("quit\n")
        machine.expect("echo: quit\n")
        machine.finish()


def test_console_flood():
    """Lines far faster than the guest echoes them: all come back, in order."""
    lines = [f"line {n} of many" for n in range(400)]
    with e2e.Machine("console", "", "--console", "virtio") as machine:
        machine.expect("type: lines\n")
        machine.send("".join(line + "\n" for line in lines) + "quit\n")
        output = machine.finish()
    echoed = re.findall(r"echo: (line .*)", output)
    e2e.require(echoed == lines, f"{len(echoed)} of {len(lines)} lines came back, or in disorder")


def test_no_console():
    """Without a console the guest's output goes nowhere and its end is still known."""
    with e2e.Machine("exit", "status=4", "--console", "none") as machine:
        e2e.require(machine.finish(4) == "", "there was output")


e2e.need_kvm()
e2e.main(globals())
