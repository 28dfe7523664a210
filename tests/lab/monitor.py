# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor: the registers of a machine that runs, and whether a guest in it stands still."""
import collections
import re
import socket
import time

PROMPT = b"(qemu) "
PATIENCE_S = 20
RFLAGS_IF = 0x200

# A guest that waits with interrupts off, in one loop, for so many looks in a row waits for ever.
LOOK_EVERY_S = 15
LOOKS = 3
SAMPLES = 16
SAME_PLACE = 12  # of the samples: now and then the loop exits to the machine's kernel
PAGE = 4096


class MonitorError(Exception):
    pass


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self.read()

    def read(self):
        text = b""
        while not text.endswith(PROMPT):
            data = self.socket.recv(65536)
            if not data:
                raise MonitorError("the machine has ended")
            text += data
        return text.decode(errors="replace")

    def ask(self, command):
        self.socket.sendall(command.encode() + b"\n")
        return self.read()


class Registers:
    """Of one processor, at one moment."""

    def __init__(self, text):
        self.values = {name: int(value, 16)
                       for name, value in re.findall(r"\b(RIP|RSP|RFL|CR3)=([0-9a-f]+)", text)}
        ring = re.search(r"CPL=(\d)", text)
        self.ring = int(ring[1]) if ring else -1
        self.halted = "HLT=1" in text

    def __getattr__(self, name):
        return self.values.get(name.upper(), 0)


def registers(monitor):
    return Registers(monitor.ask("info registers"))


class Watch:
    """Looks at a machine now and then; one processor. A machine that cannot be asked is not judged."""

    def __init__(self, path):
        self.path = path
        self.monitor = None
        self.still = 0
        self.next = time.monotonic() + LOOK_EVERY_S

    def in_one_place(self):
        """Whether all is one loop with interrupts off. A machine that does something is asked little."""
        places = collections.Counter()
        for count in range(1, SAMPLES + 1):
            now = registers(self.monitor)
            if not now.halted and now.ring == 0 and not now.rfl & RFLAGS_IF:
                places[now.rip // PAGE] += 1
            if count - max(places.values(), default=0) > SAMPLES - SAME_PLACE:
                return False
            time.sleep(0.01)
        return True

    def look(self):
        """Whether a guest in the machine has stood still for LOOKS looks."""
        if time.monotonic() < self.next:
            return False
        self.next = time.monotonic() + LOOK_EVERY_S
        try:
            self.monitor = self.monitor or Monitor(self.path)
            still = self.in_one_place()
        except (OSError, MonitorError):
            return False
        self.still = self.still + 1 if still else 0
        return self.still >= LOOKS
