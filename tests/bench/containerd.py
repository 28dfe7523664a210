# SPDX-License-Identifier: Apache-2.0
"""containerd with runc, as a peer: a daemon of our own, with its directories and socket in one of our own."""
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import time

PATIENCE_S = 120
NEEDS = ("containerd", "ctr", "runc")


def missing():
    """What of it is not installed."""
    return [name for name in NEEDS if not shutil.which(name)]


class Containerd:
    """A daemon, while the context lasts."""

    def __init__(self):
        # A tmpfs: overlayfs does not lie over another, as the lab's root is.
        self.top = top = pathlib.Path(tempfile.mkdtemp(prefix="husk-ctr-", dir="/dev/shm"))
        self.address = f"{top}/s"
        config = top / "config.toml"
        config.write_text(f'version = 2\nroot = "{top}/root"\nstate = "{top}/state"\n'
                          f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.address}"\n')
        with open(top / "log", "wb") as log:
            self.daemon = subprocess.Popen(["containerd", "-c", config], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log)

    def __enter__(self):
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(self.words("version"), capture_output=True, check=False).returncode:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"containerd did not come up:\n{(self.top / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.daemon.terminate()
        self.daemon.wait(PATIENCE_S)
        shutil.rmtree(self.top, ignore_errors=True)

    def words(self, *words):
        return ["ctr", "-a", self.address, *map(str, words)]

    def load(self, layout):
        """An image from an OCI layout; its name there."""
        archive = self.top / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(layout, arcname=".")
        subprocess.run(self.words("image", "import", "--snapshotter", "overlayfs", archive), check=True,
                       capture_output=True, timeout=PATIENCE_S)
        listed = subprocess.run(self.words("image", "ls", "-q"), check=True, capture_output=True, text=True).stdout
        return listed.split()[0]

    def run(self, image, name, *command):
        """The words of a run that removes itself."""
        return self.words("run", "--rm", "--snapshotter", "overlayfs", image, name, *command)
