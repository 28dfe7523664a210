#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""COM1: registers, dialogue, floods on both sides."""
import os
import pathlib
import subprocess
import time

import e2e


def test_dialogue():
    with e2e.Machine("uart") as machine:
        machine.expect("type: polled")
        machine.send("a polled line\n")
        machine.expect("got: a polled line")
        machine.expect("type: interrupts")
        machine.send("a line by interrupts\n")
        machine.expect("got: a line by interrupts")
        machine.finish()


def test_input_that_came_early():
    """More than a FIFO holds, most of it before the guest asks."""
    with e2e.Machine("uart") as machine:
        machine.expect("type: polled")
        machine.send("first of two lines, much longer than a FIFO\nand the second one\n")
        machine.expect("got: first of two lines, much longer than a FIFO\n")
        machine.expect("got: and the second one\n")
        machine.finish()


def resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_input_flood_keeps_memory_constant():
    with e2e.Machine("reset", "do=halt") as machine:
        machine.expect("ready")
        os.set_blocking(machine.process.stdin.fileno(), False)
        before = resident_bytes(machine.process.pid)
        accepted = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and accepted < 64 << 20:
            try:
                accepted += os.write(machine.process.stdin.fileno(), bytes(65536))
            except BlockingIOError:
                time.sleep(0.01)
        grown = resident_bytes(machine.process.pid) - before
        e2e.require(accepted < 4 << 20, f"{accepted} bytes went into a guest that reads none")
        e2e.require(grown < 4 << 20, f"grew by {grown} bytes")
        machine.process.terminate()
        machine.finish(e2e.HOST_REQUEST)


def test_slow_reader_loses_nothing():
    """A guest that says more than pipe and ring hold, read only after it stood still."""
    with e2e.Machine("flood", "lines=4000", stdin=subprocess.DEVNULL) as machine:
        time.sleep(1.5)
        output = machine.finish()
    lines = [line for line in output.splitlines() if line.startswith("line ")]
    e2e.require(lines == [f"line {n} of a guest that has much to say" for n in range(4000)],
                f"{len(lines)} of 4000 lines came, or they are damaged")


def test_reader_that_goes_away():
    """The guest runs on when nobody wants to read any more."""
    with e2e.Machine("flood", "lines=3000 status=5", stdin=subprocess.DEVNULL) as machine:
        machine.expect("line 10 ")
        machine.out.close()
        status = machine.process.wait(e2e.PATIENCE_S)
        e2e.require(status == 5, f"exit status {status}")


def test_closed_input():
    with e2e.Machine("uart", stdin=subprocess.DEVNULL) as machine:
        machine.expect("type: polled")
        time.sleep(0.2)
        e2e.require(machine.process.poll() is None, "ended with its input")
        machine.process.terminate()
        machine.finish(e2e.HOST_REQUEST)


e2e.need_kvm()
e2e.main(globals())
