# SPDX-License-Identifier: Apache-2.0
"""Control groups (version 2) of this host that tests make: their names tell the run of the test, and at its end none of
them is left."""
import os
import secrets
import subprocess
import time

RUN = f"{os.getpid()}-{secrets.token_hex(4)}"
MOUNTED = "mount --make-rprivate / && mount -t cgroup2 none /mnt && cd /mnt && "
PATIENCE_S = 30


def of_this_run(prefix):
    done = subprocess.run(["unshare", "--mount", "sh", "-c", MOUNTED + "ls"], check=True, capture_output=True, text=True)
    return [name for name in done.stdout.split() if name.startswith(f"{prefix}-{RUN}")]


def left(prefix):
    """Those that are still there when all that ends has had its time to end."""
    deadline = time.monotonic() + PATIENCE_S
    while (names := of_this_run(prefix)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return names


class Keeper:
    """Removes the group of a process that has ended, which close() says; if this process ends without that, it ends
    the other one first."""

    SCRIPT = ("while read -r line; do ended=$line; done; [ \"$ended\" ] || kill -9 \"$0\"; " + MOUNTED + "n=0; while [ -d \"$1\" ] && [ $n -lt 400 ]; do "
              "n=$((n + 1)); find \"$1\" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05; done")

    def __init__(self, group, pid):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["unshare", "--mount", "sh", "-c", self.SCRIPT, str(pid), group], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/")

    def close(self):
        self.process.communicate(b"ended\n", PATIENCE_S)
        self.process.wait(PATIENCE_S)
