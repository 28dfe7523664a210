# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: running husk with a bare-metal guest, and saying what happened.

A test is a script whose functions test_*() are run in order by main(). It needs HUSK (the command) and
GUESTS (the directory of the guests) in its environment, as ctest sets them. With TRANSPORT=pci the
guests find their devices on a PCI bus.
"""
import fcntl
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import termios
import time
import traceback

HUSK = os.environ.get("HUSK", "husk")
GUESTS = pathlib.Path(os.environ.get("GUESTS", "."))
TRANSPORT = os.environ.get("TRANSPORT", "mmio")
PATIENCE_S = 180
SKIPPED = 77

# Exit statuses of `husk run`.
USAGE, RESET, PANIC, TRIPLE_FAULT, HOST_REQUEST, MONITOR_ERROR = 119, 120, 121, 122, 123, 125


class Failure(Exception):
    pass


def skip(why):
    line = f"{pathlib.Path(sys.argv[0]).stem}: {why}"
    print("skipped: " + line)
    log = os.environ.get("HUSK_SKIP_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    sys.exit(SKIPPED)


def is_sanitized():
    """Sanitizers make system calls of their own, so that such a build has no filters."""
    program = pathlib.Path(HUSK).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def need_kvm():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        skip(f"/dev/kvm: {error.strerror}")


def own_the_terminal():
    """In the child: standard input becomes the controlling terminal, and we its foreground."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Machine:
    """A running `husk run`. Output is collected; expect() waits for a text in it.

    foreground: standard input is a terminal, which is to be the process's own.
    """

    def __init__(self, guest, append="", *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                 prefix=(), foreground=False):
        command = [*prefix, HUSK, "run", "-k", str(GUESTS / f"{guest}.elf"), "-a", append,
                   "--transport", TRANSPORT, *options]
        self.output = ""
        self.seen = 0
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=self.errors,
                                        start_new_session=foreground,
                                        preexec_fn=own_the_terminal if foreground else None)
        self.out = self.process.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def read_more(self, deadline):
        """Returns False at the end of output."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.out], [], [], left)[0]:
            raise Failure(f"nothing more within {PATIENCE_S} s\n{self.transcript()}")
        try:
            data = os.read(self.out.fileno(), 65536)
        except OSError:  # a terminal whose other end is gone
            data = b""
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def transcript(self):
        self.errors.seek(0)
        errors = self.errors.read().decode("utf-8", "replace")
        return f"--- guest\n{self.output}--- husk\n{errors}---"

    def expect(self, text):
        """Wait until `text` comes, behind what was expected before."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.output[self.seen:]:
            if not self.read_more(deadline):
                raise Failure(f"ended without {text!r}\n{self.transcript()}")
        self.seen = self.output.index(text, self.seen) + len(text)

    def send(self, text):
        self.process.stdin.write(text.encode() if isinstance(text, str) else text)
        self.process.stdin.flush()

    def finish(self, status=0):
        """Wait for the end; the guest must not have reported a failure."""
        deadline = time.monotonic() + PATIENCE_S
        while self.read_more(deadline):
            pass
        try:
            ended = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"did not end\n{self.transcript()}") from None
        if ended != status:
            raise Failure(f"exit status {ended}, not {status}\n{self.transcript()}")
        if "FAIL" in self.output:
            raise Failure(f"the guest reports a failure\n{self.transcript()}")
        return self.output

    def error_text(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")


def run(guest, append="", *options, status=0, needs_ok=True):
    """Run a guest that needs no dialogue. Returns its output."""
    with Machine(guest, append, *options, stdin=subprocess.DEVNULL) as machine:
        output = machine.finish(status)
        if needs_ok and "ok: " not in output:
            raise Failure(f"the guest checked nothing\n{machine.transcript()}")
        return output


def require(holds, what):
    if not holds:
        raise Failure(what)


def main(namespace):
    failed = False
    for name, function in namespace.items():
        if not name.startswith("test_") or not callable(function):
            continue
        try:
            function()
            print(f"ok: {name}", flush=True)
        except Failure as failure:
            print(f"FAIL: {name}: {failure}", flush=True)
            failed = True
        except Exception:  # pylint: disable=broad-except
            print(f"FAIL: {name}:\n{traceback.format_exc()}", flush=True)
            failed = True
    sys.exit(1 if failed else 0)
