# SPDX-License-Identifier: Apache-2.0
"""Running cases about commands on this host: the real supervisors and the real agent, without a machine
(native_machine.h). Containers see a busybox of their own."""
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

import box

SKIPPED = 77


def reason_to_skip():
    if os.geteuid() != 0:
        return "needs root"
    if not pathlib.Path("/bin/busybox").exists():
        return "needs busybox-static"
    with tempfile.TemporaryDirectory() as directory:
        tried = subprocess.run(["unshare", "--mount", "--", "mount", "-t", "cgroup2", "none", directory],
                               capture_output=True, check=False)
    return f"no cgroup v2 can be mounted: {tried.stderr.decode()}" if tried.returncode else None


def main(name, make, all_cases):
    """`make(**environment)` is the box (box.Box), `all_cases(words)` names and functions of it. Returns an exit
    status; what a failed case leaves is removed, what the whole leaves is a failure."""
    reason = reason_to_skip()
    if reason:
        print(f"skipped: {name}: {reason}")
        return SKIPPED
    failed = 0
    with tempfile.TemporaryDirectory(prefix="husk-root-") as root:
        box.make_root(root)
        os.chmod(root, 0o755)
        with make(HUSK_NATIVE_ROOT=root) as place:
            for case, function in all_cases(sys.argv[1:]):
                try:
                    function(place)
                    print(f"ok: {case}", flush=True)
                except Exception:  # pylint: disable=broad-except
                    failed += 1
                    print(f"FAILED: {case}:\n{traceback.format_exc()}", flush=True)
                    place.clean()
    if left := box.groups.left("husk-native"):
        failed += 1
        print(f"FAILED: control groups are left: {left}", flush=True)
    return 1 if failed else 0
