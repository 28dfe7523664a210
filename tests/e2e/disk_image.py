# SPDX-License-Identifier: Apache-2.0
"""Disk images as distributions lay them out, made with the tools that they use, without root."""
import os
import pathlib
import shutil
import struct
import subprocess

import e2e

MIB = 1 << 20
SECTOR = 512
TOOLS = ("sfdisk", "mkfs.ext4", "mkfs.vfat", "mcopy", "mmd")
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def need_tools(*more):
    for tool in (*TOOLS, *more):
        if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
            e2e.skip(f"{tool} is not installed (scripts/install-deps test)")


def call(*command, **options):
    subprocess.run([*map(str, command)], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, timeout=120,
                   **options)


def write_tree(top, files):
    """files: path to bytes, or to a string that begins with "-> " for a link."""
    for name, content in files.items():
        path = top / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def ext4(work, files, size=12 * MIB, kind="ext4", options=()):
    """A file system as bytes."""
    tree, image = work / "tree", work / "filesystem"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    write_tree(tree, files)
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(size)
    call("mkfs.ext4", "-q", "-t", kind, *options, "-d", tree, image)
    return image.read_bytes()


def fat(work, files, size=4 * MIB, bits=None):
    image = work / "filesystem"
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(size)
    call("mkfs.vfat", *(("-F", bits) if bits else ()), image)
    made = set()
    for name, content in files.items():
        for parent in reversed(pathlib.PurePosixPath(name.lstrip("/")).parents[:-1]):
            if parent not in made:
                call("mmd", "-i", image, f"::{parent}")
                made.add(parent)
        call("mcopy", "-i", image, "-", f"::{name.lstrip('/')}",
             input=content if isinstance(content, bytes) else content.encode())
    return image.read_bytes()


def disk(path, partitions, label="gpt", extra=""):
    """partitions: (number, sfdisk's further words, bytes), which come one after the other."""
    start, script = 2048, [f"label: {label}", *([extra] if extra else [])]
    for number, words, content in partitions:
        script.append(f"{number}: start={start}, size={len(content) // SECTOR}{', ' + words if words else ''}")
        start += len(content) // SECTOR + 2048
    with open(path, "wb") as file:
        file.truncate((start + 2048) * SECTOR)
    call("sfdisk", "-q", path, input="\n".join(script).encode())
    start = 2048
    with open(path, "r+b") as file:
        for _, _, content in partitions:
            file.seek(start * SECTOR)
            file.write(content)
            start += len(content) // SECTOR + 2048
    return path


def uki(sections):
    """An EFI program of nothing but sections: name to bytes."""
    head = bytearray(64)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3c, 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 0, 0)
    at = 64 + len(coff) + 40 * len(sections)
    table, data = b"", b""
    for name, content in sections.items():
        table += name.encode().ljust(8, b"\0") + struct.pack("<IIIIIIHHI", len(content), 0x1000, len(content),
                                                            at + len(data), 0, 0, 0, 0, 0)
        data += content
    return bytes(head) + coff + table + data
