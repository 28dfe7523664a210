#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux behind the control socket, started as the Go SDK starts it: root on the root drive, ended by
SendCtrlAltDel, paused and resumed, given another disk while it runs."""
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys

from husktest import SKIPPED, Failure, Skip, TOP, Tests, any_kernel, own_kernel, pattern

MIB = 1 << 20
# What the SDK and firectl pass on when nothing else is asked for; and less talk.
ARGS = "ro console=ttyS0 noapic reboot=k panic=1 pci=off nomodules quiet"

sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "tests/e2e/api")]
os.environ["HUSK"] = sys.argv[1] if len(sys.argv) > 1 else "husk"

# pylint: disable=wrong-import-position
import e2e  # noqa: E402
import serve  # noqa: E402

e2e.PATIENCE_S = 300  # of the lab's emulated processor


def root_disk(tests):
    """A file system with our init as its only program."""
    if not shutil.which("mkfs.ext4"):
        raise Skip("mkfs.ext4 (e2fsprogs) is not installed")
    if os.geteuid():
        raise Skip("making /dev/console needs root")
    root, image = tests.path / "root", tests.path / "root.img"
    for name in ("dev", "proc", "sys"):
        (root / name).mkdir(parents=True)
    os.mknod(root / "dev/console", 0o600 | stat.S_IFCHR, os.makedev(5, 1))
    shutil.copy(tests.init, root / "init")
    image.touch()
    os.truncate(image, 16 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-L", "husk-root", "-d", root, image], check=True)
    shutil.rmtree(root)
    return image


def data_disk(tests, name, size, seed):
    path = tests.path / name
    path.write_bytes(pattern(seed, size))
    return str(path), f"{size} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def start(server, boot, drives, memory_mib=256):
    """Extra drives come first, as the SDK does it."""
    api = server.api
    api.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": memory_mib, "smt": False})
    api.get("/machine-config")
    api.put("/boot-source", boot)
    for drive in drives:
        api.put(f"/drives/{drive['drive_id']}", drive)
    api.action("InstanceStart")


def ended_by_ctrl_alt_del(server):
    """Linux restarts by itself on these keys; reboot=k makes that the keyboard controller's reset."""
    server.api.action("SendCtrlAltDel")
    server.finish(serve.OK)


def root_on_a_drive(tests, args):
    extra, digest = data_disk(tests, "extra.img", 2 * MIB, 21)
    root = root_disk(tests)
    try:
        with serve.Server("--id", "linux") as server:
            start(server, {"kernel_image_path": str(own_kernel()),
                           "boot_args": f"{args} init=/init husk.run=disk-check:vdb,sleep:1000"},
                  [{**serve.drive("2", extra), "is_read_only": True}, serve.drive("1", str(root), root=True)])
            server.expect(f"husk-init: disk-check: vdb {digest}")
            ended_by_ctrl_alt_del(server)
    finally:
        root.unlink()


def initial_ram_disk(tests):
    kernel = any_kernel()
    root, root_digest = data_disk(tests, "root.img", MIB, 22)
    extra, extra_digest = data_disk(tests, "extra.img", 2 * MIB, 23)
    with serve.Server("--id", "linux") as server:
        start(server, {"kernel_image_path": str(kernel), "initrd_path": str(tests.initrd(kernel)),
                       "boot_args": f"{ARGS} husk.run=disk-check:vda,disk-check:vdb,cpus,sleep:1000"},
              [serve.drive("2", extra), serve.drive("1", root, root=True)])
        server.expect(f"husk-init: disk-check: vda {root_digest}")
        server.expect(f"husk-init: disk-check: vdb {extra_digest}")
        server.expect("husk-init: cpus: 1")
        ended_by_ctrl_alt_del(server)


def another_disk(tests):
    kernel = any_kernel()
    first, digest = data_disk(tests, "first.img", MIB, 24)
    second, new_digest = data_disk(tests, "second.img", 3 * MIB, 25)
    with serve.Server() as server:
        # It sleeps long enough for what we do meanwhile, even if that takes the lab some seconds.
        start(server, {"kernel_image_path": str(kernel), "initrd_path": str(tests.initrd(kernel)),
                       "boot_args": f"{ARGS} husk.run=disk-check:vda,sleep:20,disk-check:vda,cpus"},
              [serve.drive("data", first)])
        server.expect(f"husk-init: disk-check: vda {digest}")
        server.api.patch("/vm", {"state": "Paused"})
        server.api.patch("/drives/data", {"drive_id": "data", "path_on_host": second})
        server.api.patch("/vm", {"state": "Resumed"})
        server.expect(f"husk-init: disk-check: vda {new_digest}")
        server.expect("husk-init: cpus: 1")
        server.finish(serve.OK)


def signalled(tests):
    kernel = any_kernel()
    with serve.Server() as server:
        start(server, {"kernel_image_path": str(kernel), "initrd_path": str(tests.initrd(kernel)),
                       "boot_args": f"{ARGS} husk.run=cpus,sleep:1000"}, [])
        server.expect("husk-init: cpus: 1")
        server.process.send_signal(signal.SIGTERM)
        server.finish(serve.OK)
        if server.socket.exists():
            raise Failure("the socket is still there")


def main():
    if subprocess.run([e2e.HUSK, "serve", "--version"], capture_output=True, check=False).returncode:
        print(f"skipped: linux-api: {e2e.HUSK} has no serve")
        return SKIPPED

    with Tests() as tests:
        def case(name, function, *arguments):
            def guarded():
                try:
                    function(tests, *arguments)
                except e2e.Failure as failure:
                    raise Failure(str(failure)) from None
            tests.case(name, guarded)

        case("root on a drive", root_on_a_drive, ARGS)
        case("initial RAM disk, drives in any order", initial_ram_disk)
        case("another file in a drive while paused", another_disk)
        case("SIGTERM", signalled)
        return tests.finish()


if __name__ == "__main__":
    sys.exit(main())
