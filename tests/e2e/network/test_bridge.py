#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk's own bridge: pods that reach each other and the world, by address and by published port; isolation;
leases; what a hostile guest forges; crashes."""
import fcntl
import ipaddress
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from network import (Failure, Pod, Refused, arp, deaf, ethernet, icmp6, in_namespace, ip4, ip6, left_over, links,
                     mac_bytes, main, require, run, udp)


def published(host_port, port, protocol="TCP", **more):
    return {"spec": {"containers": [{"ports": [{"containerPort": port, "hostPort": host_port,
                                                "protocol": protocol, **more}]}]}}


def refused(function, *words):
    try:
        function()
    except Refused as error:
        require(all(word in str(error) for word in words), f"{error} lacks one of {words}")
        return str(error)
    raise Failure("was not refused")


def two_pods_reach_each_other():
    one, other = Pod("one"), Pod("other")
    with one.guest() as a, other.guest() as b:
        found = []
        thread = threading.Thread(target=lambda: found.append(b.hears_data(b"hello over there", 20)))
        thread.start()
        mac = a.resolve(other.ip)
        require(mac == other.mac, mac)
        a.datagram(mac, other.ip, 9, b"hello over there")
        thread.join()
        require(found[0] is not None, "nothing came")
    one.down()
    require("husk0" in links(), "the bridge went before its last pod")
    other.down()
    require("husk0" not in links(), "the bridge is left")


def what_a_pod_is_told():
    pod = Pod("told")
    network = pod.network
    require(pod.result["host_ip"] == "192.0.2.10", pod.result)
    require(pod.result["servers"] == ["192.0.2.53"] and pod.result["searches"] == ["example.org"] and
            pod.result["options"] == ["ndots:2"], pod.result)
    require([ipaddress.ip_address(ip).version for ip in pod.result["ips"]] == [4, 6], pod.result)
    require(ipaddress.ip_address(pod.ip) in ipaddress.ip_network("10.187.0.0/16"), pod.ip)
    require(ipaddress.ip_address(pod.result["ips"][1]) in ipaddress.ip_network("fd00::/8"), pod.result)
    require(network["mtu"] == 1500 and [r["to"] for r in network["routes"]] == ["0.0.0.0/0", "::/0"], network)
    pod.call("check")
    run("ip", "link", "set", pod.tap, "nomaster")
    refused(lambda: pod.call("check"), pod.tap)
    refused(pod.up, "network.json")
    pod.down()
    pod.down()


def the_world_beyond():
    """Masquerade: the far end sees the host's address, and its answer comes back to the pod."""
    pod = Pod("world")
    with pod.guest() as guest:
        far = in_namespace("/run/netns/far", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        far.bind(("192.0.2.1", 7000))
        far.settimeout(10)
        guest.datagram(guest.resolve(guest.gateway()), "192.0.2.1", 7000, b"who am I")
        data, sender = far.recvfrom(100)
        require(data == b"who am I" and sender[0] == "192.0.2.10", (data, sender))
        far.sendto(b"you are the host", sender)
        require(guest.hears_data(b"you are the host"), "no answer")
        run("ip", "-n", "far", "route", "add", "10.187.0.0/16", "via", "192.0.2.10")
        far.sendto(b"uninvited", (pod.ip, 9))
        deaf([guest], b"uninvited")
    pod.down()
    require(pathlib.Path("/proc/sys/net/ipv4/conf/up0/forwarding").read_text().strip() == "0", "forwarding is left")


def published_ports():
    """From outside, from the host by its address and by localhost, and from another pod."""
    server = Pod("server", **published(8080, 80, "UDP"))
    client = Pod("client")
    with server.guest() as s, client.guest() as c:
        def echo(data):
            frame = s.hears_data(data, 20)
            if frame is None:
                return
            source = str(ipaddress.ip_address(frame[26:30]))
            port = int.from_bytes(frame[34:36], "big")
            s.send(ethernet(frame[6:12].hex(":"), s.mac, 0x0800,
                            ip4(s.ip, source, 17, udp(s.ip, source, 80, port, b"echo " + data))))
            s.hears(lambda f: False, 1)

        def ask(sock, address, data):
            thread = threading.Thread(target=echo, args=(data,))
            thread.start()
            sock.settimeout(15)
            sock.sendto(data, (address, 8080))
            answer, sender = sock.recvfrom(100)
            thread.join()
            require(answer == b"echo " + data and sender[0] == address, (answer, sender))

        far = in_namespace("/run/netns/far", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        ask(far, "192.0.2.10", b"from afar")
        ask(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "192.0.2.10", b"from the host")
        ask(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "127.0.0.1", b"from localhost")
        thread = threading.Thread(target=echo, args=(b"from a pod",))
        gateway = c.resolve(c.gateway())
        thread.start()
        c.datagram(gateway, "192.0.2.10", 8080, b"from a pod")
        require(c.hears_data(b"echo from a pod", 15), "no answer for the pod")
        thread.join()
    refused(Pod("second", up=False, **published(8080, 80, "UDP")).up, "udp-8080", "another pod")
    refused(Pod("third", up=False, **published(8080, 80, "UDP", hostIP="192.0.2.10")).up, "another pod")
    listener = socket.create_server(("0.0.0.0", 8081))
    refused(Pod("fourth", up=False, **published(8081, 80)).up, "tcp-8081", "a program of the host")
    listener.close()
    server.down()
    client.down()


def isolated_pods():
    """An isolated pod reaches the gateway and no pod, and no pod reaches it."""
    alone = Pod("alone", metadata={"annotations": {"husk.dev/isolated": "true"}})
    other = Pod("other")
    with alone.guest() as a, other.guest() as o:
        gateway = a.resolve(a.gateway())
        require(gateway, "the gateway does not answer")
        far = in_namespace("/run/netns/far", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        far.bind(("192.0.2.1", 7000))
        far.settimeout(10)
        a.datagram(gateway, "192.0.2.1", 7000, b"outside")
        require(far.recvfrom(100)[0] == b"outside", "the world is cut off")
        a.datagram(other.mac, other.ip, 9, b"isolated direct")
        a.datagram("ff:ff:ff:ff:ff:ff", other.ip, 9, b"isolated broadcast")
        a.datagram(gateway, other.ip, 9, b"isolated routed")
        o.datagram(alone.mac, alone.ip, 9, b"to the isolated direct")
        o.datagram(o.resolve(o.gateway()), alone.ip, 9, b"to the isolated routed")
        deaf([o, a], b"isolated")
        require(o.resolve(alone.ip) is None, "it answers")
    alone.down()
    other.down()


def forgeries(guest, victim, gateway):
    """Frames of a hostile guest; each has FORGED in it, or is told by its kind."""
    mac, ip, own6, other6 = guest.mac, guest.ip, guest.pod.result["ips"][1], victim.result["ips"][1]
    other_mac = victim.mac
    def datagram(source, to):
        return ip4(source, to, 17, udp(source, to, 1, 2, b"FORGED"))
    yield "MAC", ethernet(other_mac, "02:00:00:00:00:99", 0x0800, datagram(ip, victim.ip))
    yield "MAC of the victim", ethernet("ff:ff:ff:ff:ff:ff", other_mac, 0x0800, datagram(ip, victim.ip))
    yield "IPv4", ethernet(other_mac, mac, 0x0800, datagram("10.187.9.9", victim.ip))
    yield "IPv4 of the gateway", ethernet(other_mac, mac, 0x0800, datagram(gateway, victim.ip))
    yield "loopback", ethernet(guest.gateway_mac, mac, 0x0800, datagram(ip, "127.0.0.1"))
    yield "DHCP server", ethernet("ff:ff:ff:ff:ff:ff", mac, 0x0800,
                                  ip4(ip, "255.255.255.255", 17, udp(ip, "255.255.255.255", 67, 68, b"FORGED")))
    yield "ARP sender", ethernet("ff:ff:ff:ff:ff:ff", mac, 0x0806, arp(1, mac, gateway, "00:00:00:00:00:00", victim.ip))
    yield "ARP reply", ethernet(other_mac, mac, 0x0806, arp(2, mac, gateway, other_mac, victim.ip))
    yield "ARP hardware", ethernet(other_mac, mac, 0x0806, arp(2, "02:00:00:00:00:99", ip, other_mac, victim.ip))
    yield "VLAN", ethernet(other_mac, mac, 0x8100, b"\0\5\x08\0" + datagram(ip, victim.ip))
    yield "VLAN, forged", ethernet(other_mac, mac, 0x8100, b"\0\5\x08\0" + datagram("10.187.9.9", victim.ip))
    yield "double VLAN", ethernet(other_mac, mac, 0x88A8, b"\0\5\x81\0\0\6\x08\0" + datagram(ip, victim.ip))
    yield "unknown protocol", ethernet(other_mac, mac, 0x88B5, b"FORGED".ljust(46, b"\0"))
    yield "spanning tree", ethernet("01:80:c2:00:00:00", mac, 38, b"\x42\x42\x03FORGED".ljust(46, b"\0"))
    forged6 = ip6("fd00::9999", other6, 17, udp("fd00::9999", other6, 1, 2, b"FORGED"))
    yield "IPv6", ethernet(other_mac, mac, 0x86DD, forged6)
    yield "link-local", ethernet(other_mac, mac, 0x86DD, ip6("fe80::1", other6, 17, udp("fe80::1", other6, 1, 2, b"FORGED")))
    def discovery(kind, source, target, option=b"", pad=b""):
        body = bytes([kind, 0, 0, 0, 0x20, 0, 0, 0]) + ipaddress.ip_address(target).packed + option + pad
        return ethernet(other_mac, mac, 0x86DD, ip6(source, other6, 58, icmp6(source, other6, body)))
    yield "advertisement of another's", discovery(136, own6, other6)
    yield "advertisement of another's, option", discovery(136, own6, other6, b"\2\1" + mac_bytes(mac))
    yield "advertisement with another's MAC", discovery(136, own6, own6, b"\2\1" + mac_bytes("02:00:00:00:00:99"))
    yield "advertisement, two options", discovery(136, own6, own6, b"\1\1" + mac_bytes(mac), b"\2\1" + b"\2\0\0\0\0\x99")
    yield "solicitation with another's MAC", discovery(135, own6, other6, b"\1\1" + mac_bytes("02:00:00:00:00:99"))
    yield "solicitation from nobody", discovery(135, "::", other6)
    router = bytes([134, 0, 0, 0, 64, 0, 7, 8]) + b"\0" * 8 + b"FORGED".ljust(8, b"\0")
    yield "router advertisement", ethernet("33:33:00:00:00:01", mac, 0x86DD,
                                           ip6(own6, "ff02::1", 58, icmp6(own6, "ff02::1", router)))
    hidden = b"\x3a\0\1\4\0\0\0\0" + icmp6(own6, other6, bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) +
                                         ipaddress.ip_address(other6).packed)
    yield "advertisement behind an extension header", ethernet(other_mac, mac, 0x86DD, ip6(own6, other6, 60, hidden))
    for length in (0, 1, 11, 13, 15, 18, 19):
        yield f"IPv4 of {length} bytes", ethernet(other_mac, mac, 0x0800, datagram("10.187.9.9", victim.ip)[:length])
        yield f"ARP of {length} bytes", ethernet(other_mac, mac, 0x0806,
                                                 arp(2, mac, gateway, other_mac, victim.ip)[:length])
    for length in (7, 20, 30, 41, 47, 55):
        yield f"IPv6 of {length} bytes", ethernet(other_mac, mac, 0x86DD, forged6[:length])
    short = discovery(136, own6, other6)
    for length in (55, 58, 63, 77):
        yield f"advertisement of {length} bytes", short[:length]
    fragment = b"\x3a\0\0\1\0\0\0\7" + icmp6(own6, other6, bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) +
                                              ipaddress.ip_address(other6).packed)
    yield "advertisement, a fragment", ethernet(other_mac, mac, 0x86DD, ip6(own6, other6, 44, fragment))


def a_spoofing_guest():
    hostile, victim, third = Pod("hostile"), Pod("victim"), Pod("third")
    with hostile.guest() as h, victim.guest() as v, third.guest() as t:
        h.gateway_mac = h.resolve(h.gateway())
        gateway = h.gateway()
        for guest in (v, t):
            guest.hears(lambda f: False, 0.5)
        count = 0
        source = mac_bytes(hostile.mac)
        for name, frame in forgeries(h, victim, gateway):
            h.send(frame)
            count += 1
            for guest in (v, t):
                for heard in guest.frames(0.05):
                    require(b"FORGED" not in heard and heard[6:12] != source and heard[6:12] != mac_bytes("02:00:00:00:00:99"),
                            f"{name}: {guest.pod.name} heard {heard.hex()}")
        require(count > 20, count)
        # And yet it may speak as itself.
        h.datagram(victim.mac, victim.ip, 9, b"honestly")
        require(v.hears_data(b"honestly"), "the honest word is lost")
        body = bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + ipaddress.ip_address(hostile.result["ips"][1]).packed + \
            b"\2\1" + mac_bytes(hostile.mac)
        own6, other6 = hostile.result["ips"][1], victim.result["ips"][1]
        h.send(ethernet(victim.mac, hostile.mac, 0x86DD, ip6(own6, other6, 58, icmp6(own6, other6, body))))
        require(v.hears_data(icmp6(own6, other6, body)), "its own advertisement is lost")
        # Without its rules a forged frame does arrive: what was not heard was not lost otherwise.
        run("nft", "delete", "table", "netdev", hostile.tap)
        h.send(ethernet(victim.mac, "02:00:00:00:00:99", 0x0800,
                        ip4("10.187.9.9", v.ip, 17, udp("10.187.9.9", v.ip, 1, 2, b"FORGED"))))
        require(v.hears_data(b"FORGED"), "not even without rules is it heard")
    for pod in (hostile, victim, third):
        pod.down()


def leases_run_out_and_come_back():
    pathlib.Path("/run/config.json").write_text(
        '{"bridge": {"ipv4": "10.9.0.0/29", "ipv6": null, "mtu": 1400}}', encoding="utf-8")
    os.environ["HUSK_NETWORK_CONFIG"] = "/run/config.json"
    pods = [Pod(f"pod{i}") for i in range(5)]
    require(len({pod.ip for pod in pods}) == 5 and pods[0].network["mtu"] == 1400, [pod.ip for pod in pods])
    last = Pod("last", up=False)
    refused(last.up, "husk0", "all 5 are in use")
    require(not (last.directory / "network.json").exists(), "a record is left of what failed")
    pods[2].down()
    require(last.up().ip == pods[2].ip, last.ip)
    for pod in (*pods, last):
        pod.down()
    pathlib.Path("/run/config.json").write_text('{"bridge": {"ipv4": "10.9.0.0/33"}}', encoding="utf-8")
    refused(last.up, "/run/config.json", "bridge.ipv4")
    pathlib.Path("/run/config.json").write_text('{"bridge": {"gateway": "10.9.0.1"}}', encoding="utf-8")
    refused(last.up, "/run/config.json", "gateway")


def somebody_elses_bridge():
    run("ip", "link", "add", "husk0", "type", "bridge")
    refused(Pod("stranger", up=False).up, "husk0", "no record of")
    require("husk0" in links(), "a stranger's interface was removed")
    run("ip", "link", "delete", "husk0")


def another_prefix_where_ours_is_taken():
    run("ip", "route", "add", "10.187.64.0/24", "via", "192.0.2.1")
    pod = Pod("elsewhere")
    require(ipaddress.ip_address(pod.ip) in ipaddress.ip_network("10.188.0.0/16"), pod.ip)
    pod.down()


def many_at_once():
    pods = [Pod(f"many{i}", up=False) for i in range(12)]
    processes = [subprocess.Popen(pod.command("up"), stdout=subprocess.PIPE, text=True) for pod in pods]
    results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    require(len({tuple(result["ips"]) for result in results}) == 12, results)
    processes = [subprocess.Popen(pod.command("down")) for pod in pods]
    require([process.wait(120) for process in processes] == [0] * 12, "down")


def killed_at_any_moment():
    """Of up and of down: what is left is taken back by the next down, or found without the pod's directory."""
    for i in range(24):
        pod = Pod(f"killed{i}", up=False)
        process = subprocess.Popen(pod.command("up"), stdout=subprocess.DEVNULL)
        time.sleep(0.0015 * i)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if i % 3 == 1:
            process = subprocess.Popen(pod.command("down"))
            time.sleep(0.0015 * i)
            process.send_signal(signal.SIGKILL)
            process.wait()
        if i % 3 == 2:
            (pod.directory / "network.json").unlink(missing_ok=True)
        pod.down()
        run(os.environ.get("HUSK_NETWORK", "husk-network"), "collect")
        left = [item for item in left_over() if item not in ("far",)]
        require(not left, f"round {i}: {left}")


def collected():
    kept, gone = Pod("kept"), Pod("gone")
    program = os.environ.get("HUSK_NETWORK", "husk-network")
    require(run(program, "collect", kept.id, gone.id).stdout == "0\n", "one that exists was taken")
    require(run(program, "collect", kept.id).stdout == "1\n", "count")
    require(gone.tap not in links() and kept.tap in links(), links())
    # What writers that were killed have left, and one that is at it.
    state = pathlib.Path("/run/husk/network")
    unfinished = {state / "pods" / f".{pod.id}.json.new" for pod in (kept, gone)} | {state / "pods" / f".{gone.id}.lock"}
    lock = state / "pods" / f".{kept.id}.lock"
    for path in unfinished | {lock, state / ".bridge.json.new"}:
        path.write_text("{", encoding="utf-8")
    writer = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(writer, fcntl.LOCK_EX)
    run(program, "collect", kept.id)
    require(all(path.exists() for path in unfinished), "a writer has lost its file")
    os.close(writer)
    run(program, "collect", kept.id)
    require(not any(path.exists() for path in unfinished) and lock.exists(), "unfinished")
    kept.down()
    gone.down()
    require(not [item for item in left_over() if item != "far"], left_over())


def limits_of_rates():
    # Slow enough for what comes beside the burst to stay small however long the sending takes here.
    pod = Pod("slow", metadata={"annotations": {"kubernetes.io/ingress-bandwidth": "800k",
                                                "kubernetes.io/egress-bandwidth": "800k"}})
    require("tbf" in run("tc", "qdisc", "show", "dev", pod.tap).stdout, "no shaper")
    far = in_namespace("/run/netns/far", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    far.bind(("192.0.2.1", 7000))
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    with pod.guest() as guest:
        gateway = guest.resolve(guest.gateway())
        for _ in range(1500):
            guest.datagram(gateway, "192.0.2.1", 7000, b"x" * 1400)
        far.settimeout(2)
        count = 0
        try:
            while True:
                far.recv(2000)
                count += 1
        except TimeoutError:
            pass
    require(100 < count < 1000, f"{count} of 1500 datagrams came, where a burst of 262144 bytes may")
    pod.down()
    refused(Pod("wrong", up=False, metadata={"annotations": {"kubernetes.io/egress-bandwidth": "12 M"}}).up,
            "metadata.annotations[kubernetes.io/egress-bandwidth]")


def without_a_network():
    pod = Pod("none", mode="none")
    require(pod.network.get("tap") is None and not pod.result["ips"] and pod.result["servers"], pod.result)
    pod.down()
    for mode, word in (("cni:", "name"), ("cni:../x", "name"), ("vlan", "none of"), ("cni:no", "called no")):
        refused(Pod("bad", mode=mode, up=False).up, word)
    require(run(os.environ.get("HUSK_NETWORK", "husk-network"), "mode").stdout == "bridge\n", "default")


if __name__ == "__main__":
    main([two_pods_reach_each_other, what_a_pod_is_told, the_world_beyond, published_ports, isolated_pods,
          a_spoofing_guest, leases_run_out_and_come_back, somebody_elses_bridge, another_prefix_where_ours_is_taken,
          many_at_once, killed_at_any_moment, collected, limits_of_rates, without_a_network])
