#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a frame from pod to pod costs, by each way in which a pod can be joined to its network, beside two
network namespaces that the same bridge joins. In namespaces of its own, as root.

The ends are taps as a machine has them, without the machine: what is measured is the host's part. For the
two namespaces they are packet sockets on the interfaces.
"""
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("HUSK_BUILD", "build/release"))
FRAMES, NETWORK = BUILD / "bench/frames", BUILD / "tests/husk-network"
MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
IPS = ("10.1.0.1,fd01::1", "10.1.0.2,fd01::2")


def run(*command, check=True, text=None):
    return subprocess.run([str(part) for part in command], check=check, capture_output=True, text=True, input=text,
                          timeout=120).stdout


def veths():
    """Two namespaces, joined by a bridge; their interfaces are called eth0."""
    run("ip", "link", "add", "br0", "type", "bridge")
    run("ip", "link", "set", "br0", "up")
    for i, name in enumerate("ab"):
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"v{name}", "master", "br0", "up")
        run("ip", "-n", name, "link", "set", "eth0", "address", MACS[i], "up")
        yield name


def taps(join):
    ends = []
    for i, name in enumerate(veths()):
        run("ip", "-n", name, "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        run("ip", "-n", name, "link", "set", "tap0", "up")
        join(name)
        ends.append(f"tap,/run/netns/{name},tap0,{MACS[i]},{IPS[i]}")
    return ends


def namespaces():
    return [f"packet,/run/netns/{name},eth0,{MACS[i]},{IPS[i]}" for i, name in enumerate(veths())]


def redirected():
    def join(name):
        for device, other in (("tap0", "eth0"), ("eth0", "tap0")):
            run("tc", "-n", name, "qdisc", "add", "dev", device, "ingress")
            run("tc", "-n", name, "filter", "add", "dev", device, "parent", "ffff:", "protocol", "all", "u32", "match",
                "u32", "0", "0", "action", "mirred", "egress", "redirect", "dev", other)
    return taps(join)


def forwarded():
    def join(name):
        chain = 'chain %s {\n type filter hook ingress device "%s" priority 0\n fwd to "%s"\n}\n'
        run("ip", "netns", "exec", name, "nft", "-f", "-", text="table netdev t {\n" + chain % ("a", "tap0", "eth0") +
            chain % ("b", "eth0", "tap0") + "}\n")
    return taps(join)


def bridged():
    def join(name):
        run("ip", "-n", name, "link", "set", "dev", "eth0", "address", f"02:00:00:00:01:0{name}")
        run("ip", "-n", name, "link", "add", "br1", "type", "bridge")
        for device in ("eth0", "tap0"):
            run("ip", "-n", name, "link", "set", "dev", device, "master", "br1")
        run("ip", "-n", name, "link", "set", "br1", "up")
    return taps(join)


def macvtap():
    ends = []
    for i, name in enumerate(veths()):
        run("ip", "-n", name, "link", "add", "link", "eth0", "name", "mt0", "type", "macvtap", "mode", "passthru")
        run("ip", "-n", name, "link", "set", "mt0", "up")
        number = run("ip", "netns", "exec", name, "sh", "-c", "cat /sys/class/net/mt0/macvtap/tap*/dev").strip()
        run("mknod", f"/run/{name}", "c", *number.split(":"))
        ends.append(f"file,/run/netns/{name},/run/{name},{MACS[i]},{IPS[i]}")
    return ends


def pods(mode):
    ends = []
    for name in "ab":
        identity = hashlib.sha256(name.encode()).hexdigest()
        result = json.loads(run(NETWORK, "up", tempfile.mkdtemp(dir="/run"), mode, identity))
        network = result["network"]
        ends.append(f"tap,{network.get('netns', '')},{network['tap']},{network['mac']},{','.join(result['ips'])}")
    return ends


def husk_bridge():
    return pods("bridge")


def husk_cni():
    directory = pathlib.Path("/run/cni")
    directory.mkdir()
    (directory / "a.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": "a", "plugins": [
        {"type": "bridge", "bridge": "br0", "ipam": {"type": "host-local", "dataDir": "/run/ipam",
                                                     "ranges": [[{"subnet": "10.1.0.0/24"}],
                                                                [{"subnet": "fd01::/64"}]]}}]}), encoding="utf-8")
    os.environ["NETCONFPATH"] = str(directory)
    return pods("cni:a")


WAYS = {"two namespaces": namespaces, "tc redirect": redirected, "nft forwarding": forwarded,
        "bridge in the namespace": bridged, "macvtap": macvtap, "husk, cni": husk_cni, "husk, bridge": husk_bridge}


def one(name):
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", "/run")
    print(run(FRAMES, *WAYS[name]()), end="")


def main():
    if len(sys.argv) > 1:
        one(sys.argv[1])
        return
    if os.geteuid():
        print("pod_network: skipped: not root")
        return
    print("medians (ranges) of rounds; TCP segments are of 62 KiB, cut by nobody on the way\n" + f"{'':24}" +
          "".join(f"{text:>26}" for ip in ("IPv4", "IPv6")
                  for text in (f"{ip} round trip us", "1500 bytes Gbit/s", "segments Gbit/s")))
    for name in WAYS:
        done = subprocess.run(["unshare", "--net", "--mount", sys.executable, __file__, name], check=False,
                              capture_output=True, text=True, timeout=300)
        if done.returncode:
            print(f"{name:24} skipped: {done.stderr.strip().splitlines()[-1]}")
            continue
        rows = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
        texts = [f"{statistics.median(v):.2f} ({min(v):.2f}..{max(v):.2f})" for v in zip(*rows)]
        print(f"{name:24}" + "".join(f"{text:>26}" for text in texts), flush=True)


if __name__ == "__main__":
    main()
