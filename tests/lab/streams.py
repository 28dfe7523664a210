# SPDX-License-Identifier: Apache-2.0
"""Carries our standard streams to and from the lab machine's ports, and waits for its report.

The machine sends one line over the port "control" when the command has ended: its exit status and how
many bytes it wrote to standard output and error. The command is over when these have passed through.
"""
import os
import select
import socket
import stat
import time

# PIPE_BUF: a pipe that select calls writable takes this much without blocking.
CHUNK = 4096


class TimeLimit(Exception):
    pass


class StandStill(Exception):
    pass


def input_kind():
    """Says "null" when no input can come: then the machine has no port for it, and no event at a time
    that only the host knows."""
    null = os.stat(os.devnull)
    ours = os.fstat(0)
    return "null" if stat.S_ISCHR(ours.st_mode) and ours.st_rdev == null.st_rdev else "port"


class Streams:
    def __init__(self):
        names = ["control", "stdout", "stderr"]
        if input_kind() == "port":
            names.append("stdin")
        pairs = {name: socket.socketpair() for name in names}
        self.ours = {name: pair[0] for name, pair in pairs.items()}
        self.machine = {name: pair[1] for name, pair in pairs.items()}
        self.pending_input = b""
        self.report = b""
        self.moved = {"stdout": 0, "stderr": 0}
        self.lost = set()
        if "stdin" in self.ours:
            self.ours["stdin"].setblocking(False)
        # QEMU drops nothing but waits for a slow reader; a large buffer keeps it from waiting.
        for name in ("stdout", "stderr"):
            self.machine[name].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def close_machine_ends(self):
        for end in self.machine.values():
            end.close()

    def run(self, deadline, watch=None):
        """Returns the command's status, or None when the machine ended without a report. Raises
        TimeLimit when the monotonic clock reaches the deadline, and StandStill when watch (monitor.Watch)
        sees that."""
        while any(name in self.ours for name in ("control", "stdout", "stderr")):
            self._pump(deadline, watch.next if watch else deadline)
            if watch and watch.look():
                raise StandStill
            words = self.report.split()
            if self.report.endswith(b"\n") and len(words) == 3:
                status, output, errors = (int(word) for word in words)
                if self.moved["stdout"] >= output and self.moved["stderr"] >= errors:
                    return status
        return None

    def _pump(self, deadline, wake):
        reading = [self.ours[name] for name in ("control", "stdout", "stderr") if name in self.ours]
        writing = []
        if "stdin" in self.ours:
            (writing if self.pending_input else reading).append(
                self.ours["stdin"] if self.pending_input else 0)
        patience = min(remaining(deadline), max(wake - time.monotonic(), 0))
        ready, writable, _ = select.select(reading, writing, [], patience)
        if 0 in ready:
            self._read_input()
        if writable:
            self._write_input()
        for name in ("stdout", "stderr", "control"):
            if self.ours.get(name) in ready:
                self._read_port(name, deadline)

    def _close(self, name):
        self.ours.pop(name).close()

    def _read_input(self):
        try:
            self.pending_input = os.read(0, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.pending_input = b""
        if not self.pending_input:
            self._close("stdin")

    def _write_input(self):
        try:
            sent = self.ours["stdin"].send(self.pending_input)
        except BlockingIOError:
            return
        except OSError:  # the command closed its standard input
            self.pending_input = b""
            self._close("stdin")
        else:
            self.pending_input = self.pending_input[sent:]

    def _read_port(self, name, deadline):
        try:
            data = self.ours[name].recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._close(name)
        elif name == "control":
            self.report += data
        else:
            self.moved[name] += len(data)
            self._write_output(1 if name == "stdout" else 2, data, deadline)

    def _write_output(self, fd, data, deadline):
        while data and fd not in self.lost:
            select.select([], [fd], [], remaining(deadline))
            try:
                data = data[os.write(fd, data[:CHUNK]):]
            except BlockingIOError:
                pass
            except OSError:  # our reader went away; the command goes on
                self.lost.add(fd)


def remaining(deadline):
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeLimit
    return seconds
