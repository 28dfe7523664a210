# SPDX-License-Identifier: Apache-2.0
"""What the tests of pod networks share: a host of their own, pods on it, and guests that speak frames.

The whole test runs in network and mount namespaces that it makes itself, with /run, /etc/cni and the like
empty: the real host's network is neither seen nor touched. A guest is this process behind a tap: it sends
and receives whole frames, and answers ARP and neighbour discovery only where a test says so.
"""
import ctypes
import fcntl
import hashlib
import ipaddress
import json
import os
import pathlib
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = os.environ.get("HUSK_NETWORK", "husk-network")
PLUGINS = pathlib.Path("/usr/lib/cni")
PATIENCE_S = 180
SKIPPED = 77
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    pass


class Refused(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Failure(str(what))


def run(*command, check=True, **named):
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, **named)
    if check and done.returncode:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def skip(why):
    line = f"{pathlib.Path(sys.argv[0]).stem}: {why}"
    print("skipped: " + line)
    log = os.environ.get("HUSK_SKIP_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    sys.exit(SKIPPED)


def in_namespace(path, function):
    """Call function() with this thread in another network namespace."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if LIBC.setns(there, 0):
            raise OSError(ctypes.get_errno(), f"setns {path}")
        return function()
    finally:
        LIBC.setns(here, 0)
        os.close(here)
        os.close(there)


def identity(name):
    return hashlib.sha256(name.encode()).hexdigest()


class Pod:
    """A pod's directory, and its network."""

    def __init__(self, name, mode="bridge", up=True, **pod):
        self.name, self.mode, self.id = name, mode, identity(name)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pod-"))
        self.pod = pod
        if up:
            self.up()

    def command(self, verb):
        more = (self.mode, self.id, json.dumps(self.pod)) if verb == "up" else ()
        return (PROGRAM, verb, str(self.directory), *more)

    def call(self, verb):
        done = run(*self.command(verb), check=False)
        if done.returncode == 1 and done.stderr:
            raise Refused(done.stderr.strip())
        require(done.returncode == 0, f"{verb} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def up(self):
        self.result = json.loads(self.call("up"))
        self.network = self.result.get("network", {})
        self.tap = self.network.get("tap")
        self.mac = self.network.get("mac")
        self.ip = self.result["ips"][0] if self.result["ips"] else None
        return self

    def down(self):
        self.call("down")
        require(not (self.directory / "network.json").exists(), "network.json is left")

    def guest(self):
        return Guest(self)

    @property
    def netns(self):
        return self.network.get("netns")


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(to, source, kind, payload):
    return mac_bytes(to) + mac_bytes(source) + struct.pack("!H", kind) + payload


def arp(operation, mac, ip, target_mac, target_ip):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac_bytes(mac) + ipaddress.ip_address(ip).packed + \
        mac_bytes(target_mac) + ipaddress.ip_address(target_ip).packed


def ip4(source, to, protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
                         ipaddress.ip_address(source).packed, ipaddress.ip_address(to).packed)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ip6(source, to, protocol, payload, hops=255):
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + ipaddress.ip_address(source).packed + \
        ipaddress.ip_address(to).packed + payload


def transport(source, to, protocol, payload, at):
    """The checksum of TCP, UDP and ICMPv6, with the pseudo header of either IP."""
    one, other = ipaddress.ip_address(source).packed, ipaddress.ip_address(to).packed
    pseudo = one + other + (struct.pack("!BBH", 0, protocol, len(payload)) if len(one) == 4 else
                            struct.pack("!IHBB", len(payload), 0, 0, protocol))
    payload = payload[:at] + b"\0\0" + payload[at + 2:]
    return payload[:at] + struct.pack("!H", checksum(pseudo + payload)) + payload[at + 2:]


def udp(source, to, source_port, port, data):
    packet = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
    return transport(source, to, 17, packet, 6)


def icmp6(source, to, body):
    return transport(source, to, 58, body, 2)


class Guest:
    """Behind a pod's tap, as the machine is."""

    def __init__(self, pod):
        self.pod, self.mac, self.ip = pod, pod.mac, pod.ip
        self.fd = in_namespace(pod.netns, self.attach) if pod.netns else self.attach()
        if not pod.netns:
            self.wait_for_the_bridge()

    def attach(self):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", self.pod.tap.encode(),
                                               IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        return fd

    def wait_for_the_bridge(self):
        """A port forwards when the kernel has seen that somebody has its tap open."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            state = json.loads(run("bridge", "-j", "link", "show", "dev", self.pod.tap).stdout or "[]")
            if state and state[0]["state"] == "forwarding":
                return
            time.sleep(0.02)
        raise Failure(f"{self.pod.tap} does not forward")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def send(self, frame):
        os.write(self.fd, b"\0" * 10 + frame)

    def frames(self, seconds):
        """What comes within this time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                yield os.read(self.fd, 70000)[10:]

    def answer(self, frame):
        """What any kernel answers: ARP, and solicitations for the pod's addresses."""
        kind = struct.unpack("!H", frame[12:14])[0]
        if kind == 0x0806 and frame[20:22] == b"\0\1" and frame[38:42] == ipaddress.ip_address(self.ip).packed:
            sender = frame[22:28].hex(":")
            self.send(ethernet(sender, self.mac, 0x0806, arp(2, self.mac, self.ip, sender,
                                                             ipaddress.ip_address(frame[28:32]))))
        elif kind == 0x86DD and frame[20] == 58 and frame[54] == 135:
            target = str(ipaddress.ip_address(frame[62:78]))
            source = str(ipaddress.ip_address(frame[22:38]))
            if target in self.pod.result["ips"] and source != "::":
                body = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + frame[62:78] + b"\2\1" + mac_bytes(self.mac)
                self.send(ethernet(frame[6:12].hex(":"), self.mac, 0x86DD,
                                   ip6(target, source, 58, icmp6(target, source, body))))

    def hears(self, wanted, seconds=10):
        """The first frame of which wanted() is true, answering on the way; None when there is none."""
        for frame in self.frames(seconds):
            if wanted(frame):
                return frame
            self.answer(frame)
        return None

    def resolve(self, ip):
        """The MAC of an address on the link; None when nobody answers."""
        packed = ipaddress.ip_address(ip).packed
        for _ in range(5):
            self.send(ethernet("ff:ff:ff:ff:ff:ff", self.mac, 0x0806,
                               arp(1, self.mac, self.ip, "00:00:00:00:00:00", ip)))
            frame = self.hears(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2" and f[28:32] == packed, 1)
            if frame:
                return frame[22:28].hex(":")
        return None

    def datagram(self, mac, ip, port, data, source_port=4000):
        self.send(ethernet(mac, self.mac, 0x0800, ip4(self.ip, ip, 17, udp(self.ip, ip, source_port, port, data))))

    def hears_data(self, data, seconds=10):
        return self.hears(lambda frame: data in frame, seconds)

    def gateway(self):
        return self.pod.network["routes"][0]["via"]


def deaf(guests, data, seconds=1.0):
    """None of them hears it."""
    for guest in guests:
        frame = guest.hears(lambda f: data in f, seconds)
        require(frame is None, f"{guest.pod.name} heard {frame and frame.hex()}")


def links():
    return {link["ifname"] for link in json.loads(run("ip", "-j", "link").stdout)}


def tables():
    done = run("nft", "-j", "list", "tables")
    return {item["table"]["name"] for item in json.loads(done.stdout)["nftables"] if "table" in item}


def left_over():
    """Everything of pods that is on the host."""
    state = pathlib.Path("/run/husk/network")
    files = [str(p.relative_to(state)) for p in state.rglob("*") if p.is_file()] if state.exists() else []
    netns = os.listdir("/run/netns") if os.path.exists("/run/netns") else []
    leases = [str(p) for p in pathlib.Path("/var/lib/cni").rglob("*.*.*.*")]
    return sorted(files) + sorted(netns) + leases + sorted(links() - {"lo", "up0", "up1"}) + sorted(tables())


def clean():
    left = [item for item in left_over() if item not in ("filter", "nat")]
    require(not left, f"left on the host: {left}")


def conflist(name, *plugins, version="1.0.0"):
    path = pathlib.Path("/etc/cni/net.d") / f"{name}.conflist"
    path.write_text(json.dumps({"cniVersion": version, "name": name, "plugins": plugins}), encoding="utf-8")
    return path


def bridge_plugin(subnet="10.22.0.0/24", **more):
    return {"type": "bridge", "bridge": "up1", "isGateway": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]],
                     "routes": [{"dst": "0.0.0.0/0"}]}, **more}


def script_plugin(name, text):
    """A plugin of the test's own, first in CNI_PATH."""
    path = pathlib.Path("/run/plugins") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)


def prepare():
    """In the new namespaces: an empty host with one uplink."""
    run("mount", "--make-rprivate", "/")
    for directory in ("/run", "/var/lib"):
        run("mount", "-t", "tmpfs", "none", directory)
    run("mount", "-t", "sysfs", "none", "/sys", check=False)
    etc = pathlib.Path("/run/etc")
    for part in ("upper", "work"):
        (etc / part).mkdir(parents=True)
    run("mount", "-t", "overlay", "-o", f"lowerdir=/etc,upperdir={etc}/upper,workdir={etc}/work", "none", "/etc")
    shutil.rmtree("/etc/cni", ignore_errors=True)
    pathlib.Path("/etc/cni/net.d").mkdir(parents=True)
    resolv = pathlib.Path("/etc/resolv.conf")
    resolv.unlink(missing_ok=True)
    resolv.write_text("nameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch example.org\noptions ndots:2\n",
                      encoding="utf-8")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "far0")
    run("ip", "netns", "add", "far")
    run("ip", "link", "set", "far0", "netns", "far")
    run("ip", "address", "add", "192.0.2.10/24", "dev", "up0")
    run("ip", "link", "set", "up0", "up")
    run("ip", "-n", "far", "address", "add", "192.0.2.1/24", "dev", "far0")
    run("ip", "-n", "far", "link", "set", "far0", "up")
    run("ip", "route", "add", "default", "via", "192.0.2.1")


def check_one(name, function):
    try:
        function()
        run("ip", "netns", "del", "far")
        clean()
    except Exception:  # pylint: disable=broad-except
        print(f"FAILED {name}")
        traceback.print_exc()
        return 1
    print(f"ok {name}")
    return 0


def main(cases):
    """Each case on a host of its own."""
    if os.geteuid():
        skip("not root")
    if not shutil.which("nft") or not shutil.which("ip"):
        skip("no ip or nft command (scripts/install-deps test)")
    if not PLUGINS.exists():
        skip(f"no CNI plugins in {PLUGINS} (scripts/install-deps test)")
    wanted = sys.argv[1:]
    if os.environ.get("HUSK_NETWORK_CASE"):
        case = next(c for c in cases if c.__name__ == os.environ["HUSK_NETWORK_CASE"])
        prepare()
        sys.exit(check_one(case.__name__, case))
    failed = 0
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        environment = os.environ | {"HUSK_NETWORK_CASE": case.__name__, "CNI_PATH": f"/run/plugins:{PLUGINS}",
                                    "TMPDIR": "/run"}
        try:
            failed += subprocess.run(["unshare", "--net", "--mount", "--ipc", sys.executable, sys.argv[0]],
                                     env=environment, timeout=240, check=False).returncode != 0
        except subprocess.TimeoutExpired:
            print(f"FAILED {case.__name__}: it did not end")
            failed += 1
    sys.exit(1 if failed else 0)
