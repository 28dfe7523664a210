#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Probes and hooks that speak with something in the pod, under its supervisor with the real agent on this host: HTTP,
HTTPS, gRPC, and servers that mean harm."""
import contextlib
import os
import pathlib
import ssl
import subprocess
import sys
import time

import http2
from native_pod import Pod, container, images, main, probe, require
from pod_servers import PROBE, inside, raw_server, server_context, shake_hands, speakers, web_server

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
        for name, texts in wanted.items():
            may = {f"Readiness probe failed: {text}" for text in ({texts} if isinstance(texts, str) else texts)}
            while (told := watcher.event(event="notice", reason="Unhealthy", container=name)["message"]) not in may:
                require(told.endswith("Connection refused"), f"{name}: {told}")
            require(not pod.of(name)["ready"], pod.status())


def all_complain(host, servers, ports, probes):
    """servers: of each probe what answers it, and what is said of that."""
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(Pod(host, *ready_when(probes)))
        pod.running(*probes)
        for name, (serve, _) in servers.items():
            stack.enter_context(raw_server(pod, ports[name], serve))
        complaints(pod, {name: said for name, (_, said) in servers.items()})
        pod.stop(grace_ms=0)
    require(not speakers(), "husk-probe is left")


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
    all_complain(host, servers, ports, probes)


# ---- gRPC ----


def grpc_probe(port, service=None, **more):
    return probe(**{"grpc": {"port": port, **({"service": service} if service else {})}, "failureThreshold": 1,
                    "timeoutSeconds": 10, **more})


def grpc(host):
    """A server by hand: what it is asked for, and what is made of its answers."""
    asked = []

    def serve(connection):
        asked.append(service := http2.request(connection)[2:].decode())
        answers = {"": http2.HEAD + http2.body(b"\x08\x01") + http2.FINE, "old": http2.UNIMPLEMENTED,
                   "sick": http2.HEAD + http2.body(b"\x08\x02") + http2.FINE,
                   "slow": b"", "empty": http2.HEAD + http2.FINE}
        for byte in answers[service]:
            connection.sendall(bytes([byte]))

    probes = {"all": grpc_probe(9100), "sick": grpc_probe(9100, "sick"), "old": grpc_probe(9100, "old"),
              "empty": grpc_probe(9100, "empty"), "slow": grpc_probe(9100, "slow", timeoutSeconds=1)}
    with Pod(host, *ready_when(probes)) as pod:
        pod.running(*probes)
        with raw_server(pod, 9100, serve):
            until_ready(pod, "all")
            complaints(pod, {
                "sick": 'grpc: service unhealthy (responded with "NOT_SERVING")',
                "old": "grpc: this server does not implement the grpc health protocol (grpc.health.v1.Health)",
                "empty": "grpc: the answer is none of gRPC", "slow": "no answer in time"})
        pod.stop(grace_ms=0)
    require(set(asked) == {"", "sick", "old", "empty", "slow"}, asked)
    require(not speakers(), "husk-probe is left")


def python_with_grpc():
    """The packages of the distribution are its own Python's, whatever runs the tests."""
    for python in sys.executable, "/usr/bin/python3":
        done = subprocess.run([python, "-c", "import grpc"], check=False, capture_output=True)
        if done.returncode == 0:
            return python
    return None


def grpc_library(host):
    """The same with the server of gRPC's own library."""
    server = [python_with_grpc(), pathlib.Path(__file__).with_name("grpc_server.py"), "9200"]
    probes = {"all": grpc_probe(9200), "web": grpc_probe(9200, "web"), "sick": grpc_probe(9200, "sick"),
              "gone": grpc_probe(9200, "gone")}
    with Pod(host, *ready_when(probes)) as pod:
        pod.running(*probes)
        with inside(pod):
            process = subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            require(process.stdout.readline() == b"READY\n", "the server does not start")
            until_ready(pod, "all", "web")
            complaints(pod, {"sick": 'grpc: service unhealthy (responded with "NOT_SERVING")',
                             "gone": "grpc: health rpc probe failed: NotFound"})
        finally:
            process.communicate()
        pod.until_status(lambda s: not pod.of("all", s)["ready"], "a server that is gone")
        pod.stop(grace_ms=0)


def endless(make):
    def serve(connection):
        http2.request(connection)
        connection.sendall(http2.HEAD)
        while True:
            connection.sendall(make)
    return serve


def hostile_grpc(host):
    no_http2 = "grpc: what answers speaks no HTTP/2, or breaks its rules"
    too_much = "grpc: what answers says too much"
    ping = http2.frame(http2.PING, 0, 0, b"12345678")
    large = http2.frame(http2.DATA, 0, 1, bytes(16000))
    block = http2.fields(*[(b"x", b"y" * 100)] * 100)

    def huge_frame(connection):
        http2.request(connection)
        connection.sendall(b"\xff\xff\xff" + http2.frame(http2.DATA, 0, 1)[3:] + bytes(100000))

    def huge_head(connection):
        http2.request(connection)
        connection.sendall(http2.frame(http2.HEADERS, 0, 1, block))
        while True:
            connection.sendall(http2.frame(http2.CONTINUATION, 0, 1, block))

    def slowly(connection):
        http2.request(connection)
        for byte in ping * 10000:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    def resets(connection):
        http2.request(connection)
        connection.sendall(http2.frame(http2.RST_STREAM, 0, 1, b"\0\0\0\2"))

    servers = {
        "text": (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), {no_http2}),
        "zeros": (lambda connection: connection.sendall(bytes(100000)), {no_http2}),
        "pings": (endless(ping * 100), {too_much, no_http2}),
        "settings": (endless(http2.frame(http2.SETTINGS, 0, 0) * 100), {too_much, no_http2}),
        "body": (endless(large), {too_much}),
        "frame": (huge_frame, {no_http2}),
        "head": (huge_head, {no_http2, too_much, "grpc: the call ended without an answer"}),
        "slowly": (slowly, {"no answer in time"}),
        "silent": (lambda connection: None, {"no answer in time"}),
        "resets": (resets, {"grpc: the call ended without an answer"}),
        "closes": (lambda connection: connection.shutdown(2), {"grpc: the connection ended without an answer"}),
    }
    ports = {name: 9300 + number for number, name in enumerate(servers)}
    probes = {name: grpc_probe(port, **({"timeoutSeconds": 1} if name in ("slowly", "silent") else {}))
              for name, port in ports.items()}
    all_complain(host, servers, ports, probes)


# ---- the process ----


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


CASES = [redirects, https, hostile_tls, grpc, grpc_library, hostile_grpc, who_speaks_has_nothing]

if __name__ == "__main__":
    if not python_with_grpc():
        print("skipped: grpc_library: python3-grpcio is not installed")
        CASES.remove(grpc_library)
    sys.exit(main(CASES))
