# SPDX-License-Identifier: Apache-2.0
"""The agent as PID 1 of a husk VM, spoken to over vsock; see agent.py."""
import os
import pathlib
import socket
import subprocess
import time

import agent

TOP = pathlib.Path(__file__).resolve().parents[3]
MODULES = "virtio_mmio,virtio_blk,virtio-rng,vmw_vsock_virtio_transport,ext4,overlay,erofs,loop"
PATIENCE_S = 300


class Guest:
    """root is a disk with the id "root", whose other disk is "scratch"; both are volumes of those names."""

    def __init__(self, directory, husk, program, kernel):
        self.directory = pathlib.Path(directory)
        os.chmod(self.directory, 0o755)
        self.kernel = pathlib.Path(kernel)
        self.log_path = self.directory / "console"
        sockets = self.directory / "sockets"
        sockets.mkdir()
        os.chmod(sockets, 0o755)
        self.socket_path = sockets / "v"
        agent.make_root(self.directory / "root")
        self.disk("root", self.directory / "root", "32M")
        self.disk("scratch", None, "32M")
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [husk, "run", "-k", str(self.kernel), "-i", str(self.initrd(program)), "-m", "512M",
             "-a", "quiet panic=-1", "--vsock", f"cid=77,path={self.socket_path}",
             "-d", f"{self.directory}/root.img,id=root,ro", "-d", f"{self.directory}/scratch.img,id=scratch"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        self.control = agent.Control(self.connect(PATIENCE_S))
        call = self.control.call
        call("volume.add", volume="root", disk="root", fstype="ext4", readonly=True)
        call("volume.add", volume="scratch", disk="scratch", fstype="ext4")
        self.root = "/run/husk/volumes/root"

    def disk(self, name, source, size):
        image = self.directory / f"{name}.img"
        image.touch()
        os.truncate(image, int(size.rstrip("M")) << 20)
        os.chmod(image, 0o666)
        fill = ["-d", str(source)] if source else []
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", *fill, str(image)], check=True)

    def initrd(self, program):
        target = self.directory / "initrd.cpio"
        modules = self.kernel.parent / "modules"
        extra = ["--modules-from", modules, "--modules", MODULES] if modules.exists() else []
        subprocess.run([TOP / "guest/initramfs/build", "--init", program, *extra, target], check=True)
        return target

    def connect(self, patience_s=60):
        deadline = time.monotonic() + patience_s
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_S)
            try:
                sock.connect(str(self.socket_path))
                sock.sendall(b"CONNECT 1024\n")
                answer = b""
                while not answer.endswith(b"\n") and (byte := sock.recv(1)):
                    answer += byte
                if answer.startswith(b"OK "):
                    return sock
            except OSError:
                pass
            sock.close()
            agent.require(self.process.poll() is None, f"the VM has ended: {self.messages()}")
            agent.require(time.monotonic() < deadline, f"nobody listens in the VM: {self.messages()}")
            time.sleep(0.2)

    def new_control(self):
        return agent.Control(self.connect())

    def stream(self, container, process, name):
        connection = agent.Connection(self.connect())
        connection.hello(role="stream", container=container, process=process, stream=name)
        return connection

    def dial(self, address, port):
        connection = agent.Connection(self.connect())
        connection.hello(role="dial", address=address, port=port)
        return connection.socket

    def agent_has_capability(self, name):
        return True

    def messages(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def alive(self):
        return self.process.poll() is None

    def end(self):
        try:
            self.control.call("shutdown")
            status = self.process.wait(PATIENCE_S)
        except (OSError, EOFError, agent.Refused, subprocess.TimeoutExpired) as error:
            status = error
            self.process.kill()
            self.process.wait()
        self.log.close()
        return None if status == 0 else f"the VM ended with {status}: {self.messages()}"
