#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods on virtual functions of a network card, the lab's: two that reach each other, and that every function goes
back to its driver, whatever was killed.

It takes functions away from the host, so it runs in the lab only (tests/lab/run --sriov).

usage: pod_vf.py HUSK HUSK-NETWORK
"""
import ipaddress
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

os.environ["HUSK"] = str(pathlib.Path(sys.argv[1]).resolve())
os.environ.setdefault("HUSK_TEST_PATIENCE_S", "400")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "container"))

# pylint: disable=wrong-import-position
import box as boxes
from container import processes
from e2e import Failure, require
from husktest import SKIPPED, Skip
from pod import Pods
from traced import Traced
from vf import DEVICES, NET, RECORDS, find_pf
from vfioguests import guest_kernel

STATE = pathlib.Path("/run/husk/network")
WRITE, UNLINKAT, RENAMEAT, RDI = 1, 263, 264, 14  # the last: where user_regs_struct has the first argument
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, annotations: {kubernetes.io/egress-bandwidth: 100M}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "echo NAME > /tmp/index.html; exec busybox httpd -f -p 80 -h /tmp"]
    resources: {limits: {memory: 64Mi}}
"""


class Card:
    """The PF, up, with two VFs, and addresses for the pods on them."""

    def __init__(self, box):
        self.box = box
        self.pf = find_pf()
        subprocess.run(["modprobe", "vfio_iommu_type1"], check=True)
        self.program = pathlib.Path(sys.argv[2]).resolve()
        box.environment["HUSK_NETWORK_CONFIG"] = str(box.top / "network.json")
        self.configure(first="10.9.0.100", last="10.9.0.102", gateway="10.9.0.1")

    def configure(self, pf=None, mtu=1400, **words):
        text = {"vf": {pf or self.pf: {"ipv4": {"prefix": "10.9.0.0/24", **words},
                                       "ipv6": {"prefix": "fd12:3456:789a::/64"}, "mtu": mtu}}}
        (self.box.top / "network.json").write_text(json.dumps(text))

    def functions(self):
        report = json.loads(self.box.husk("vf", "list", self.pf, "--json"))
        return report["physical_functions"][0]["vfs"]

    def drivers(self):
        return [function["driver"] for function in self.functions()]

    def at_home(self):
        """All is as it was before there were pods."""
        for function in self.functions():
            require(function["driver"] == "igbvf", function)
            require(function["mac"] == own_mac(function["index"]) and function["rate"] == 0, function)
            override = (DEVICES / function["address"] / "driver_override").read_text().strip()
            require(override == "(null)", override)
        require(not claims() and not list(RECORDS.iterdir()), (claims(), list(RECORDS.iterdir())))

    def network(self, verb, *words, mode=None):
        """pod/network/ as a program: of the pod that is in the directory "pod"."""
        directory = self.box.top / "pod"
        directory.mkdir(exist_ok=True)
        more = [mode or f"vf:{self.pf}", "ab" * 32, *words] if verb == "up" else []
        return [self.program, verb, directory, *more]

    def refused(self, says, mode=None, pod="{}"):
        ended = subprocess.run(self.network("up", pod, mode=mode), env=self.box.environment, capture_output=True,
                               text=True, timeout=60, check=False)
        require(ended.returncode == 1 and says in ended.stderr, (says, ended.stderr))
        require(ended.stderr.count("\n") == 1 and not (self.box.top / "pod/network.json").exists(), ended.stderr)


def own_mac(index):
    """What a function is told before there are pods: it is to come back."""
    return f"02:00:00:00:02:{index:02x}"


def claims():
    """Without what a killed writer left of a file that was not whole yet: it is nobody's claim."""
    return sorted(path.name for part in ("vfs", "addresses", "pods") for path in (STATE / part).glob("[!.]*"))


def refusals(card):
    """One line each, and nothing is left."""
    bandwidth = '{"metadata": {"annotations": {"kubernetes.io/%s-bandwidth": "1M"}}}'
    subprocess.run(["ip", "link", "set", card.pf, "down"], check=True)
    card.refused(f"ip link set {card.pf} up")
    subprocess.run(["ip", "link", "set", card.pf, "up"], check=True)
    card.refused("husk vf create")
    card.refused("not of a PCI device", mode="vf:lo")
    card.refused("no such physical function", mode="vf:absent0")
    card.refused("ingress-bandwidth", pod=bandwidth % "ingress")
    card.box.husk("vf", "create", card.pf, 2)
    wait_for(lambda: all(function["interfaces"] for function in card.functions()), "interfaces of the VFs")
    wait_for(lambda: (NET / card.pf / "carrier").read_text().strip() == "1", "link")
    for index in range(2):
        card.box.husk("vf", "set", card.pf, index, f"mac={own_mac(index)}")
    card.configure(pf="another0")
    card.refused(f'no "vf" with "{card.pf}" in it')
    card.configure(mtu=9000)
    card.refused(f"mtu 9000 is more than the 1500 of {card.pf}")
    card.configure(first="10.9.0.1", last="10.9.0.1", gateway="10.9.0.1")
    card.refused("all of its range are in use")
    card.configure(first="10.9.0.100", last="10.9.0.102", gateway="10.9.0.1")
    # The card's speed is below that: what was done before is taken back.
    card.refused("rate: cannot be set", pod=bandwidth.replace("1M", "100G") % "egress")
    card.at_home()


def wait_for(ready, what):
    """The clock of the lab is not the host's: counted in tries."""
    for _ in range(600):
        if ready():
            return
        time.sleep(0.1)
    raise Failure(f"no {what}")


def changes(traced):
    """A record or claim that appears or goes, or something of a device."""
    number = traced.number()
    if number != WRITE:
        return number in (UNLINKAT, RENAMEAT)
    try:
        return os.readlink(f"/proc/{traced.pid}/fd/{traced.registers[RDI]}").startswith("/sys/")
    except OSError:
        return False


def kill_at(card, verb, nth):
    """Ends the program at the entry of its Nth call that changes something; False when it came to its end."""
    before = dict(os.environ)
    os.environ.update(card.box.environment)
    try:
        with open(os.devnull, "wb") as nothing:
            traced = Traced([str(word) for word in card.network(verb)], nothing.fileno())
    finally:
        os.environ.clear()
        os.environ.update(before)
    count, entry = 0, True
    while traced.step():
        if entry and changes(traced):
            count += 1
            if count == nth:
                traced.kill()
                return True
        entry = not entry
    return False


def down(card):
    """By the pod's record; and by the host's, where the other had not been written yet."""
    for command in (card.network("down"), [card.program, "collect"]):
        subprocess.run(command, env=card.box.environment, check=True, timeout=120, stdout=subprocess.DEVNULL)


def killed(card):
    """pod_network_up() and _down() at each of their steps; afterwards _down() makes everything as it was."""
    steps = {"up": 0, "down": 0}
    for verb, count in list(steps.items()):
        while True:
            if verb == "down":
                subprocess.run(card.network("up"), env=card.box.environment, check=True, timeout=120,
                               stdout=subprocess.DEVNULL)
                require(card.drivers() == ["vfio-pci", "igbvf"], card.drivers())
            ended = not kill_at(card, verb, count + 1)
            down(card)
            card.at_home()
            if ended:
                break
            count += 1
        steps[verb] = count
    print(f"killed at {steps}", flush=True)
    require(steps["up"] >= 9 and steps["down"] >= 8, steps)


def two_pods(card):
    box = card.box
    for name in ("one", "two"):
        box.run_pod(MANIFEST.replace("NAME", name), "--network", f"vf:{card.pf}", "--guest-kernel", guest_kernel())
    box.pod("wait", "--ready", "one", "two")
    addresses = {name: box.get(name)["status"]["podIP"] for name in ("one", "two")}
    require(set(addresses.values()) < {"10.9.0.100", "10.9.0.101", "10.9.0.102"}, addresses)
    require(len(set(addresses.values())) == 2, addresses)
    require(card.drivers() == ["vfio-pci", "vfio-pci"], card.drivers())
    macs = {function["mac"]: function for function in card.functions()}
    for address in addresses.values():
        mac = "0a:58:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        require(macs[mac]["spoofchk"] and not macs[mac]["trust"] and macs[mac]["rate"] == 100, macs)
    card.refused("all of its 2 are in use")
    look = box.pod("exec", "one", "--", "sh", "-c", "busybox ip address; busybox ip route")
    require("mtu 1400" in look and "default via 10.9.0.1" in look, look)
    # QEMU's network advertises a router, to which a pod does not listen.
    require("fec0:" not in look, look)
    for name, other in (("one", "two"), ("two", "one")):
        fetch(box, name, addresses[other], f"{other}\n")
        sixth = box.get(other)["status"]["podIPs"][1]["ip"]
        require(ipaddress.ip_address(sixth) in ipaddress.ip_network("fd12:3456:789a::/64"), sixth)
        fetch(box, name, f"[{sixth}]", f"{other}\n")


def fetch(box, name, host, text):
    command = (f"for i in 1 2 3 4 5 6; do busybox timeout 10 busybox wget -q -O - http://{host}/ && exit;"
               "sleep 1; done; exit 1")
    require(box.pod("exec", name, "--", "sh", "-c", command) == text, (name, host))


def supervisor_killed(card):
    box = card.box
    state = json.loads((box.pods / "one/state.json").read_text())
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: box.get("one")["status"]["phase"] == "Failed", "end of the pod")
    wait_for(lambda: sorted(card.drivers()) == ["igbvf", "vfio-pci"], "function that came back")
    require(len(claims()) == 4, claims())
    # The function that came back is another pod's.
    box.pod("rm", "one")
    subprocess.run(card.network("up"), env=box.environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
    require(card.drivers() == ["vfio-pci", "vfio-pci"], card.drivers())
    subprocess.run(card.network("down"), env=box.environment, check=True, timeout=120, stdout=subprocess.DEVNULL)


def removed(card):
    box = card.box
    box.pod("rm", "-f", "two")
    wait_for(lambda: not processes(), f"end of {processes()}")
    card.at_home()
    box.husk("vf", "remove", card.pf)


CASES = [("what is refused", refusals), ("killed at each step", killed), ("two pods", two_pods),
         ("a killed supervisor", supervisor_killed), ("removed", removed)]


def main():
    failed = 0
    try:
        guest_kernel()
        find_pf()
    except Skip as reason:
        print(f"skipped: pod_vf: {reason}")
        return SKIPPED
    with Pods() as box:
        card = Card(box)
        for name, function in CASES:
            started = time.monotonic()
            try:
                function(card)
                print(f"ok: {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except (Failure, subprocess.SubprocessError, OSError, KeyError, ValueError):
                failed += 1
                print(f"FAILED: {name}:\n{traceback.format_exc()}{box.why()}", flush=True)
                break  # the next would begin with what this one left
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
