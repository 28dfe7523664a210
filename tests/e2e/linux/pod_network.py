#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of pods with real machines: behind CNI plugins and on husk's bridge pods reach each other by IPv4 and by
IPv6, what a hostile guest forges goes nowhere, and nothing is left, also of a pod whose supervisor was killed.

usage: pod_network.py HUSK SEND-FRAMES
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "network"))

# pylint: disable=wrong-import-position
import network
import pod as pods
from e2e import require
from network import arp, ethernet, icmp6, in_namespace, ip4, ip6, udp
from pod import answers, boxes

FRAMES = pathlib.Path(sys.argv[2]).resolve()
HOST = "192.0.2.10"  # of network.prepare()
NOBODY = "02:00:00:00:00:99"
MARK, HONEST = b"FORGED", b"HONEST"  # the first is in everything that is forged; also a MAC

CONFLIST = {"cniVersion": "1.0.0", "name": "twin", "plugins": [
    {"type": "bridge", "bridge": "twin0", "isGateway": True, "mtu": 1400,
     "dns": {"nameservers": ["10.22.0.1", "fd22::1"], "search": ["twin.example"], "options": ["ndots:3"]},
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.22.0.0/24"}], [{"subnet": "fd22::/64"}]],
              "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
    {"type": "bandwidth", "capabilities": {"bandwidth": True}}]}

RATES = {"kubernetes.io/ingress-bandwidth": "1G", "kubernetes.io/egress-bandwidth": "1G"}


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=boxes.PATIENCE_S).stdout


class End:
    """A pod that runs: what husk recorded of it, and what its interface has."""

    def __init__(self, box, name):
        self.box, self.name = box, name
        status = box.get(name)["status"]
        self.ip4, self.ip6 = (one["ip"] for one in status["podIPs"])
        self.uid = json.loads((box.pods / name / "spec.json").read_text())["uid"]
        self.tap = "hk" + self.uid[:12]
        netns = pathlib.Path("/run/netns") / f"husk-{self.uid[:12]}"
        self.netns = netns if netns.exists() else None
        self.mac = self.inside("cat", "/sys/class/net/eth0/address").strip()

    def inside(self, *command):
        return self.box.pod("exec", self.name, "--", *command)

    def fetch(self, host):
        return self.inside("busybox", "timeout", "30", "busybox", "wget", "-q", "-O", "-", f"http://{host}/index.html")

    def on_host(self, function):
        """With the tap in reach."""
        return in_namespace(self.netns, function) if self.netns else function()

    def dropped(self):
        """Frames that the rules have dropped."""
        table = json.loads(self.on_host(lambda: run("nft", "-j", "list", "table", "netdev", self.tap)))
        counters = [part["counter"]["packets"] for item in table["nftables"] if "rule" in item
                    for part in item["rule"]["expr"] if "counter" in part]
        return sum(counters)

    def send(self, frames):
        with self.box.start("pod", "exec", "-i", self.name, "--", "/tmp/send-frames", "eth0",
                            stdin=subprocess.PIPE) as process:
            out = process.communicate("".join(frame.hex() + "\n" for frame in frames).encode(), boxes.PATIENCE_S)
        require(process.returncode == 0, out)


def start(box, mode, *names):
    for name in names:
        port = {"containerPort": 80, **({"hostPort": 8080} if name.startswith("victim") else {})}
        box.run_pod(pods.web_pod(name, RATES, ports=[port],
                                 securityContext={"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}),
                    "--network", mode)
    box.pod("wait", "--ready", *names)
    return [End(box, name) for name in names]


class Ears:
    """A packet socket on an interface, of a pod's namespace or the host's: what comes by there."""

    def __init__(self, name, end=None):
        self.name, self.counts = name, {MARK: 0, HONEST: 0}
        self.socket = end.on_host(self.open) if end else self.open()

    def open(self):
        ears = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        ears.bind((self.name, 0))
        ears.setblocking(False)
        return ears

    def count(self, mark):
        """How many frames with the mark have come so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = self.socket.recv(2048)
                for known in self.counts:
                    self.counts[known] += known in frame
        return self.counts[mark]


def advertisement(source, target, mac):
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, target) + b"\2\1" + mac
    return ip6(source, "ff02::1", 58, icmp6(source, "ff02::1", body))


def forgeries(hostile, victim):
    """Frames that no guest may send; each has the mark, so that it is known wherever it comes."""
    def four(source):
        return ip4(source, victim.ip4, 17, udp(source, victim.ip4, 1, 2, MARK))

    def six(source):
        return ip6(source, victim.ip6, 17, udp(source, victim.ip6, 1, 2, MARK))

    mark = MARK.hex(":")
    other4, other6 = victim.ip4.rpartition(".")[0] + ".77", victim.ip6.rpartition(":")[0] + ":7777"
    return [
        # Another source MAC, for packets that are right, and for one that asks.
        ethernet(victim.mac, NOBODY, 0x0800, four(hostile.ip4)),
        ethernet(victim.mac, NOBODY, 0x86DD, six(hostile.ip6)),
        ethernet("ff:ff:ff:ff:ff:ff", mark, 0x0806, arp(1, mark, hostile.ip4, "00:00:00:00:00:00", victim.ip4)),
        # Another IPv4 and IPv6, of nobody and of the victim.
        *(ethernet(victim.mac, hostile.mac, 0x0800, four(ip)) for ip in (other4, victim.ip4)),
        *(ethernet(victim.mac, hostile.mac, 0x86DD, six(ip)) for ip in (other6, victim.ip6, "fe80::77")),
        # ARP for another's address, and with another MAC in the message.
        ethernet("ff:ff:ff:ff:ff:ff", hostile.mac, 0x0806, arp(2, hostile.mac, victim.ip4, mark, victim.ip4)),
        ethernet(victim.mac, hostile.mac, 0x0806, arp(2, mark, hostile.ip4, victim.mac, victim.ip4)),
        # Neighbour advertisements: another's address, another MAC, and a router's.
        ethernet("33:33:00:00:00:01", hostile.mac, 0x86DD, advertisement(hostile.ip6, victim.ip6, MARK)),
        ethernet("33:33:00:00:00:01", hostile.mac, 0x86DD, advertisement(hostile.ip6, hostile.ip6, MARK)),
        ethernet("33:33:00:00:00:01", hostile.mac, 0x86DD, advertisement(victim.ip6, victim.ip6, MARK)),
        # Tagged.
        ethernet(victim.mac, hostile.mac, 0x8100, b"\0\5\x08\0" + four(hostile.ip4)),
    ]


def honest(hostile, victim):
    return [ethernet(victim.mac, hostile.mac, 0x0800,
                     ip4(hostile.ip4, victim.ip4, 17, udp(hostile.ip4, victim.ip4, 1, 2, HONEST))),
            ethernet(victim.mac, hostile.mac, 0x86DD,
                     ip6(hostile.ip6, victim.ip6, 17, udp(hostile.ip6, victim.ip6, 1, 2, HONEST)))]


def nothing_forged_arrives(hostile, victim, way, beside):
    """Neither at the victim nor on the way to it, nor at the host; what is honest does, behind all of it."""
    hostile.box.pod("cp", FRAMES, f"{hostile.name}:web:/tmp/send-frames")
    frames = forgeries(hostile, victim)
    before = hostile.dropped()
    hostile.send(frames)
    hostile.box.wait_for("the rules", lambda: hostile.dropped() - before >= len(frames))
    hostile.send(honest(hostile, victim))
    for ears in way:
        hostile.box.wait_for(f"what is honest at {ears.name}", lambda e=ears: e.count(HONEST) >= 2)
    found = {ears.name: ears.count(MARK) for ears in (*way, *beside)}
    require(not any(found.values()), f"what was forged is heard: {found}")
    # An interface that has been given another MAC reaches nobody.
    hostile.inside("busybox", "ip", "link", "set", "eth0", "address", NOBODY)
    with hostile.box.start("pod", "exec", hostile.name, "--", "busybox", "ping", "-c", "1", "-W", "2",
                           victim.ip4) as process:
        process.communicate(timeout=boxes.PATIENCE_S)
    require(process.returncode == 1, "it reaches the victim with another MAC")


def reach_each_other(one, other):
    for address in (other.ip4, f"[{other.ip6}]"):
        require(one.fetch(address) == other.name + "\n", f"{one.name} does not reach {address}")
    for address in (one.ip4, one.ip6):
        require(answers(80, one.name.encode(), address), f"the host does not reach {address}")
    require(answers(8080, other.name.encode(), HOST), "the published port")


def left_on_host():
    """What networks of pods leave when something goes wrong."""
    found = [str(path) for top in ("/run/netns", "/run/husk/network", "/var/lib/cni/networks/twin", "/var/lib/cni/results")
             for path in pathlib.Path(top).rglob("*")
             if path.is_file() and path.name not in ("far", "lock") and not path.name.startswith("last_reserved_ip")]
    found += [link["ifname"] for link in json.loads(run("ip", "-j", "link"))
              if link["ifname"].startswith(("hk", "husk", "veth", "ifb", "bwp"))]
    found += [line for line in run("nft", "list", "tables").splitlines() if "hk" in line or "husk" in line]
    for command in ("iptables-save", "ip6tables-save"):
        found += [line for line in run(command).splitlines() if "CNI-DN-" in line or "CNI-SN-" in line]
    return found


def cni(box):
    """A dual-stack chain of Debian's plugins; what it says of DNS and MTU; a supervisor that is killed."""
    victim, hostile = start(box, "cni:twin", "victim", "hostile")
    reach_each_other(hostile, victim)
    require(hostile.inside("cat", "/sys/class/net/eth0/mtu") == "1400\n", "the MTU")
    lines = set(hostile.inside("cat", "/etc/resolv.conf").splitlines())
    require({"nameserver 10.22.0.1", "nameserver fd22::1", "search twin.example", "options ndots:3"} <= lines, lines)
    veth = next(one["name"] for one in json.loads((box.pods / "hostile" / "network.json").read_text())
                ["cni"]["result"]["interfaces"] if one["name"].startswith("veth"))
    nothing_forged_arrives(hostile, victim, [Ears(veth), Ears("eth0", victim), Ears(victim.tap, victim)],
                           [Ears("twin0")])
    state = json.loads((box.pods / "victim" / "state.json").read_text())
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    box.wait_for("the machine's end", lambda: not pathlib.Path(f"/proc/{state['machine_pid']}").exists())
    require(victim.netns.exists() and any(victim.uid[:12] in item for item in left_on_host()), "nothing was left")
    box.pod("ps")
    require(box.get("victim")["status"]["reason"] == "SupervisorLost", box.get("victim")["status"])
    left = [item for item in left_on_host() if victim.uid[:12] in item or item.endswith(victim.ip4)]
    require(not left and not victim.netns.exists(), f"of the one that was killed: {left}")
    box.pod("rm", "-f", "victim", "hostile")
    pods.nothing_left(box)
    require(not left_on_host(), left_on_host())


def bridge(box):
    """husk's own bridge."""
    victim, hostile = start(box, "bridge", "victim", "hostile")
    reach_each_other(hostile, victim)
    nothing_forged_arrives(hostile, victim, [Ears(victim.tap)], [Ears("husk0")])
    box.pod("rm", "-f", "victim", "hostile")
    pods.nothing_left(box)
    require(not left_on_host(), left_on_host())


def prepare():
    """A host of our own, with an address and one network."""
    network.prepare()
    pathlib.Path("/etc/cni/net.d/twin.conflist").write_text(json.dumps(CONFLIST), encoding="utf-8")


def main():
    if not network.PLUGINS.exists():
        print(f"skipped: pod_network: no CNI plugins in {network.PLUGINS}")
        return pods.SKIPPED
    if os.environ.get("HUSK_OWN_HOST") != "1":
        os.environ["HUSK_OWN_HOST"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
    prepare()
    pods.CASES = [("CNI plugins", cni), ("husk's bridge", bridge)]
    return pods.main()


if __name__ == "__main__":
    sys.exit(main())
