#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The monitor's own memory: what a running VM's process has beyond guest memory.

    memory.py GUEST_MIB NAME COMMAND...

COMMAND starts a monitor whose guest stays; it is left 2 s to settle, measured and ended. Guest memory
is every mapping of at least a sixteenth of the guest's size; everything else in smaps is the
monitor's own. Prints private (clean + dirty), proportional and resident KiB.
"""
import re
import signal
import subprocess
import sys
import time


def measure(pid, guest_kib):
    own = {"Rss": 0, "Pss": 0, "Private": 0}
    guest = 0
    size = 0
    fields = {}

    def account():
        nonlocal guest
        if not fields:
            return
        if size >= guest_kib // 16:
            guest += fields.get("Rss", 0)
            return
        own["Rss"] += fields.get("Rss", 0)
        own["Pss"] += fields.get("Pss", 0)
        own["Private"] += fields.get("Private_Clean", 0) + fields.get("Private_Dirty", 0)

    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            match = re.match(r"(\w+):\s+(\d+) kB", line)
            if not match:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    account()
                    fields = {}
                continue
            fields[match[1]] = int(match[2])
            if match[1] == "Size":
                size = int(match[2])
    account()
    return own, guest


def main():
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    guest_kib = int(sys.argv[1]) * 1024
    with subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as monitor:
        time.sleep(2)
        if monitor.poll() is not None:
            print(f"memory.py: {sys.argv[2]}: ended early: "
                  f"{monitor.stderr.read().decode(errors='replace').strip()}", file=sys.stderr)
            return 1
        own, guest = measure(monitor.pid, guest_kib)
        monitor.send_signal(signal.SIGTERM)
        try:
            monitor.wait(20)
        except subprocess.TimeoutExpired:
            monitor.kill()
    print(f"{sys.argv[2]:14} private {own['Private']:8} KiB   proportional {own['Pss']:8} KiB   "
          f"resident {own['Rss']:8} KiB   (guest pages {guest} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
