# SPDX-License-Identifier: Apache-2.0
"""What the Linux end-to-end tests share: starting husk, reading husk-init's result lines, reporting.

Each test program takes HUSK INIT (the husk command and the static init program), runs its cases, and
exits with 0 (all passed), 1, or 77 (nothing could be run here). Cases that cannot run print a line
"skipped: NAME: why".
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[3]
KERNELS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                       pathlib.Path.home() / ".cache") / "husk" / "kernels"
SKIPPED = 77

# With a tick that stops, an idle Linux keeps the time before it ends the interrupt that wakes it: in the lab it may
# be interrupted there again, and wait for itself (docs/lab.md).
LAB_WORDS = "nohz=off" if os.environ.get("HUSK_LAB") else ""

# Statuses of `husk run` (husk help run).
POWER_OFF, RESET, PANIC, TRIPLE_FAULT, HOST_REQUEST, MONITOR_ERROR = 0, 120, 121, 122, 123, 125


class Failure(Exception):
    pass


class Skip(Exception):
    pass


class Result:
    def __init__(self, status, output, errors):
        self.status = status
        self.output = output
        self.errors = errors
        # A console ends its lines with \r\n, and the kernel may have written in the same line.
        self.values = {}
        for line in output.replace("\r", "").splitlines():
            match = re.search(r"husk-init: ([a-z0-9-]+): (.*)$", line)
            if match:
                self.values.setdefault(match[1], match[2])

    def expect(self, name, value):
        found = self.values.get(name)
        if found != value:
            raise Failure(f"{name} is {found!r}, not {value!r}\n{self.tail()}")

    def expect_status(self, status):
        if self.status != status:
            raise Failure(f"exit status {self.status}, not {status}\n{self.tail()}")

    def tail(self):
        lines = (self.output + "\n--- standard error\n" + self.errors).splitlines()
        return "\n".join("    " + line for line in lines[-40:])


class Tests:
    """Runs cases by name and keeps count. Used as a context manager for its temporary directory.
    `more` names what a program takes beside HUSK and INIT."""

    def __init__(self, *more):
        if len(sys.argv) != 3 + len(more):
            sys.exit(f"usage: {' '.join((sys.argv[0], 'HUSK', 'INIT', *more))}")
        self.husk, self.init = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
        self.more = sys.argv[3:]
        self.directory = tempfile.TemporaryDirectory(prefix="husk-e2e-")
        self.path = pathlib.Path(self.directory.name)
        self.passed = self.failed = self.skipped = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.directory.cleanup()

    def case(self, name, function, *arguments):
        started = time.monotonic()
        try:
            function(*arguments)
        except Skip as reason:
            self.skipped += 1
            print(f"skipped: {name}: {reason}", flush=True)
        except (Failure, subprocess.TimeoutExpired, OSError) as error:
            self.failed += 1
            print(f"FAILED: {name}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok: {name} ({time.monotonic() - started:.2f} s)", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        if self.failed:
            return 1
        return 0 if self.passed else SKIPPED

    def initrd(self, kernel):
        """The initial RAM disk that fits a kernel, made once."""
        modules = pathlib.Path(kernel).parent / "modules"
        target = self.path / f"{'debian' if modules.exists() else 'own'}.cpio"
        if not target.exists():
            command = [TOP / "guest/initramfs/build", "--init", self.init]
            if modules.exists():
                command += ["--modules-from", modules,
                            "--modules", f"@{TOP / 'guest/initramfs/debian-modules'}"]
            subprocess.run([*command, target], check=True)
        return target

    def command(self, kernel, commands, *options, append=""):
        return [self.husk, "run", "-k", str(kernel), "-i", str(self.initrd(kernel)),
                "-a", f"quiet {LAB_WORDS} {append} husk.run={commands}", *map(str, options)]

    def run(self, kernel, commands, *options, append="", stdin=subprocess.DEVNULL, timeout=300):
        result = subprocess.run(self.command(kernel, commands, *options, append=append), stdin=stdin,
                                capture_output=True, timeout=timeout, check=False)
        return Result(result.returncode, result.stdout.decode(errors="replace"),
                      result.stderr.decode(errors="replace"))


def own_kernel(name="vmlinux"):
    path = KERNELS / "guest" / name
    if not path.exists():
        raise Skip("the guest kernel is not built (guest/kernel/build)")
    return path.resolve()


def debian_kernel():
    path = KERNELS / "debian-cloud" / "vmlinuz"
    if not path.exists():
        raise Skip("Debian's cloud kernel is not here (guest/kernel/fetch-debian)")
    return path.resolve()


def any_kernel():
    try:
        return own_kernel()
    except Skip:
        return debian_kernel()


def pattern(seed, length):
    """The byte pattern of guest/initramfs/init.c, pattern_fill()."""
    mask = (1 << 64) - 1
    out = bytearray()
    for word in range((length + 7) // 8):
        x = ((word + 1) * 0x9E3779B97F4A7C15 ^ seed * 0xD1342543DE82EF95) & mask
        x ^= x >> 12
        x ^= x << 25 & mask
        x ^= x >> 27
        out += (x * 0x2545F4914F6CDD1D & mask).to_bytes(8, "little")
    return bytes(out[:length])
