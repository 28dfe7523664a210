#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ways in which a machine ends, and the exit status of each."""
import signal
import time

import e2e


def test_guest_status():
    e2e.run("exit", needs_ok=False)
    for status in (0, 1, 9):
        e2e.run("exit", f"status={status}", status=status, needs_ok=False)
    e2e.run("reset", "do=exit exit=118", status=118, needs_ok=False)
    # Above that husk's own statuses begin.
    e2e.run("reset", "do=exit exit=255", status=118, needs_ok=False)


def test_power_off():
    e2e.run("reset", "do=poweroff", needs_ok=False)


def test_reset():
    for way in ("keyboard", "reset"):
        e2e.run("reset", f"do={way}", status=e2e.RESET, needs_ok=False)


def test_panic():
    e2e.run("reset", "do=panic", status=e2e.PANIC, needs_ok=False)


def test_triple_fault():
    e2e.run("reset", "do=triple", status=e2e.TRIPLE_FAULT, needs_ok=False)


def test_every_processor_ends():
    for way, status in (("poweroff", 0), ("triple", e2e.TRIPLE_FAULT)):
        e2e.run("reset", f"do={way}", "-c", "4", status=status, needs_ok=False)


def stop_from_host(way, number):
    with e2e.Machine("reset", f"do={way}", "-c", "2") as machine:
        machine.expect("ready")
        time.sleep(0.1)
        began = time.monotonic()
        machine.process.send_signal(number)
        machine.finish(e2e.HOST_REQUEST)
        e2e.require(time.monotonic() - began < 30, "stopping took half a minute")


def test_stop_from_host():
    for number in (signal.SIGTERM, signal.SIGINT):
        stop_from_host("halt", number)
        stop_from_host("spin", number)


def test_unreadable_kernel():
    with e2e.Machine("no-such-guest") as machine:
        machine.finish(e2e.MONITOR_ERROR)
        e2e.require("no-such-guest.elf" in machine.error_text(), "the message names no file")


e2e.need_kvm()
e2e.main(globals())
