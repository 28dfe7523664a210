#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands for containers on this host: the real supervisor and the real agent, without a machine
(native_machine.h)."""
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import traceback

SKIPPED = 77
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# pylint: disable=wrong-import-position
import box
import commands


def reason_to_skip():
    if os.geteuid() != 0:
        return "needs root"
    if not pathlib.Path("/bin/busybox").exists():
        return "needs busybox-static"
    with tempfile.TemporaryDirectory() as directory:
        tried = subprocess.run(["unshare", "--mount", "--", "mount", "-t", "cgroup2", "none", directory],
                               capture_output=True, check=False)
    return f"no cgroup v2 can be mounted: {tried.stderr.decode()}" if tried.returncode else None


def main():
    reason = reason_to_skip()
    if reason:
        print(f"skipped: commands: {reason}")
        return SKIPPED
    failed = 0
    with tempfile.TemporaryDirectory(prefix="husk-root-") as root:
        box.make_root(root)
        os.chmod(root, 0o755)
        # Where root may not raise its own limits, those of an image's default cannot be had.
        limits = [word for name, number in (("nproc", resource.RLIMIT_NPROC), ("nofile", resource.RLIMIT_NOFILE))
                  for word in ("--ulimit", f"{name}={min(1000, resource.getrlimit(number)[1] % (1 << 31))}")]
        with box.Box(limits, HUSK_NATIVE_ROOT=root) as place:
            for name, function in commands.all_cases(sys.argv[1:]):
                try:
                    function(place)
                    print(f"ok: {name}", flush=True)
                except Exception:  # pylint: disable=broad-except
                    failed += 1
                    print(f"FAILED: {name}:\n{traceback.format_exc()}", flush=True)
                    for left in place.names():
                        place.start("rm", "-f", left).communicate(timeout=box.PATIENCE_S)
    if left := box.groups.left("husk-native"):
        failed += 1
        print(f"FAILED: control groups are left: {left}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
