#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each way in which a Linux guest ends has its exit status; so has each way to end it."""
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

from husktest import (Failure, HOST_REQUEST, PANIC, POWER_OFF, RESET, Result, TRIPLE_FAULT, Tests,
                      any_kernel)


def ends_with(tests, commands, status, *options, append=""):
    tests.run(any_kernel(), commands, *options, append=append).expect_status(status)


def signalled(tests):
    process = subprocess.Popen(tests.command(any_kernel(), "cpus,sleep:1000"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen = b""
    while b"husk-init: cpus" not in seen:
        part = process.stdout.read1()
        if not part:
            raise Failure("husk ended before the guest was up")
        seen += part
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    Result(process.returncode, (seen + output).decode(), errors.decode()).expect_status(HOST_REQUEST)


class Terminal:
    """husk on a pseudo-terminal that we type on."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b""
        # A session of its own, whose controlling terminal is the slave, as under a shell.
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, preexec_fn=self.take_terminal)

    @staticmethod
    def take_terminal():
        import fcntl
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def wait_for(self, text, seconds=240):
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            if time.monotonic() > deadline:
                raise Failure(f"no {text!r} within {seconds} s: {self.seen[-800:]!r}")
            if select.select([self.master], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.master, 4096)
                except OSError as error:
                    raise Failure(f"the terminal closed before {text!r}: {self.seen[-800:]!r}") from error
            elif self.process.poll() is not None:
                raise Failure(f"husk ended with {self.process.returncode}: {self.seen[-800:]!r}")

    def type(self, keys):
        os.write(self.master, keys)

    def end(self):
        """Its exit status; the terminal must be as it was."""
        deadline = time.monotonic() + 120
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 4096)
        if self.process.poll() is None:
            self.process.kill()
            raise Failure(f"husk did not end: {self.seen[-800:]!r}")
        after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        os.close(self.master)
        if after != self.before:
            raise Failure("the terminal's mode was not restored")
        return self.process.returncode


def typed(tests, commands, prompt, keys, status, *options):
    terminal = Terminal(tests.command(any_kernel(), commands, *options))
    terminal.wait_for(prompt)
    terminal.type(keys)
    found = terminal.end()
    if found != status:
        raise Failure(f"exit status {found}, not {status}: {terminal.seen[-800:]!r}")


def echoed(tests, console):
    terminal = Terminal(tests.command(any_kernel(), "console-size,echo", "--console", console))
    terminal.wait_for(b"husk-init: ready: echo")
    terminal.type(b"some words\r")
    terminal.wait_for(b"husk-init: echo: some words")
    if terminal.end() != POWER_OFF:
        raise Failure("the guest did not power off")


def piped(tests):
    command = tests.command(any_kernel(), "echo")
    result = subprocess.run(command, input=b"from a pipe\n", capture_output=True, timeout=300, check=False)
    result = Result(result.returncode, result.stdout.decode(), result.stderr.decode())
    result.expect_status(POWER_OFF)
    result.expect("echo", "from a pipe")


def main():
    with Tests() as tests:
        tests.case("power-off", ends_with, tests, "poweroff", POWER_OFF)
        tests.case("power-off with 2 CPUs", ends_with, tests, "poweroff", POWER_OFF, "-c", 2)
        tests.case("power-off with 4 CPUs", ends_with, tests, "poweroff", POWER_OFF, "-c", 4)
        tests.case("reboot through ACPI", ends_with, tests, "reboot", RESET)
        tests.case("reboot through the keyboard controller", lambda: ends_with(
            tests, "reboot", RESET, append="reboot=k"))
        tests.case("reboot by triple fault", lambda: ends_with(
            tests, "reboot", TRIPLE_FAULT, append="reboot=t"))
        tests.case("panic", ends_with, tests, "panic", PANIC)
        tests.case("panic with 2 CPUs and virtio console", ends_with, tests, "panic", PANIC, "-c", 2,
                   "--console", "virtio")
        tests.case("debug-exit", ends_with, tests, "exit:42", 42)
        tests.case("SIGTERM", signalled, tests)
        tests.case("Ctrl-A x", typed, tests, "cpus,sleep:1000", b"husk-init: cpus", b"\x01x",
                   HOST_REQUEST)
        tests.case("power button", typed, tests, "wait-power-button", b"ready: power-button",
                   b"\x01p", POWER_OFF)
        tests.case("Ctrl-Alt-Del", typed, tests, "wait-ctrl-alt-del", b"ready: ctrl-alt-del",
                   b"\x01d", POWER_OFF)
        tests.case("keys to the serial console", echoed, tests, "serial")
        tests.case("keys to the virtio console", echoed, tests, "virtio")
        tests.case("a pipe as standard input", piped, tests)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
