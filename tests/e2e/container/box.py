# SPDX-License-Identifier: Apache-2.0
"""What the tests of `husk run IMAGE` share: an image of busybox, a store and a directory of containers of
their own, running the command with and without a terminal, and seeing that nothing is left.
"""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import termios
import time
import tty

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oci"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "agent"))

# pylint: disable=wrong-import-position
import e2e
import groups
import images
from e2e import Failure, require

PATIENCE_S = int(os.environ.get("HUSK_TEST_PATIENCE_S", "180"))
APPLETS = ("sh cat ls id ps sleep echo stty tty kill yes head true false env pwd wc date touch dd grep tr test "
           "sed mkdir rm tail hostname df mount umount sync readlink ln").split()
PASSWD = b"root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"
GROUP = b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"


def layers():
    """Two layers: busybox; and what an image has over it."""
    links = [("bin/" + name, b"", {"type": tarfile.SYMTYPE, "linkname": "busybox"}) for name in APPLETS]
    busybox = pathlib.Path("/bin/busybox").read_bytes()
    base = [*map(images.directory, ("bin", "etc", "proc", "dev", "sys", "tmp", "data")),
            ("bin/busybox", busybox, {"mode": 0o755}), *links]
    return [images.tar_of(base),
            images.tar_of([images.directory("etc"), ("etc/passwd", PASSWD), ("etc/group", GROUP),
                           ("etc/not-executable", b"x")])]


def make_root(path):
    """The same as a directory."""
    for layer in layers():
        with tarfile.open(fileobj=__import__("io").BytesIO(layer)) as tar:
            tar.extractall(path)


class Box:
    """`husk` with an image "busybox" in a store of its own, and containers of its own."""

    def __init__(self, options=(), **environment):
        self.options = list(options)  # of every `husk run` and `husk create`
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="husk-box-"))
        self.state = self.top / "state"
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR")}
        self.environment.update(HUSK_STORE=str(self.top / "store"), HUSK_STATE=str(self.state),
                                HUSK_NATIVE_RUN=groups.RUN, **environment)
        image = images.Image(layers(), config={"Cmd": ["sh", "-c", "echo default command"],
                                               "Env": ["PATH=/bin", "FROM_IMAGE=yes"]})
        images.layout(self.top / "layout", [images.named(image, "latest")], image.blobs)
        self.husk("image", "load", "-q", "--name", "busybox", self.top / "layout")
        shutil.rmtree(self.top / "layout")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clean()
        shutil.rmtree(self.top, ignore_errors=True)

    def clean(self):
        """Removes what a failed case has left."""
        for name in self.names():
            subprocess.run([e2e.HUSK, "rm", "-f", name], env=self.environment, stdout=subprocess.DEVNULL,
                           timeout=PATIENCE_S, check=False)

    def command(self, *words):
        words = list(map(str, words))
        return [e2e.HUSK, words[0], *(self.options if words[0] in ("run", "create") else []), *words[1:]]

    def start(self, *words, **more):
        return subprocess.Popen(self.command(*words), env=self.environment,
                                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                                   "stderr": subprocess.PIPE, **more})

    def husk(self, *words, status=0, data=None, errors=None, **more):
        """Standard output of a call that ends with this status. Without `errors` it must say nothing on standard
        error where it succeeds."""
        with self.start(*words, **{"stdin": subprocess.PIPE, **more}) as process:
            try:
                out, err = process.communicate(data or b"", timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise Failure(f"{words} does not end\n{out!r}\n{err!r}") from None
        if process.returncode != status:
            raise Failure(f"{words}: exit status {process.returncode}, not {status}\n{out!r}\n{err!r}\n{self.why()}")
        if errors is not None:
            require(re.search(errors, err.decode(errors="replace")), f"{words}: {err!r} has no {errors!r}")
        elif status == 0:
            require(not err, f"{words}: said {err!r}")
        return out.decode(errors="replace")

    def run(self, *words, **more):
        return self.husk("run", *words, **more)

    def refuse(self, text, *words, status=125, **more):
        """One line that has the text in it, and nothing left."""
        before = self.names()
        with self.start(*words, **more) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        said = err.decode(errors="replace")
        require(process.returncode == status, f"{words}: {process.returncode}, not {status}: {said!r}")
        require(said.count("\n") == 1 and said.startswith("husk: ") and text in said,
                f"{words}: no line with {text!r}: {said!r}")
        require(not out, f"{words}: printed {out!r}")
        require(self.names() == before, f"{words}: left {self.names()}")

    def names(self):
        if not self.state.exists():
            return []
        return sorted(path.name for path in self.state.iterdir() if path.is_dir())

    def why(self):
        """What the supervisors said."""
        return "\n".join(f"{path}: {path.read_text(errors='replace')}" for path in self.state.glob("*/errors"))

    def detached(self, *words):
        """Starts one in the background; its name."""
        name = f"c{time.monotonic_ns()}"
        identity = self.run("-d", "--name", name, *words).strip()
        require(re.fullmatch("[0-9a-f]{64}", identity), identity)
        return name

    def inspect(self, name):
        return json.loads(self.husk("inspect", name))[0]

    def wait_for(self, what, holds):
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            require(time.monotonic() < deadline, f"waited for {what}")
            time.sleep(0.02)


class Terminal:
    """A `husk` on a terminal of its own, whose keys and screen are ours."""

    def __init__(self, box, *words, columns=80, rows=24):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (rows, columns))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.seen, self.screen = 0, ""
        self.process = subprocess.Popen(box.command(*words), env=box.environment, stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def read_more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.master], [], [], left)[0]:
            raise Failure(f"nothing more; the screen: {self.screen!r}")
        self.screen += os.read(self.master, 65536).decode(errors="replace")

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen[self.seen:]:
            self.read_more(deadline)
        self.seen = self.screen.index(text, self.seen) + len(text)

    def send(self, text):
        os.write(self.master, text.encode())

    def resize(self, columns, rows):
        termios.tcsetwinsize(self.slave, (rows, columns))

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def finish(self, status=0):
        """The end, with the terminal as it was."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            require(time.monotonic() < deadline, f"does not end; the screen: {self.screen!r}")
            if select.select([self.master], [], [], 0.05)[0]:
                self.screen += os.read(self.master, 65536).decode(errors="replace")
        require(self.process.returncode == status,
                f"exit status {self.process.returncode}, not {status}; the screen: {self.screen!r}")
        require(termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was")
