#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a container and its machine take: `husk run IMAGE` from the command to the first output and to the end, beside
containerd with runc; the machine's way from the start to a process that has run, phase by phase and by the number of
layers; and the host's memory for a machine whose container is idle, by the machine's size.

    container.py HUSK CONTAINER_MACHINE [run|start|memory]...

Without words it is all of them. RUNS=N repeats the starts; LAYERS and SIZES_MIB are lists, MACHINES a number. Wants a
kernel for containers (guest/kernel/fetch-debian) and /dev/kvm. In the lab (tests/lab/run) times are instructions,
one a nanosecond.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
for part in ("tests/bench", "tests/e2e/linux", "tests/e2e/agent", "tests/e2e/oci", "tests/e2e"):
    sys.path.insert(0, str(TOP / part))

# pylint: disable=wrong-import-position
import containerd
import images
import machine_vm
from agent import Container

LAYERS = [int(word) for word in os.environ.get("LAYERS", "1 8 20 60 127").split()]
SIZES_MIB = [int(word) for word in os.environ.get("SIZES_MIB", "128 256 512 1024").split()]
RUNS = int(os.environ.get("RUNS", "3"))
MACHINES = int(os.environ.get("MACHINES", "3"))


def sized_layer(number):
    """A layer as many have it: some hundred small files."""
    members = [images.directory(f"l{number}")]
    members += [(f"l{number}/{index}", b"x" * (index * 97)) for index in range(100)]
    return images.tar_of(members)




PHASES = [
    ("prepared", "the machine's files are open: kernel, layers, scratch disk"),
    ("built", "husk-vmm has its jail, memory, devices and kernel"),
    ("kernel", "the guest's kernel runs: its first exit"),
    ("agent", "the agent listens"),
    ("answers", "it has answered a host that came by itself"),
    ("mounted", "all layers and the scratch disk are volumes"),
    ("run", "a container was created, and its process has ended"),
]


def one_start(program, store, image, directory):
    """Milliseconds from the start of the program to each phase's end."""
    moments = {}
    begun = time.monotonic_ns()
    machine = machine_vm.Machine(program, store, image, directory, memory_bytes=256 << 20)
    try:
        machine.control = machine_vm.agent.Control(machine.connect())
        moments["answers"] = time.monotonic_ns()
        for request in machine.plan["requests"]:
            machine.control.call(request["method"], **request["params"])
        moments["mounted"] = time.monotonic_ns()
        with Container(machine, {"root": None}, "true", rootfs=machine.rootfs) as container:
            container.start()
            container.wait()
            moments["run"] = time.monotonic_ns()
    finally:
        timeline = machine.end()["timeline"]
    moments.update(prepared=machine.plan["prepared_ns"], built=timeline["first-entry"], kernel=timeline["kernel"],
                   agent=timeline["init"])
    return [(moments[name] - begun) / 1e6 for name, _ in PHASES]


def bench_start(husk, program, top):
    for name, text in PHASES:
        print(f"{name:9} {text}")
    print(f"milliseconds from the start of the program, median of {RUNS} and their spread")
    print("layers " + "".join(f"{name:>22}" for name, _ in PHASES))
    for count in LAYERS:
        store = top / f"store{count}"
        layers = [machine_vm.busybox_layer()] + [sized_layer(number) for number in range(2, count + 1)]
        machine_vm.load(husk, store, images.Image(layers), "layers:1")
        runs = [one_start(program, store, "layers:1", top / f"start{count}-{run}") for run in range(RUNS)]
        columns = [sorted(column) for column in zip(*runs)]
        print(f"{count:6} " + "".join(f"{statistics.median(column):9.2f} {f'+{column[-1] - column[0]:.2f}':<12}"
                                      for column in columns), flush=True)


ECHO = ("/bin/busybox", "echo", "hello")


def one_run(words, environment):
    """Moments, ns since 1970: the start of the command, its first output, its end."""
    begun = time.time_ns()
    with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        first = process.stdout.read(1)
        said = time.time_ns()
        rest = process.stdout.read()
    ended = time.time_ns()
    if first + rest != b"hello\n" or process.returncode:
        raise RuntimeError(f"{words} ended with {process.returncode}: {first + rest!r}")
    return begun, said, ended


RUN_PHASES = [
    ("recorded", "the command has made the container's record, and its supervisor is about to be started"),
    ("started", "machine, kernel, agent and container are there, and the agent has started the program"),
    ("output", "its first output has come through supervisor and command"),
    ("end", "the program has ended, the machine is off, and so is the command"),
]


def one_phased_run(husk, environment, name):
    """Milliseconds from the start of the command to each phase's end."""
    begun, said, ended = one_run([husk, "run", "--name", name, "layers:1", *ECHO], environment)
    shown = subprocess.run([husk, "inspect", name], env=environment, check=True, capture_output=True).stdout
    subprocess.run([husk, "rm", name], env=environment, check=True, stdout=subprocess.DEVNULL)
    state = json.loads(shown)[0]["state"]
    return [(moment - begun) / 1e6 for moment in (state["created_ns"], state["started_ns"], said, ended)]


def show_runs(name, runs):
    """runs: one more than counts, for the first fills the caches."""
    columns = [sorted(column) for column in zip(*runs[1:])]
    print(f"{name:18}" + "".join(f"{statistics.median(column):10.2f} {f'+{column[-1] - column[0]:.2f}':<9}"
                                 for column in columns), flush=True)


def bench_run(husk, program, top):
    """The whole chain: command, supervisor, machine, agent. Beside it containerd with runc, and the same image."""
    store = top / "store-run"
    image = images.Image(machine_vm.layers(9))
    machine_vm.load(husk, store, image, "layers:1")
    environment = {**os.environ, "HUSK_STORE": str(store), "HUSK_STATE": str(top / "state")}
    for name, text in RUN_PHASES:
        print(f"{name:9} {text}")
    print(f"run IMAGE echo hello, 9 layers: ms from the start of the command, median of {RUNS}, and spread")
    print(" " * 18 + "".join(f"{name:>10}          " for name, _ in RUN_PHASES))
    show_runs("husk run", [one_phased_run(husk, environment, f"run{number}") for number in range(RUNS + 1)])
    if containerd.missing():
        print(f"skipped: containerd + runc: {' '.join(containerd.missing())}: not installed")
        return
    layout = images.layout(top / "layout", [images.named(image, "layers:1")], image.blobs)
    with containerd.Containerd() as peer:
        name = peer.load(layout)
        runs = [one_run(peer.run(name, f"run{number}", *ECHO), os.environ) for number in range(RUNS + 1)]
    print(" " * 58 + "    output                end")
    show_runs("containerd + runc" + " " * 40, [[(moment - run[0]) / 1e6 for moment in run[1:]] for run in runs])


def kib_of(pid):
    fields = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name.rstrip(":")] = int(value)
    return fields


def meminfo(text):
    return {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()}


def sleeping(machine):
    """A container that sleeps, and what the guest's kernel and the agent say of memory."""
    machine.open()
    container = Container(machine, {"root": None}, "exec sleep 100000", rootfs=machine.rootfs)
    container.start()
    inside = meminfo(container.output("look", "cat /proc/meminfo"))
    stats = machine.control.call("stats", container=container.name)
    return [inside["MemTotal"], inside["MemTotal"] - inside["MemFree"], inside["Cached"], stats["memory_bytes"] >> 10]


def bench_memory(husk, program, top):
    store = top / "store"
    machine_vm.load(husk, store, images.Image(machine_vm.layers(9)), "layers:1")
    print(f"""MiB of the host for a machine whose container sleeps, with {MACHINES} alike at a time; mean of them
rss, pss   husk-vmm's resident set, and with what is shared divided among those who share it
anon, huge of the resident set what is in no file, and what of that is in huge pages
beyond     pss without what the container itself has
total ...  what the guest's kernel says: all memory, what of it is in use (not free), the page cache in that,
           and what the container's control group has
  size     rss     pss    anon    huge  beyond |   total    used   cache container""")
    for size in SIZES_MIB:
        machines = []
        try:
            for number in range(MACHINES):
                machines.append(machine_vm.Machine(program, store, "layers:1", top / f"memory{size}-{number}",
                                                   memory_bytes=size << 20))
            inside = [sleeping(machine) for machine in machines]
            time.sleep(20)
            outside = [kib_of(machine.plan["pid"]) for machine in machines]
        finally:
            for machine in machines:
                machine.end()
        figures = [statistics.mean(one[name] for one in outside)
                   for name in ("Rss", "Pss", "Anonymous", "AnonHugePages")]
        said = [statistics.mean(column) for column in zip(*inside)]
        figures.append(figures[1] - said[-1])
        print(f"{size:6} " + " ".join(f"{kib / 1024:7.1f}" for kib in figures) + " | " +
              " ".join(f"{kib / 1024:7.1f}" for kib in said), flush=True)


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    husk, program, *parts = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="husk-bench-", dir="/var/tmp") as name:
        top = pathlib.Path(name)
        os.chmod(top, 0o755)
        for part in parts or ["run", "start", "memory"]:
            {"run": bench_run, "start": bench_start, "memory": bench_memory}[part](husk, program, top)
    return 0


if __name__ == "__main__":
    sys.exit(main())
