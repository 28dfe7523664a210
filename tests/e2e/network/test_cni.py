#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods behind CNI plugins: Debian's, in chains, and some that fail in every way there is."""
import ipaddress
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from network import (PROGRAM, Failure, Pod, Refused, bridge_plugin, conflist, deaf, ethernet, in_namespace, ip4, ip6,
                     left_over, mac_bytes, main, require, run, script_plugin, udp)

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "backend": "iptables"}
BANDWIDTH = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
RESULT = '{"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}], "ips": [%s]}'
MADE = ("N=$(basename $CNI_NETNS)\nip -n $N link add eth0 type veth peer name peer0\n"
        "ip -n $N link set eth0 up\n")
ADDING = "test $CNI_COMMAND = ADD || exit 0\n"


def refused(function, *words):
    try:
        function()
    except Refused as error:
        require(all(word in str(error) for word in words), f"{error} lacks one of {words}")
        return str(error)
    raise Failure("was not refused")


def comes(one, other, mac, data):
    """A datagram from one guest to the other."""
    found = []
    thread = threading.Thread(target=lambda: found.append(other.hears_data(data, 20)))
    thread.start()
    one.datagram(mac() if callable(mac) else mac, other.ip, 9, data)
    thread.join()
    require(found[0] is not None, "nothing came")


def remove_bridge():
    run("ip", "link", "delete", "up1", check=False)


def bridge_and_host_local():
    conflist("mynet", bridge_plugin(mtu=1400))
    require(run(PROGRAM, "mode").stdout == "cni:mynet\n", "the default")
    one, other = Pod("one", "cni:mynet"), Pod("other", "cni:mynet")
    require(one.network["mtu"] == 1400 and one.netns.startswith("/run/netns/husk-"), one.network)
    require(one.network["addresses"] == [one.ip + "/24"] and one.network["routes"] == [
        {"to": "0.0.0.0/0", "via": "10.22.0.1"}], one.network)
    require(one.result["servers"] == ["192.0.2.53"], one.result)
    with one.guest() as a, other.guest() as b:
        comes(a, b, lambda: a.resolve(other.ip), b"hello over there")
    one.call("check")
    run("ip", "-n", pathlib.Path(one.netns).name, "address", "flush", "dev", "eth0")
    refused(lambda: one.call("check"), "bridge")
    one.down()
    one.down()
    other.down()
    remove_bridge()


def dual_stack():
    plugin = bridge_plugin()
    plugin["ipam"]["ranges"].append([{"subnet": "fd22::/64"}])
    plugin["ipam"]["routes"].append({"dst": "::/0"})
    conflist("dual", plugin)
    pod = Pod("dual", "cni:dual")
    require(len(pod.result["ips"]) == 2 and ":" in pod.result["ips"][1], pod.result)
    require([r["to"] for r in pod.network["routes"]] == ["0.0.0.0/0", "::/0"], pod.network)
    pod.down()
    remove_bridge()


def point_to_point():
    conflist("p2p", {"type": "ptp", "ipMasq": False, "ipam": {
        "type": "host-local", "subnet": "10.33.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}})
    one, other = Pod("one", "cni:p2p"), Pod("other", "cni:p2p")
    require(one.network["addresses"] == [one.ip + "/32"], one.network)
    require(one.network["routes"][0] == {"to": "10.33.0.1/32"}, one.network)
    with one.guest() as a, other.guest() as b:
        comes(a, b, a.resolve("10.33.0.1"), b"by the host")
    one.down()
    other.down()


def published_by_portmap():
    if run("iptables", "-w", "-t", "nat", "-L", check=False).returncode:
        print("skipped: published_by_portmap: iptables does not work on this host")
        return
    conflist("chain", bridge_plugin(), PORTMAP, BANDWIDTH)
    spec = {"spec": {"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}]}]},
            "metadata": {"annotations": {"kubernetes.io/ingress-bandwidth": "100M"}}}
    pod = Pod("server", "cni:chain", **spec)
    refused(Pod("second", "cni:chain", up=False, **spec).up, "udp-8080", "another pod")
    with pod.guest() as guest:
        far = in_namespace("/run/netns/far", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        far.sendto(b"from afar", ("192.0.2.10", 8080))
        require(guest.hears_data(b"from afar"), "nothing came")
    pod.down()
    conflist("chain", bridge_plugin())
    refused(Pod("no", "cni:chain", up=False, **spec).up, "portMappings")
    remove_bridge()


def rates_without_a_plugin_for_them():
    conflist("mynet", bridge_plugin())
    pod = Pod("slow", "cni:mynet", metadata={"annotations": {"kubernetes.io/ingress-bandwidth": "8M",
                                                             "kubernetes.io/egress-bandwidth": "8M"}})
    name = pathlib.Path(pod.netns).name
    for device in (pod.tap, "eth0"):
        require("tbf" in run("tc", "-n", name, "qdisc", "show", "dev", device).stdout, device)
    pod.down()
    remove_bridge()


def a_spoofing_guest():
    conflist("mynet", bridge_plugin())
    hostile, victim = Pod("hostile", "cni:mynet"), Pod("victim", "cni:mynet")
    with hostile.guest() as h, victim.guest() as v:
        def datagram(source):
            return ip4(source, victim.ip, 17, udp(source, victim.ip, 1, 2, b"FORGED"))
        poison = b"\0\1\x08\0\6\4\0\2" + mac_bytes(hostile.mac) + b"\x0a\x16\0\1" + b"FORGED" + b"\x0a\x16\0\3"
        six = ip6("fe80::9", "fe80::8", 17, udp("fe80::9", "fe80::8", 1, 2, b"FORGED"))
        for frame in (ethernet(victim.mac, "02:00:00:00:00:99", 0x0800, datagram(hostile.ip)),
                      ethernet(victim.mac, hostile.mac, 0x0800, datagram("10.22.0.77")),
                      ethernet(victim.mac, hostile.mac, 0x8100, b"\0\5\x08\0" + datagram(hostile.ip)),
                      ethernet("ff:ff:ff:ff:ff:ff", hostile.mac, 0x0806, poison),
                      ethernet(victim.mac, hostile.mac, 0x86DD, six)):
            h.send(frame)
        deaf([v], b"FORGED")
        comes(h, v, victim.mac, b"honestly")
    hostile.down()
    victim.down()
    remove_bridge()


def plugins_that_fail():
    """Whatever a plugin does, the error tells it, and nothing is left; the plugin before it has had its DEL."""
    script_plugin("fails", ADDING + """echo '{"cniVersion": "1.0.0", "code": 7, "msg": "no more", "details": "of "}'
                  exit 1\n""")
    script_plugin("dies", ADDING + "echo last words >&2\nkill -9 $$\n")
    script_plugin("mute", "exit 0\n")
    script_plugin("garbage", ADDING + "head -c 3000 /dev/urandom\n")
    script_plugin("endless", ADDING + "exec cat /dev/zero\n")
    script_plugin("deep", ADDING + "head -c 100000 /dev/zero | tr '\\0' '['\n")
    script_plugin("words", ADDING + "head -c 9000000 /dev/zero | tr '\\0' x >&2\nexit 3\n")
    cases = {"fails": ("fails: the CNI plugin failed: no more; of",), "dies": ("dies", "signal 9"),
             "mute": ("said nothing",), "garbage": ("garbage", "result"), "endless": ("endless", "wrote more than"),
             "deep": ("deep", "result"), "words": ("words", "status 3"), "absent": ("absent", "there is none in")}
    for name, words in cases.items():
        conflist("mynet", bridge_plugin(), {"type": name})
        pod = Pod(name, "cni:mynet", up=False)
        refused(pod.up, *words)
        if name == "absent":  # nor can it be asked to take back: the record stays until it can
            require((pod.directory / "network.json").exists(), "no record of what could not be taken back")
            script_plugin("absent", "exit 0\n")
            pod.down()
        require(not (pod.directory / "network.json").exists(), name)
        remove_bridge()
        require(not [item for item in left_over() if item != "far"], f"{name}: {left_over()}")


def a_plugin_that_never_takes_back():
    """The network can be given up: what is husk's own goes, and it is said who kept what, and why."""
    script_plugin("clings", """test $CNI_COMMAND = ADD && { cat /run/result; exit 0; }
                  echo '{"code": 100, "msg": "never"}'\nexit 1\n""")
    pathlib.Path("/run/result").write_text(RESULT % '{"address": "10.22.0.2/24"}', encoding="utf-8")
    conflist("mynet", bridge_plugin(), {"type": "clings"})
    pod = Pod("kept", "cni:mynet")
    refused(lambda: pod.call("down"), "clings: the CNI plugin failed: never")
    require((pod.directory / "network.json").exists(), "the record is gone")
    done = run(*pod.command("abandon"))
    require("clings: the CNI plugin failed: never" in done.stderr, done)
    # The other plugin has been asked, and nothing of ours is there.
    left = [item for item in left_over() if item not in ("far", "up1")]
    require(not left and not (pod.directory / "network.json").exists(), left)
    require(not run(*pod.command("abandon")).stderr, "it is there no more")
    (pod.directory / "network.json").write_text("{", encoding="utf-8")
    refused(lambda: pod.call("down"), "network.json")
    require("network.json" in run(*pod.command("abandon")).stderr, "a record of nobody")
    require(not (pod.directory / "network.json").exists(), "the record is left")
    remove_bridge()


def what_is_asked_of_newer_plugins():
    """STATUS before anything else; GC of a network on which something was given up, with all that is valid."""
    script_plugin("newer", f"""cat > /run/config.$CNI_COMMAND; env > /run/seen.$CNI_COMMAND
                  case $CNI_COMMAND in STATUS) test -e /run/ready && exit 0;; GC) exit 0;; DEL) test -e /run/clings || exit 0;;
                  ADD) {MADE} cat /run/result; exit 0;; esac
                  echo '{{"code": 50, "msg": "not now"}}'\nexit 1\n""")
    pathlib.Path("/run/result").write_text((RESULT % '{"address": "10.22.0.2/24"}').replace("1.0.0", "1.1.0"),
                                           encoding="utf-8")
    path = conflist("mynet", {"type": "newer"})
    text = path.read_text().replace('"name"', '"cniVersions": ["1.1.0"], "name"')
    path.write_text(text, encoding="utf-8")
    refused(Pod("early", "cni:mynet", up=False).up, "newer: the CNI plugin failed: not now")
    require(not os.path.exists("/run/seen.ADD"), "it is added to a network that is not ready")
    pathlib.Path("/run/ready").touch()
    stays, goes = Pod("stays", "cni:mynet"), Pod("goes", "cni:mynet")
    seen = pathlib.Path("/run/seen.STATUS").read_text()
    require("CNI_CONTAINERID" not in seen and "CNI_NETNS" not in seen and "CNI_IFNAME" not in seen, seen)
    run(PROGRAM, "collect", stays.id, goes.id)
    require(not os.path.exists("/run/seen.GC"), "a network is collected where nothing was given up")
    pathlib.Path("/run/clings").touch()
    require("not now" in run(*goes.command("abandon")).stderr, "it is not told")
    cache = pathlib.Path("/var/lib/cni/results")
    cache.mkdir(parents=True)
    (cache / "mynet-other-eth0").write_text(json.dumps(
        {"kind": "cniCacheV1", "containerId": "other", "ifName": "eth0", "networkName": "mynet"}), encoding="utf-8")
    run(PROGRAM, "collect", stays.id)
    config = json.loads(pathlib.Path("/run/config.GC").read_text())
    valid = [{"containerID": stays.id, "ifname": "eth0"}, {"containerID": "other", "ifname": "eth0"}]
    require(config["cni.dev/valid-attachments"] == valid and config["cniVersion"] == "1.1.0", config)
    require("CNI_CONTAINERID" not in pathlib.Path("/run/seen.GC").read_text(), "GC is of no container")
    pathlib.Path("/run/seen.GC").unlink()
    run(PROGRAM, "collect", stays.id)
    require(not os.path.exists("/run/seen.GC"), "it is collected twice")
    pathlib.Path("/run/clings").unlink()
    stays.down()


def results_that_are_wrong():
    script_plugin("lies", f"{ADDING}{MADE}cat /run/result\n")
    conflist("mynet", {"type": "lies"})
    address = '{"address": "10.1.0.2/24", "interface": 0}'
    cases = {"": ("ips[0]",), '{"address": "10.1.0.2"}': ("ips[0]", "prefix"),
             '{"address": "127.0.0.1/8"}': ("ips[0]",), '{"address": "10.1.0.2/24", "interface": 3}': ("ips[0]",),
             '{"address": 5}': ("ips[0]",), '{"address": "10.1.0.2/24\\u0000"}': ("(",),
             ",".join([address] * 9): ("ips[8]",), ",".join([address] * 65): ("ips[64]",)}
    for ips, words in cases.items():
        pathlib.Path("/run/result").write_text(RESULT % ips, encoding="utf-8")
        refused(Pod("lied", "cni:mynet", up=False).up, *words)
    pathlib.Path("/run/result").write_text(RESULT % address, encoding="utf-8")
    pod = Pod("honest", "cni:mynet")
    require(pod.ip == "10.1.0.2", pod.result)
    pod.down()
    script_plugin("lies", ADDING + "cat /run/result\n")
    refused(Pod("nothing", "cni:mynet", up=False).up, "eth0", "no such interface")


def what_plugins_are_told():
    script_plugin("records", f"env | sort > /run/seen.$CNI_COMMAND\ncat > /run/config.$CNI_COMMAND\n{ADDING}{MADE}"
                             """echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}], "dns": {
                             "nameservers": ["10.1.0.53"], "search": ["a.example"], "options": ["edns0"]}}'\n""")
    conflist("mynet", {"type": "records", "capabilities": {"portMappings": True, "other": True}, "mine": 1})
    os.environ["SECRET"] = "x"
    pod = Pod("told", "cni:mynet", spec={"containers": [{"ports": [
        {"containerPort": 80, "hostPort": 8080, "hostIP": "192.0.2.10"}]}]})
    require((pod.result["servers"], pod.result["searches"], pod.result["options"]) ==
            (["10.1.0.53"], ["a.example"], ["edns0"]), pod.result)
    seen = dict(line.split("=", 1) for line in pathlib.Path("/run/seen.ADD").read_text().splitlines())
    require(seen["CNI_COMMAND"] == "ADD" and seen["CNI_CONTAINERID"] == pod.id and seen["CNI_IFNAME"] == "eth0" and
            seen["CNI_NETNS"] == pod.netns and "K8S_POD_NAME=pod" in seen["CNI_ARGS"] and "SECRET" not in seen, seen)
    config = json.loads(pathlib.Path("/run/config.ADD").read_text())
    require(config == {"cniVersion": "1.0.0", "name": "mynet", "type": "records", "mine": 1, "runtimeConfig": {
        "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.10"}]}}, config)
    pathlib.Path("/etc/cni/net.d/mynet.conflist").unlink()
    pod.down()
    config = json.loads(pathlib.Path("/run/config.DEL").read_text())
    require(config["prevResult"]["ips"][0]["address"] == "10.1.0.2/24" and config["mine"] == 1, config)


def a_plugin_that_hangs():
    """Killed with all that it started, which is in its process group."""
    script_plugin("hangs", ADDING + "sleep 1234 & echo $! > /run/child\nsleep 1234\n")
    conflist("mynet", {"type": "hangs"})
    refused(Pod("hung", "cni:mynet", up=False).up, "hangs", "took longer")
    child = pathlib.Path("/run/child").read_text().strip()
    state = pathlib.Path(f"/proc/{child}/stat")
    require(not state.exists() or state.read_text().split()[2] == "Z", "what it started lives")


def a_plugin_that_hangs_at_the_end():
    """Who only looks does not wait for it again, also where the pod's directory is gone; who is asked to, does."""
    asked = pathlib.Path("/run/asked")
    script_plugin("stays", "echo $CNI_COMMAND >>/run/asked\ntest $CNI_COMMAND = DEL && sleep 1234\n"
                  "python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[\"prevResult\"]))'\n")
    conflist("mynet", bridge_plugin(), {"type": "stays"})
    kept, gone = Pod("kept", "cni:mynet"), Pod("gone", "cni:mynet")
    with subprocess.Popen((PROGRAM, "collect", kept.id), stdout=subprocess.DEVNULL) as collecting:
        refused(kept.down, "stays", "took longer")
        require(collecting.wait(timeout=120) == 1, "what hangs was taken back")
    before = asked.read_text()
    require(before.split().count("DEL") == 2, before)
    for _ in range(2):
        refused(lambda: kept.call("tidy"), "cni:mynet", "took too long before")
        require("took too long before" in run(PROGRAM, "collect", kept.id, check=False).stderr, "collect")
    require(asked.read_text() == before, "it was asked again")
    for record in (kept.directory / "network.json", pathlib.Path(f"/run/husk/network/pods/{gone.id}.json")):
        document = json.loads(record.read_text())
        require(document["hung"]["times"] == 1, document)
        document["hung"]["at"] -= 601  # after a while
        record.write_text(json.dumps(document))
    script_plugin("stays", "exit 0\n")
    kept.call("tidy")
    require(not (kept.directory / "network.json").exists(), "it is not tried again")
    require(run(PROGRAM, "collect").stdout == "1\n", "nor without a directory")
    remove_bridge()


def killed_at_any_moment():
    conflist("mynet", bridge_plugin(), {"type": "tuning"})
    for i in range(16):
        pod = Pod(f"killed{i}", "cni:mynet", up=False)
        process = subprocess.Popen(pod.command("up"), stdout=subprocess.DEVNULL)
        time.sleep(0.008 * i)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if i % 2:
            (pod.directory / "network.json").unlink(missing_ok=True)
            run(PROGRAM, "collect")
        pod.down()
        left = [item for item in left_over() if item not in ("far", "up1")]
        require(not left, f"round {i}: {left}")
    remove_bridge()


def many_at_once():
    conflist("mynet", bridge_plugin())
    pods = [Pod(f"many{i}", "cni:mynet", up=False) for i in range(6)]
    processes = [subprocess.Popen(pod.command("up"), stdout=subprocess.PIPE, text=True) for pod in pods]
    results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    require(len({result["ips"][0] for result in results}) == 6, results)
    processes = [subprocess.Popen(pod.command("down")) for pod in pods]
    require([process.wait(120) for process in processes] == [0] * 6, "down")
    remove_bridge()


def configurations():
    path = pathlib.Path("/etc/cni/net.d/10-a.conf")
    path.write_text('{"cniVersion": "0.4.0", "name": "old", "type": "ptp", "ipam": {"type": "host-local", '
                    '"subnet": "10.33.0.0/24"}}', encoding="utf-8")
    pod = Pod("single", "cni:old")
    require(ipaddress.ip_address(pod.ip) in ipaddress.ip_network("10.33.0.0/24"), pod.ip)
    pod.down()
    for text, word in (('{"cniVersion": "9.0.0", "name": "old", "type": "ptp"}', "cniVersion"),
                       ('{"cniVersion": "1.0.0", "name": "old", "type": "../ptp"}', "type"),
                       ('{"cniVersion": "1.0.0", "name": "old", "name": "b", "type": "ptp"}', "10-a.conf"),
                       ("[" * 5000, "10-a.conf"), ("", "10-a.conf")):
        path.write_text(text, encoding="utf-8")
        refused(Pod("broken", "cni:old", up=False).up, word)


if __name__ == "__main__":
    main([bridge_and_host_local, dual_stack, point_to_point, published_by_portmap, rates_without_a_plugin_for_them,
          a_spoofing_guest, plugins_that_fail, a_plugin_that_never_takes_back,
          what_is_asked_of_newer_plugins,
          results_that_are_wrong, what_plugins_are_told, a_plugin_that_hangs,
          a_plugin_that_hangs_at_the_end,
          killed_at_any_moment, many_at_once, configurations])
