#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a transport and a data path cost, with Linux guests: usage: devices.py HUSK INIT

virtio-mmio beside virtio-pci: time to init, and for requests one at a time (disk reads of 4 KiB, TCP round
trips of a byte) the time and the exits of each. The monitor's own network data path beside vhost-net: the
same round trips, and streams in both directions. In the lab the times are instructions.

Exits are counted by husk (those that reach it) and, where debugfs can be read, by KVM (all of them). Each
figure comes RUNS times out of one boot; what the same commands cost without a request is subtracted.
"""
import http.client
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "e2e/linux")]

# pylint: disable=wrong-import-position
import net as linux_net  # noqa: E402
from husktest import Failure, Skip, Tests, any_kernel  # noqa: E402

RUNS = int(os.environ.get("RUNS", "3"))
BOOTS = int(os.environ.get("BOOTS", "3"))
ROUNDS = 500
STREAM_BYTES = 4 << 20
KVM_COUNTERS = pathlib.Path("/sys/kernel/debug/kvm")
HOST, GUEST = "10.77.0.1", "10.77.0.2"
PATIENCE_S = 300


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def kvm_exits():
    """Of the machines that run, or None."""
    files = list(KVM_COUNTERS.glob("[0-9]*-*/exits"))
    return sum(int(file.read_text(encoding="ascii")) for file in files) if files else None


def counters(path):
    connection = UnixConnection(path)
    connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
    text = connection.getresponse().read().decode()
    connection.close()
    names = {"husk_vcpu_exits_total": "exits", "husk_vcpu_mmio_reads_total": "mmio_reads",
             "husk_vcpu_mmio_writes_total": "mmio_writes"}
    found = {names[match[1]]: int(match[2]) for match in re.finditer(r"^(\w+)\{[^}]*\} (\d+)$", text, re.MULTILINE)
             if match[1] in names}
    found["kvm"] = kvm_exits()
    return found


def measured(tests, commands, options, prefix=()):
    """Run a guest; returns [(name, amount, nanoseconds, counters since the line before)] of its commands, each
    of which is followed by a second's sleep in which the counters are read."""
    api = tests.path / "api.sock"
    script = ",".join(f"{command},sleep:1" for command in ("cpus", *commands))
    process = subprocess.Popen([*prefix, *tests.command(any_kernel(), script, *options, "--api-sock", api)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    guard = threading.Timer(PATIENCE_S, process.kill)
    guard.start()
    results, last, output = [], None, []
    try:
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            output.append(line)
            match = re.search(r"husk-init: ([a-z-]+): (.*)", line)
            if match and "FAIL" in match[2]:
                break
            if not match or match[1] in ("net", "ready"):
                continue
            now = counters(api)
            words = match[2].split()
            if last and len(words) == 2:
                spent = {name: now[name] - last[name] if now[name] is not None else None for name in now}
                results.append((match[1], int(words[0]), int(words[1]), spent))
            last = now
        errors = process.stderr.read().decode(errors="replace")
        if process.wait() or len(results) != sum(not command.startswith("net:") for command in commands):
            raise Failure(f"status {process.returncode}\n" + "\n".join([*output, errors]))
    finally:
        guard.cancel()
        process.kill()
        process.wait()
    return results


def spread(values, scale=1.0):
    values = [value / scale for value in values]
    return f"{min(values):10.3f} {statistics.median(values):10.3f} {max(values):10.3f}"


def row(name, what, values, scale=1.0):
    print(f"{name:22} {what:34} {spread(values, scale)}", flush=True)


def heading(what):
    print(f"\n{what}\n{'':22} {'':34} {'min':>10} {'median':>10} {'max':>10}", flush=True)


def print_rounds(name, results):
    """Of a list that begins with one result without a round."""
    idle = results[0][3]
    rounds = [result for result in results[1:] if result[1]]
    row(name, "time, us", [result[2] / result[1] for result in rounds], 1000)
    for counter, what in (("exits", "exits to husk"), ("mmio_reads", "  of them register reads"),
                          ("mmio_writes", "  of them register writes"), ("kvm", "exits, all")):
        if idle[counter] is not None:
            row(name, what, [(result[3][counter] - idle[counter]) / result[1] for result in rounds])


def boot(tests, transport):
    """Milliseconds from exec to the first guest entry, and from there to init."""
    command = tests.command(any_kernel(), "poweroff", "--transport", transport, "--timeline")
    errors = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
                            check=False).stderr.decode(errors="replace")
    rows = {}
    for line in errors.splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3 and re.fullmatch(r"[\d.]+", words[0]) and re.fullmatch(r"[\d.]+", words[1]):
            rows[words[2]] = float(words[0])
    entry = next((at for name, at in rows.items() if "first entry" in name), None)
    init = next((at for name, at in rows.items() if "boot to init" in name), None)
    if init is None or entry is None:
        raise Failure(f"no time line\n{errors}")
    return entry, init


def bench_boot(tests):
    heading(f"time to init, no device but the console's and entropy, ms ({BOOTS} boots)")
    boot(tests, "mmio")  # the page cache is warm from here on
    found = {"mmio": [], "pci": []}
    for _ in range(BOOTS):
        for transport, times in found.items():
            times.append(boot(tests, transport))
    for transport, times in found.items():
        row(f"virtio-{transport}", "exec to first entry", [entry for entry, _ in times])
        row(f"virtio-{transport}", "exec to init", [init for _, init in times])


def bench_disk(tests):
    heading(f"a read of 4 KiB from a disk, {ROUNDS} one after the other ({RUNS} times)")
    disk = tests.path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    for transport in ("mmio", "pci"):
        commands = ["disk-rounds:vda:0"] + [f"disk-rounds:vda:{ROUNDS}"] * RUNS
        print_rounds(f"virtio-{transport}",
                     measured(tests, commands, ["--transport", transport, "-d", disk]))


class Host(threading.Thread):
    """The host's side in the namespace: answers bytes, takes streams, sends streams; connection by connection."""

    def __init__(self, namespace, jobs):
        super().__init__(daemon=True)
        self.namespace, self.jobs = namespace, jobs
        self.ready = threading.Event()

    def run(self):
        self.namespace.enter()
        with socket.create_server((HOST, 7001)) as server:
            server.settimeout(PATIENCE_S)
            self.ready.set()
            for job in self.jobs:
                connection, _ = server.accept()
                connection.settimeout(PATIENCE_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with connection:
                    job(connection)


def echo(connection):
    while data := connection.recv(1):
        connection.sendall(data)


def take(connection):
    buffer = bytearray(1 << 16)
    while connection.recv_into(buffer):
        pass


def give(connection):
    chunk = bytes(1 << 16)
    for _ in range(STREAM_BYTES // len(chunk)):
        connection.sendall(chunk)


def network(tests, transport, vhost):
    """Results by command."""
    commands = [f"net:eth0:{GUEST}:24", f"tcp-rounds:{HOST}:7001:0"]
    jobs = [echo]
    for command, job in ((f"tcp-rounds:{HOST}:7001:{ROUNDS}", echo),
                         (f"tcp-flood:{HOST}:7001:{STREAM_BYTES}", take), (f"tcp-drain:{HOST}:7001", give)):
        commands += [command] * RUNS
        jobs += [job] * RUNS
    with linux_net.Namespace(1) as namespace:
        host = Host(namespace, jobs)
        host.start()
        host.ready.wait(PATIENCE_S)
        return measured(tests, commands, ["--transport", transport, "-n", f"tap=tap0,vhost={vhost}"],
                        namespace.command([]))


def bench_network(tests):
    paths = [(transport, vhost) for transport in ("mmio", "pci") for vhost in ("off", "on")]
    if not os.path.exists("/dev/vhost-net"):
        print("skipped: vhost-net: /dev/vhost-net is not there")
        paths = [path for path in paths if path[1] == "off"]
    found = {f"virtio-{transport}, {'vhost-net' if vhost == 'on' else 'own path'}": network(tests, transport, vhost)
             for transport, vhost in paths}
    heading(f"a TCP round trip of one byte, {ROUNDS} one after the other ({RUNS} times)")
    for name, results in found.items():
        print_rounds(name, [result for result in results if result[0] == "tcp-rounds"])
    for command, what in (("tcp-flood", "guest to host"), ("tcp-drain", "host to guest")):
        heading(f"a TCP stream of {STREAM_BYTES >> 20} MiB, {what} ({RUNS} times)")
        for name, results in found.items():
            streams = [result for result in results if result[0] == command]
            row(name, "MiB/s", [result[1] / result[2] * 1e9 / (1 << 20) for result in streams])
            row(name, "exits to husk per MiB", [result[3]["exits"] / (result[1] >> 20) for result in streams])


def see_kvm_counters():
    if os.environ.get("HUSK_LAB") and not KVM_COUNTERS.exists():
        subprocess.run(["mount", "-t", "debugfs", "none", "/sys/kernel/debug"], check=False, capture_output=True)


def main():
    see_kvm_counters()
    status = 0
    with Tests() as tests:
        print(f"host      {os.uname().machine}, {os.cpu_count()} CPUs, Linux {os.uname().release}"
              f"{', the lab: a nanosecond is an instruction' if os.environ.get('HUSK_LAB') else ''}")
        print(f"guest     {any_kernel()}, 1 CPU; husk: {subprocess.check_output([tests.husk, 'version'], text=True).strip()}")
        began = time.monotonic()
        for bench in (bench_boot, bench_disk, bench_network):
            try:
                bench(tests)
            except Skip as reason:
                print(f"skipped: {bench.__name__}: {reason}")
            except Failure as failure:
                print(f"FAILED: {bench.__name__}: {failure}")
                status = 1
        print(f"\n{time.monotonic() - began:.0f} s of the machine's time")
    return status


if __name__ == "__main__":
    sys.exit(main())
