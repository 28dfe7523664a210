#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Probes and hooks that speak with something in the pod, under its supervisor with the real agent on this host: HTTP,
HTTPS, and servers that mean harm."""
import contextlib
import os
import pathlib
import ssl
import sys
import time

from native_pod import Pod, container, images, main, probe, require
from pod_servers import PROBE, raw_server, server_context, shake_hands, speakers, web_server

SLEEP = "sleep 1000"

# Sanitizers make system calls of their own: such a build has no filters.
WITHOUT_FILTERS = b"__asan_" in (code := pathlib.Path(PROBE).read_bytes()) or b"__tsan_" in code or b"__gcov_" in code


def web_probe(path, scheme="HTTP", port=8080, **more):
    return probe(**{"httpGet": {"path": path, "port": port, "host": "localhost", "scheme": scheme},
                    "failureThreshold": 1, "timeoutSeconds": 10, **more})


def ready_when(probes):
    return [container(name, SLEEP, readinessProbe=one) for name, one in probes.items()]


def until_ready(pod, *names):
    pod.until_status(lambda s: all(pod.of(name, s)["ready"] for name in names), f"{names} are ready")


def complaints(pod, wanted):
    """Waits for what is said of each of these containers' probes; before its server was there, it was refused."""
    watcher = pod.connect()
    watcher.call("events")
    with contextlib.closing(watcher):
        for name, text in wanted.items():
            while (told := watcher.event(event="notice", reason="Unhealthy", container=name)["message"]) != \
                    f"Readiness probe failed: {text}":
                require(told.endswith("Connection refused"), f"{name}: {told}")
            require(not pod.of(name)["ready"], pod.status())


def redirects(host):
    paths = {"good": "/3", "far": "/far", "again": "/again", "none": "/none"}
    with Pod(host, *ready_when({name: web_probe(path) for name, path in paths.items()})) as pod:
        pod.running(*paths)
        with web_server(pod) as server:
            until_ready(pod, "good", "far")
            pod.until(lambda: server.seen.count("/again") >= 10 and "/none" in server.seen, "what is asked for")
            for path in "/3", "/2", "/1", "/good", "/far":
                require(path in server.seen, server.seen)
            pod.until(lambda: "closed" in server.seen, "a connection that is closed before the end of its body")
            require(not pod.of("again")["ready"] and not pod.of("none")["ready"], pod.status())
        pod.stop(grace_ms=0)


def https(host):
    """By a certificate that nobody vouches for; also from HTTP to HTTPS and back, and as a hook."""
    _, certificate, key = images.certificate(host.directory)
    names = []
    probes = {"good": web_probe("/3", "HTTPS"), "both": web_probe("/plain", "HTTPS"), "far": web_probe("/far", "HTTPS"),
              "back": web_probe("/secure", port=8081), "old": web_probe("/good", "HTTPS", port=8082),
              "none": web_probe("/none", "HTTPS"), "plain": web_probe("/good", "HTTPS", port=8081)}
    hook = {"preStop": {"httpGet": {"path": "/hook", "port": 8080, "host": "localhost", "scheme": "HTTPS"}}}
    context = server_context(certificate, key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Pod(host, *ready_when(probes), container("hook", SLEEP, lifecycle=hook)) as pod:
        pod.running(*probes, "hook")
        with web_server(pod, context) as server, web_server(pod, port=8081) as other, \
                web_server(pod, server_context(certificate, key, ssl.TLSVersion.TLSv1_2), port=8082):
            until_ready(pod, "good", "both", "far", "back", "old")
            require("/good" in server.seen and "/secure" in other.seen, (server.seen, other.seen))
            require(set(names) == {"localhost"}, names)
            complaints(pod, {"none": "HTTP probe failed with statuscode: 404",
                             "plain": "httpGet: what answers speaks no TLS, or none that is spoken here"})
            pod.client.call("stop", grace_ms=600000)
            pod.until(lambda: "/hook" in server.seen, "the hook")
        pod.stop(grace_ms=0)
    require(not speakers(), "husk-probe is left")


def drip(connection):
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        connection.sendall(b"\x02")
        time.sleep(0.02)


def hostile_tls(host):
    _, certificate, key = images.certificate(host.directory)
    context = server_context(certificate, key)

    def endless_head(connection):
        tls, send = shake_hands(context, connection)
        tls.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            tls.write(b"X: " + b"x" * 1000 + b"\r\n")
            send()

    def breaks(connection):
        shake_hands(context, connection)[1](b"\x17\x03\x03\x00\x20" + b"x" * 32)

    def floods(connection):
        while True:
            connection.sendall(b"\x16\x03\x03\x01\x00" + b"\xff" * 256)

    no_tls = "httpGet: what answers speaks no TLS, or none that is spoken here"
    servers = {
        "text": (lambda connection: connection.sendall(b"220 hello\r\n"), no_tls),
        "zeros": (lambda connection: connection.sendall(bytes(100000)), no_tls),
        "floods": (floods, no_tls),
        "closes": (lambda connection: connection.shutdown(2), "httpGet: the connection ended in the TLS handshake"),
        "silent": (lambda connection: None, "no answer in time"),
        "drip": (drip, "no answer in time"),
        "head": (endless_head, "httpGet: the answer is no HTTP, or is cut short"),
        "breaks": (breaks, "httpGet: what answers breaks the rules of TLS"),
    }
    ports = {name: 9000 + number for number, name in enumerate(servers)}
    slow = {name: {} if said != "no answer in time" else {"timeoutSeconds": 1} for name, (_, said) in servers.items()}
    probes = {name: web_probe("/", "HTTPS", port=port, **slow[name]) for name, port in ports.items()}
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(Pod(host, *ready_when(probes)))
        pod.running(*probes)
        for name, (serve, _) in servers.items():
            stack.enter_context(raw_server(pod, ports[name], serve))
        complaints(pod, {name: said for name, (_, said) in servers.items()})
        pod.stop(grace_ms=0)
    require(not speakers(), "husk-probe is left")


def who_speaks_has_nothing(host):
    """husk-probe's rights while a server lets it wait; and it ends with its supervisor, whatever that ends by."""
    probes = {"a": web_probe("/", "HTTPS", port=9000, timeoutSeconds=600)}
    with Pod(host, *ready_when(probes)) as pod:
        pod.running("a")
        with raw_server(pod, 9000, lambda connection: None):
            pid = pod.until(speakers, "husk-probe")[0]
            proc = pathlib.Path(f"/proc/{pid}")
            fields = pod.until(lambda: confined(proc), "its confinement")
            require(fields["Uid"] == fields["Gid"] == ["65534"] * 4 and fields["NoNewPrivs"] == ["1"], fields)
            require({fields[name][0] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}, fields)
            for space in "net", "mnt", "ipc", "uts", "pid":
                own, its = (os.stat(f"{where}/ns/{space}").st_ino for where in ("/proc/self", proc))
                require(own != its, f"it shares {space}")
            require(not list((proc / "root").iterdir()), "it sees files")
            pod.kill()
            pod.until(lambda: not proc.exists(), "the end of husk-probe")


def confined(proc):
    """Its status when its last wall is up: what /proc has of it is root's then. Its filter follows, where the build has
    filters."""
    fields = {name: rest.split() for name, _, rest in
              (line.partition(":") for line in (proc / "status").read_text().splitlines())}
    up = os.stat(proc / "status").st_uid == 0 and fields["Uid"][0] == "65534"
    return fields if up and (WITHOUT_FILTERS or fields["Seccomp"] == ["2"]) else None


CASES = [redirects, https, hostile_tls, who_speaks_has_nothing]

if __name__ == "__main__":
    sys.exit(main(CASES))
