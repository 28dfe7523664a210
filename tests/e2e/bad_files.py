# SPDX-License-Identifier: Apache-2.0
"""Kernels and disks that husk must refuse, made byte by byte, for errors.py."""
import gzip
import lzma
import os
import struct

MIB = 1 << 20

EM_386, EM_X86_64, EM_AARCH64, EM_RISCV, EM_S390 = 3, 62, 183, 243, 22
ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PT_LOAD = 1

CODE = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp to the hlt


def elf64(machine=EM_X86_64, kind=ET_EXEC, address=MIB, code=CODE, memory=4096, order="<", entry=None,
          segments=1):
    """An ELF kernel of one segment; a good one for the 64-bit Linux protocol by default."""
    ident = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
    header = ident + struct.pack(order + "HHIQQQIHHHHHH", kind, machine, 1, address if entry is None
                                 else entry, 64, 0, 0, 64, 56, segments, 0, 0, 0)
    load = struct.pack(order + "IIQQQQQQ", PT_LOAD, 5, 120, address, address, len(code),
                       max(memory, len(code)), 4096)
    return header + load + code


def elf32(machine=EM_386):
    header = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack(
        "<HHIIIIIHHHHHH", ET_EXEC, machine, 1, MIB, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return header + struct.pack("<IIIIIIII", PT_LOAD, 84, MIB, MIB, len(CODE), 4096, 5, 4096) + CODE


def bzimage(version=0x20f, flags=1, payload=64 * 1024, cut=0):
    """A bzImage with a setup part of one sector (Documentation/arch/x86/boot.rst)."""
    image = bytearray(1024 + payload)

    def put(offset, layout, value):
        struct.pack_into("<" + layout, image, offset, value)

    put(0x1f1, "B", 1)
    put(0x1f4, "I", payload // 16)
    put(0x1fe, "H", 0xaa55)
    image[0x201] = 0x6a
    image[0x202:0x206] = b"HdrS"
    put(0x206, "H", version)
    put(0x22c, "I", 0x7fffffff)
    put(0x230, "I", 2 * MIB)
    put(0x234, "B", 1)
    put(0x236, "H", flags)
    put(0x238, "I", 2047)
    put(0x258, "Q", 16 * MIB)
    put(0x260, "I", MIB)
    return bytes(image[:len(image) - cut])


def kernels():
    """Name, content, and a part of the reason that must be given."""
    good = elf64()
    zipped = gzip.compress(good)
    return [
        ("empty", b"", "empty"),
        ("one byte", b"\x7f", "not a kernel"),
        ("random bytes", bytes((i * 167 + 13 ^ i >> 3) & 0xff for i in range(5000)), "not a kernel"),
        ("text", b"Dear reader,\nI am not a kernel.\n", "not a kernel"),
        ("a script", b"#!/bin/sh\nexit 0\n", "script"),
        ("zeroes", bytes(4096), "not a kernel"),
        ("32-bit ELF", elf32(), "32-bit"),
        ("aarch64 ELF", elf64(EM_AARCH64), "aarch64"),
        ("riscv ELF", elf64(EM_RISCV), "riscv"),
        ("big-endian ELF", elf64(EM_S390, order=">"), "big-endian ELF file for s390x"),
        ("object file", elf64(kind=ET_REL), "object file"),
        ("core dump", elf64(kind=ET_CORE), "core dump"),
        ("ordinary program", elf64(kind=ET_DYN, address=0), "user-space program"),
        ("ELF without segments", elf64(segments=0), "no program headers"),
        ("ELF with a wild entry", elf64(entry=0x40000000), "entry 0x40000000"),
        ("ELF beyond the memory", elf64(address=512 * MIB), "513 MiB"),
        ("ELF in the hole below 4 GiB", elf64(address=0xe0000000), "not inside the guest's memory"),
        ("ELF above 4 GiB", elf64(address=1 << 62), "not inside a segment below 4 GiB"),
        ("ELF that wraps", elf64(memory=(1 << 64) - MIB), "wraps around"),
        ("ELF cut in its header", good[:40], "truncated: its ELF header"),
        ("ELF cut in its program headers", good[:100], "truncated: its program headers"),
        ("ELF cut in its segments", good[:-2], "truncated: its segments"),
        ("bzImage cut in its header", bzimage()[:0x220], "truncated inside its setup header"),
        ("bzImage cut in its payload", bzimage(cut=16), "truncated: it should have 66560 bytes"),
        ("bzImage of an old protocol", bzimage(version=0x204), "boot protocol is 2.04"),
        ("32-bit bzImage", bzimage(flags=0), "32-bit kernel"),
        ("xz", lzma.compress(good), "xz-compressed; gzip, zstd or none"),
        ("truncated gzip", zipped[:-6], "gzip data is truncated"),
        ("corrupt gzip", zipped[:30] + bytes(8) + zipped[38:], "gzip data is corrupt"),
        ("gzip of no kernel", gzip.compress(b"nothing of the sort"), "not a kernel"),
        ("gzip in gzip", gzip.compress(zipped), "compressed twice"),
        ("corrupt zstd", b"\x28\xb5\x2f\xfd" + b"\xff" * 40, "zstd data is corrupt"),
        ("qcow2", b"QFI\xfb" + bytes(508), "qcow2"),
        ("a cpio archive", b"070701" + b"0" * 104, "initrd"),
    ]


def write(path, content):
    path.write_bytes(content)
    os.chmod(path, 0o644)
    return path
