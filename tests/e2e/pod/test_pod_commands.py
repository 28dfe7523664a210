#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `husk pod` on this host: the real supervisor of pods and the real agent, without a machine
(container/native_machine.h) and without a network of the pod's own."""
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

SKIPPED = 77
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# pylint: disable=wrong-import-position
import podbox
import pod_commands  # pylint: disable=wrong-import-order


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
        print(f"skipped: pod-commands: {reason}")
        return SKIPPED
    failed = 0
    with tempfile.TemporaryDirectory(prefix="husk-root-") as root:
        podbox.box.make_root(root)
        os.chmod(root, 0o755)
        with podbox.PodBox(["--network", "none"], HUSK_NATIVE_ROOT=root) as place:
            for name, function in pod_commands.all_cases(sys.argv[1:]):
                try:
                    function(place)
                    print(f"ok: {name}", flush=True)
                except Exception:  # pylint: disable=broad-except
                    failed += 1
                    print(f"FAILED: {name}:\n{traceback.format_exc()}", flush=True)
                    place.clean()
    if left := podbox.box.groups.left("husk-native"):
        failed += 1
        print(f"FAILED: control groups are left: {left}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
