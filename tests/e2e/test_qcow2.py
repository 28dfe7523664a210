#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""qcow2 images: read-only through a raw copy in the cache, or with a raw overlay; never written, and never a
reason to open another file."""
import os
import pathlib
import subprocess
import tempfile

import disk_image as image
import e2e

WORK = tempfile.TemporaryDirectory(prefix="husk-qcow2-")
TOP = pathlib.Path(WORK.name)
CACHE = TOP / "cache" / "husk" / "images"
LINE = "command line: root=UUID=1 console=ttyS0"


def husk(*arguments, status=0):
    result = subprocess.run([e2e.HUSK, "run", *map(str, arguments)], stdin=subprocess.DEVNULL, check=False,
                            capture_output=True, timeout=120, env={**os.environ, "XDG_CACHE_HOME": str(TOP / "cache")})
    output, errors = (stream.decode("utf-8", "replace") for stream in (result.stdout, result.stderr))
    e2e.require(result.returncode == status, f"status {result.returncode}, not {status}\n{output}{errors}")
    e2e.require(not list(TOP.rglob("*.part")), "something half-made is left")
    return output, errors


def make():
    raw = TOP / "disk.raw"
    files = {"/loader/entries/a.conf": "linux /k\noptions root=UUID=1\n",
             "/k": (e2e.GUESTS / "brought.elf").read_bytes()}
    image.disk(raw, [(1, "type=L", image.ext4(TOP, files))])
    image.call("qemu-img", "convert", "-c", "-O", "qcow2", raw, TOP / "disk.qcow2")
    return raw.read_bytes()


def test_overlay():
    overlay = TOP / "mine,1.raw"
    before = (TOP / "disk.qcow2").read_bytes()
    output, errors = husk("-d", f"{TOP}/disk.qcow2,overlay={TOP}/mine,,1.raw")
    e2e.require(LINE in output, output)
    e2e.require("converting" in errors and "0 %" in errors, errors)
    e2e.require(overlay.read_bytes() == RAW, "the overlay is not what is in the image")
    e2e.require(overlay.stat().st_blocks * 512 < len(RAW), "the overlay is not sparse")
    # It is the disk from now on, whatever is in it: what a guest writes there is never a format.
    overlay.write_bytes((TOP / "disk.qcow2").read_bytes())
    _, errors = husk("-d", f"{TOP}/disk.qcow2,overlay={TOP}/mine,,1.raw", status=e2e.MONITOR_ERROR)
    e2e.require("found no kernel" in errors and "converting" not in errors, errors)
    e2e.require((TOP / "disk.qcow2").read_bytes() == before, "the image was written")


def test_overlay_of_raw_image():
    output, _ = husk("-d", f"{TOP}/disk.raw,overlay={TOP}/copy.raw")
    e2e.require(LINE in output and (TOP / "copy.raw").read_bytes() == RAW, output)


def test_read_only():
    output, errors = husk("-d", f"{TOP}/disk.qcow2,ro")
    e2e.require(LINE in output and "converting" in errors, output + errors)
    first = [path.name for path in CACHE.iterdir()]
    _, errors = husk("-d", f"{TOP}/disk.qcow2,ro,format=qcow2")
    e2e.require("converting" not in errors, "it was converted again")
    os.utime(TOP / "disk.qcow2", (1, 1))
    _, errors = husk("-d", f"{TOP}/disk.qcow2,ro")
    second = [path.name for path in CACHE.iterdir()]
    e2e.require("converting" in errors and len(second) == 1 and first != second, f"{first} {second} {errors}")


def test_writable_is_refused():
    for words in ("", ",format=qcow2"):
        _, errors = husk("-d", f"{TOP}/disk.qcow2{words}", status=e2e.USAGE)
        e2e.require("overlay=FILE" in errors and "ro" in errors and errors.count("\n") == 1, errors)
    # As raw bytes it is a disk like any other.
    _, errors = husk("-d", f"{TOP}/disk.qcow2,format=raw", status=e2e.MONITOR_ERROR)
    e2e.require("found no kernel" in errors, errors)


def test_other_files_are_not_opened():
    """What a guest may write into its raw disk: the header of an image that has a file of the host behind it."""
    secret = TOP / "secret"
    secret.write_bytes(b"of the host's" * 1000)
    image.call("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", TOP / "backed.qcow2")
    image.call("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={TOP}/data.raw", TOP / "split.qcow2", "1M")
    for name, word in (("backed", "backing file"), ("split", "another file")):
        for words in (",ro", f",overlay={TOP}/never.raw"):
            _, errors = husk("-d", f"{TOP}/{name}.qcow2{words}", status=e2e.MONITOR_ERROR)
            e2e.require(word in errors, errors)
    e2e.require(not (TOP / "never.raw").exists(), "a copy was made")


def test_damaged():
    whole = (TOP / "disk.qcow2").read_bytes()
    damaged = TOP / "damaged.qcow2"
    for at in (7, 20, 30, 40, 48):
        bad = bytearray(whole)
        bad[at] ^= 0xff
        damaged.write_bytes(bad)
        result = subprocess.run([e2e.HUSK, "run", "-d", f"{damaged},overlay={TOP}/d.raw"], stdin=subprocess.DEVNULL,
                                capture_output=True, timeout=120, check=False)
        errors = result.stderr.decode("utf-8", "replace")
        e2e.require(result.returncode in (0, e2e.MONITOR_ERROR) and "husk: " in errors, f"{at}: {errors}")
        e2e.require(not list(TOP.rglob("*.part")), "something half-made is left")
        (TOP / "d.raw").unlink(missing_ok=True)


e2e.need_kvm()
image.need_tools("qemu-img")
RAW = make()
e2e.main(globals())
