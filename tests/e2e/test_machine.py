#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the machine is made of: firmware tables, processors, clock, address space, keyboard."""
import calendar
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import time

import e2e

NR_HUGEPAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


def test_firmware_tables():
    for cpus in (1, 3):
        e2e.run("acpi", f"cpus={cpus}", "-c", str(cpus))


def test_power_off_by_the_tables():
    e2e.run("acpi", "poweroff")


def test_processors():
    for cpus in (1, 2, 4):
        e2e.run("smp", f"cpus={cpus}", "-c", str(cpus))


def test_threads_of_a_core():
    # KVM of the PVM kind shows the host's own feature bits.
    features = "" if os.path.exists("/sys/module/kvm_pvm") else "features"
    for cpus, threads in ((1, 1), (3, 1), (2, 2), (6, 2)):
        e2e.run("cpu", f"cpus={cpus} threads={threads} {features}", "-c", f"{cpus},threads={threads}")


def test_interrupts():
    e2e.run("interrupts", "")


def test_clock():
    before = int(time.time())
    output = e2e.run("rtc")
    moment = [int(part) for part in re.search(r"time: (\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)",
                                              output).groups()]
    e2e.require(before <= calendar.timegm((*moment, 0, 0, 0)) <= time.time(), f"it is {moment}")


def test_address_space():
    e2e.require("string output works" in e2e.run("ports"), "no string output")


def test_memory_sizes():
    for size in ("2M", "64M", "3G", "3073M", "5G"):
        e2e.run("exit", "status=1", "-m", size, status=1, needs_ok=False)
    e2e.run("exit", "status=1", "-m", "64M,shared", status=1, needs_ok=False)


@contextlib.contextmanager
def reserved_huge_pages(count):
    """Have the host reserve so many more. Yields whether it does; takes turns with other tests."""
    with contextlib.ExitStack() as stack:
        try:
            counter = stack.enter_context(open(NR_HUGEPAGES, "r+", encoding="ascii"))
            fcntl.flock(counter, fcntl.LOCK_EX)
            former = int(NR_HUGEPAGES.read_text(encoding="ascii"))
            NR_HUGEPAGES.write_text(f"{former + count}\n", encoding="ascii")
            stack.callback(NR_HUGEPAGES.write_text, f"{former}\n", encoding="ascii")
            there = int(NR_HUGEPAGES.read_text(encoding="ascii")) >= former + count
            why = "the host's memory has no room for them"
        except OSError as error:
            there, why = False, error.strerror
        if not there:
            print(f"skipped: test_machine: cannot reserve huge pages: {NR_HUGEPAGES}: {why}")
        yield there


def test_huge_pages():
    with reserved_huge_pages(16) as there:
        for options in ((), ("--no-jail",)) if there else ():
            for memory in ("32M,hugepages", "32M,shared,hugepages"):
                e2e.run("exit", "status=1", "-m", memory, *options, status=1, needs_ok=False)


def test_keys_of_the_terminal():
    """On a terminal, Ctrl-A p presses the power button and Ctrl-A d Ctrl-Alt-Del."""
    ours, theirs = pty.openpty()
    with e2e.Machine("acpi", "button", stdin=theirs, stdout=theirs,
                     foreground=True) as machine:
        os.close(theirs)
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            machine.out = terminal
            machine.expect("press: button")
            terminal.write(b"\x01p")
            machine.expect("press: ctrl-alt-del")
            terminal.write(b"\x01d")
            machine.finish()


e2e.need_kvm()
e2e.main(globals())
