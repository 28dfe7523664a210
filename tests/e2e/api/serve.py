# SPDX-License-Identifier: Apache-2.0
"""A running `husk serve` in a directory of its own, and what its tests share."""
import os
import pathlib
import subprocess
import tempfile
import time

import e2e
from client import Client

# The wait between a client's looks at the socket, as the Go SDK does it.
POLL_S = 0.01
# Firecracker's exit statuses.
OK, ERROR, BAD_CONFIGURATION, ARGUMENTS = 0, 1, 152, 153


class Server(e2e.Machine):
    """`husk serve`, ready for requests unless wait=False. Its guest's console is `output`. TRANSPORT chooses its bus."""

    # pylint: disable=super-init-not-called
    def __init__(self, *options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, prefix=(), wait=True,
                 directory=None, program=None, api=True):
        self.owned = None if directory else tempfile.TemporaryDirectory(prefix="husk-api-")
        self.directory = pathlib.Path(directory or self.owned.name)
        self.socket = self.directory / "api.socket"
        command = [*prefix, *(program or (e2e.HUSK, "serve"))]
        if api:
            command += ["--api-sock", str(self.socket)]
        if e2e.TRANSPORT == "pci":
            command.append("--enable-pci")
        self.output = ""
        self.seen = 0
        self.errors = tempfile.TemporaryFile()
        self.clients = []
        # A sanitized build keeps freed memory, which is not growth.
        environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        self.process = subprocess.Popen([*command, *map(str, options)], stdin=stdin, stdout=stdout,
                                        env=environment,
                                        stderr=self.errors, cwd=self.directory)
        self.out = self.process.stdout
        self.api = None
        if wait:
            try:
                self.api = self.wait_for_socket()
            except BaseException:
                self.__exit__()
                raise

    def __exit__(self, *_):
        for client in self.clients:
            client.close()
        super().__exit__()
        if self.owned:
            self.owned.cleanup()

    def transcript(self):
        """The end of it: some guests here say a lot."""
        return f"--- guest\n{self.output[-3000:]}--- husk\n{self.error_text()[-3000:]}---"

    def client(self):
        self.clients.append(Client(self.socket))
        return self.clients[-1]

    def wait_for_socket(self):
        """Look for the socket, then ask over it, until there is an answer."""
        deadline = time.monotonic() + e2e.PATIENCE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise e2e.Failure(f"ended with {self.process.returncode}\n{self.transcript()}")
            if os.path.exists(self.socket):
                client = self.client()
                try:
                    client.get("/machine-config")
                    return client
                except e2e.Failure as failure:
                    if "ConnectionRefused" not in str(failure):
                        raise
            time.sleep(POLL_S)
        raise e2e.Failure(f"no socket within {e2e.PATIENCE_S} s\n{self.transcript()}")

    def configure(self, guest="served", args="", **boot):
        """The least a guest needs."""
        self.api.put("/boot-source", {"kernel_image_path": guest_path(guest), "boot_args": args, **boot})

    def start(self, guest="served", args="", ready="ready"):
        self.configure(guest, args)
        self.api.action("InstanceStart")
        if ready:
            self.expect(ready)
        return self

    def disk(self, name, letter, sectors=64):
        return make_disk(self.directory / name, letter, sectors)

    def ticks(self, more):
        """Wait until the guest has said so many more ticks from now on: it makes progress."""
        self.drain()
        whole = self.output.split("\n")[:-1]  # the last line may have come in part
        last = [int(line.split()[1]) for line in whole if line.startswith("tick ") and line[5:].strip().isdigit()]
        self.expect(f"tick {(last[-1] if last else 0) + more}\n")

    def drain(self):
        """Take what is in the pipe by now."""
        os.set_blocking(self.out.fileno(), False)
        try:
            while data := os.read(self.out.fileno(), 65536):
                self.output += data.decode("utf-8", "replace")
        except BlockingIOError:
            pass
        finally:
            os.set_blocking(self.out.fileno(), True)

    def resident_kib(self):
        """What the process holds in RAM; the guest's memory is part of it."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def ended(self, status):
        """Wait for the end whatever the console says."""
        try:
            found = self.process.wait(e2e.PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise e2e.Failure(f"did not end\n{self.transcript()}") from None
        if found != status:
            raise e2e.Failure(f"exit status {found}, not {status}\n{self.transcript()}")

    def finish_badly(self, words):
        """It must end with Firecracker's status for errors or for a bad configuration, and say these words."""
        deadline = time.monotonic() + e2e.PATIENCE_S
        while self.read_more(deadline):
            pass
        status = self.process.wait(e2e.PATIENCE_S)
        if status not in (ERROR, BAD_CONFIGURATION):
            raise e2e.Failure(f"exit status {status}\n{self.transcript()}")
        for word in words:
            e2e.require(word in self.error_text(), f"{word!r} is not in {self.error_text()!r}")


def guest_path(name):
    return str(e2e.GUESTS.resolve() / f"{name}.elf")


def make_disk(path, letter, sectors=64):
    """A disk that begins with this letter, and its path."""
    path.write_bytes(letter.encode() + bytes(sectors * 512 - 1))
    return str(path)


def boot_source(guest="served", args="tick"):
    return {"kernel_image_path": guest_path(guest), "boot_args": args}


def drive(drive_id, path, root=False, **more):
    return {"drive_id": drive_id, "path_on_host": path, "is_root_device": root, "is_read_only": False, **more}


def need_serve():
    """Skip where the command is built without the control socket."""
    e2e.need_kvm()
    result = subprocess.run([e2e.HUSK, "serve", "--version"], capture_output=True, check=False)
    if result.returncode:
        e2e.skip(f"{e2e.HUSK} serve is not there: {result.stderr.decode(errors='replace').strip()}")


def status_of(text):
    """Of the answer to bytes that were no proper request; None when there was none."""
    if not text:
        return None
    words = text.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise e2e.Failure(f"no HTTP: {text[:200]!r}")
    return int(words[1])

