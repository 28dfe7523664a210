#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a pod takes: `husk pod run` from the command to the first output, by phase, without a network and with husk's own
bridge; ten pods at once; the host's memory for a pod of one and of three containers that sleep; and what two pods get
through the bridge, by IPv4 and by IPv6.

    pods.py HUSK [start|many|memory|network]...

Without words it is all of them. RUNS=N repeats the starts; PODS is how many there are at once. Wants root, a kernel for
containers (guest/kernel/fetch-debian) and /dev/kvm. In the lab (tests/lab/run) times are instructions, one a
nanosecond.
"""
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
for part in ("tests/e2e/linux", "tests/e2e/agent", "tests/e2e/oci", "tests/e2e"):
    sys.path.insert(0, str(TOP / part))

# pylint: disable=wrong-import-position
import images
import machine_vm

RUNS = int(os.environ.get("RUNS", "5"))
PODS = int(os.environ.get("PODS", "10"))
PATIENCE_S = int(os.environ.get("HUSK_TEST_PATIENCE_S", "400"))

PHASES = [
    ("command", "`husk pod run -d` has returned: the pod is recorded, its supervisor runs"),
    ("machine", "the guest's kernel starts: image, network and machine are there"),
    ("init", "the first output of the init container: kernel, agent, volumes, a container"),
    ("main", "the first output of the main container, after the init container's end"),
]


def container(name, command):
    return {"name": name, "image": "layers:1", "imagePullPolicy": "Never",
            "command": ["/bin/busybox", "sh", "-c", command]}


def pod(name, containers, init=()):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "initContainers": list(init), "containers": containers,
                     "volumes": [{"name": "shared", "emptyDir": {}}]}}


SLEEP = "exec /bin/busybox sleep 100000"
# The guest's own clock, by which its start is known.
UPTIME = "read up idle < /proc/uptime; echo $up; "


class Bench:
    def __init__(self, husk, top):
        self.husk, self.top = husk, top
        self.pods = top / "pods"
        self.environment = {**os.environ, "HUSK_STORE": str(top / "store"), "HUSK_PODS": str(self.pods)}
        machine_vm.load(husk, top / "store", images.Image(machine_vm.layers(9)), "layers:1")

    def call(self, *words):
        done = subprocess.run([self.husk, "pod", *words], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if done.returncode:
            raise RuntimeError(f"husk pod {words} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def run(self, pods, network):
        """Starts them without waiting; the wall clock at the beginning and the end, in seconds."""
        path = self.top / "manifest.yaml"
        path.write_text("\n---\n".join(json.dumps(one) for one in pods))
        begun = time.time()
        self.call("run", "-d", "--network", network, str(path))
        return begun, time.time()

    def first_line(self, name, of):
        """(its time, its text) of a container's log, once there is one."""
        path = self.pods / name / "logs" / of / "0.log"
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                line = path.read_text(encoding="utf-8").partition("\n")
            except FileNotFoundError:
                line = ("", "", "")
            if line[1]:
                stamp, _, _, text = line[0].split(" ", 3)
                whole, _, fraction = stamp.rstrip("Z").partition(".")
                moment = datetime.datetime.fromisoformat(whole.split("+")[0] + "+00:00").timestamp()
                return moment + float("0." + fraction.split("+")[0]), text
            time.sleep(0.01)
        raise RuntimeError(f"{name}: {of} has written nothing: {self.call('inspect', name)}")

    def remove(self, names):
        self.call("rm", "-f", *names)

    def processes(self, name):
        """The process ids of a pod's supervisor and machine."""
        state = json.loads((self.pods / name / "state.json").read_text(encoding="utf-8"))
        return state["supervisor"]["pid"], state["machine_pid"]


def one_start(bench, network):
    """Milliseconds from the start of the command to each phase's end."""
    begun, returned = bench.run([pod("bench", [container("main", "echo main; " + SLEEP)],
                                     [container("init", UPTIME)])], network)
    first, uptime = bench.first_line("bench", "init")
    last, _ = bench.first_line("bench", "main")
    bench.remove(["bench"])
    return [(moment - begun) * 1e3 for moment in (returned, first - float(uptime), first, last)]


def bench_start(bench):
    for name, text in PHASES:
        print(f"{name:9} {text}")
    print(f"milliseconds from the start of the command, median of {RUNS} and their spread")
    print("network " + "".join(f"{name:>22}" for name, _ in PHASES))
    for network in ("none", "bridge"):
        one_start(bench, network)  # fills caches
        columns = [sorted(column) for column in zip(*[one_start(bench, network) for _ in range(RUNS)])]
        print(f"{network:8}" + "".join(f"{statistics.median(column):9.2f} {f'+{column[-1] - column[0]:.2f}':<12}"
                                       for column in columns), flush=True)


def bench_many(bench):
    names = [f"bench-{index}" for index in range(PODS)]
    print(f"{PODS} pods of one manifest: ms to the first output of the first, the median and the last pod; and of one")
    for network in ("none", "bridge"):
        for chosen in (names[:1], names):
            begun, _ = bench.run([pod(name, [container("main", "echo main; " + SLEEP)]) for name in chosen], network)
            moments = sorted((bench.first_line(name, "main")[0] - begun) * 1e3 for name in chosen)
            bench.remove(chosen)
            print(f"{network:8} {len(chosen):3} pods {moments[0]:9.1f} {statistics.median(moments):9.1f} "
                  f"{moments[-1]:9.1f}", flush=True)


STREAM_MIB = int(os.environ.get("STREAM_MIB", "64"))
# The guest's clocks and counters around a stream from one pod to the other; the answer comes when all has been read.
SEND = ("s=/sys/class/net/eth0/statistics; b() {{ read v < $s/$1; echo $v; }}; "
        "p=$(b tx_packets); o=$(b tx_bytes); read up x < /proc/uptime; "
        "/bin/busybox dd if=/dev/zero bs=64k count={blocks} 2>/dev/null | /bin/busybox nc {address} 5000; "
        "read end x < /proc/uptime; echo $up $end $(($(b tx_bytes) - o)) $(($(b tx_packets) - p))")
# Its input never ends, or it would close the connection before it has read all.
RECEIVE = "/bin/busybox mkfifo /tmp/in; exec 3<>/tmp/in; while :; do /bin/busybox nc -l -p 5000 <&3 > /dev/null; done"


def exchange(bench, address):
    """Microseconds of a round trip, Mbit/s of a stream, and the mean bytes of what the sender's interface was given."""
    trips = bench.call("exec", "bench-0", "--", "/bin/busybox", "ping", "-q", "-c", "20", "-i", "0.1", address)
    trip = float(trips.partition("min/avg/max = ")[2].split("/")[1]) * 1e3
    sent = 0
    while sent < STREAM_MIB << 20:  # the receiver listens again only after a moment
        said = bench.call("exec", "bench-0", "--", "/bin/busybox", "sh", "-c",
                          SEND.format(blocks=STREAM_MIB * 16, address=address))
        begun, ended, sent, packets = map(float, said.split())
    return trip, STREAM_MIB * 8.388608 / max(ended - begun, 0.01), sent / packets


def bench_network(bench):
    print(f"two pods on husk's bridge: ping, {STREAM_MIB} MiB by TCP (nc); median of {RUNS} and their spread\n"
          f"{'':8}{'round trip us':>22}{'Mbit/s':>22}{'bytes a frame':>22}")
    bench.run([pod("bench-0", [container("main", "echo up; " + SLEEP)]),
               pod("bench-1", [container("main", "echo up; " + RECEIVE)])], "bridge")
    for name in ("bench-0", "bench-1"):
        bench.first_line(name, "main")
    addresses = [one["ip"] for one in json.loads(bench.call("inspect", "bench-1"))["status"]["podIPs"]]
    for address in addresses:
        exchange(bench, address)  # neighbours are known
        columns = [sorted(column) for column in zip(*[exchange(bench, address) for _ in range(RUNS)])]
        print(f"{'IPv6' if ':' in address else 'IPv4':8}" + "".join(
            f"{statistics.median(column):13.1f} {f'+{column[-1] - column[0]:.1f}':<8}" for column in columns), flush=True)
    bench.remove(["bench-0", "bench-1"])


def pss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"{pid} has no Pss")


def bench_memory(bench):
    names = [f"bench-{index}" for index in range(3)]
    print("MiB of the host for a pod whose containers sleep (Pss, mean of 3 pods that run at once)")
    print("containers supervisor   machine      both")
    for count in (1, 3):
        containers = [container(f"c{index}", "echo up; " + SLEEP) for index in range(count)]
        bench.run([pod(name, containers) for name in names], "none")
        for name in names:
            for index in range(count):
                bench.first_line(name, f"c{index}")
        time.sleep(20)  # free pages go back to the host
        pids = [bench.processes(name) for name in names]
        supervisor, machine = (statistics.mean(pss_kib(one[which]) for one in pids) / 1024 for which in (0, 1))
        bench.remove(names)
        print(f"{count:10} {supervisor:10.1f} {machine:9.1f} {supervisor + machine:9.1f}", flush=True)


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    husk, *parts = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="husk-bench-", dir="/var/tmp") as name:
        top = pathlib.Path(name)
        os.chmod(top, 0o755)
        bench = Bench(str(pathlib.Path(husk).resolve()), top)
        for part in parts or ["start", "many", "memory", "network"]:
            {"start": bench_start, "many": bench_many, "memory": bench_memory, "network": bench_network}[part](bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
