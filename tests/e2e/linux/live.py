# SPDX-License-Identifier: Apache-2.0
"""A Linux guest that the test talks about while it runs: its output is read as it comes."""
import re
import subprocess
import time

from husktest import POWER_OFF, Failure, Result

PATIENCE_S = 300  # the clock of the lab runs ahead while it waits for files of the host


class Live:
    def __init__(self, tests, command, stdin=subprocess.DEVNULL):
        self.output = tests.path / "output"
        with open(self.output, "wb") as output:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=output,
                                            stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    def said(self):
        return Result(self.process.poll(), self.output.read_text(errors="replace"), "")

    def wait_for(self, line, times=1):
        """Until a line has ended with this so many times; the kernel may have written before it."""
        deadline = time.monotonic() + PATIENCE_S
        wanted = re.compile(rf"{re.escape(line)}\r?$", re.MULTILINE)
        while len(wanted.findall(self.said().output)) < times:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"nobody said {times} times: {line}\n{self.said().tail()}")
            time.sleep(0.2)

    def wait_for_guest(self, name, value, times=1):
        """Until husk-init has reported this so many times."""
        self.wait_for(f"husk-init: {name}: {value}", times)

    def finish(self):
        self.process.wait(timeout=PATIENCE_S)
        self.said().expect_status(POWER_OFF)
