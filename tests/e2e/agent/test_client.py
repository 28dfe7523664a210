#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host's library with the real agent (client.c): by way of a vsock socket as husk makes it, where nobody listens
at first, and directly."""
import os
import socket
import subprocess
import sys
import tempfile
import threading

import agent

REFUSALS = 3


def pump(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(place, listener):
    """docs/devices/virtio-vsock.md, "The host side"; the first clients find a guest that is not there yet."""
    number = 0
    while True:
        client, _ = listener.accept()
        line = b""
        while not line.endswith(b"\n") and (byte := client.recv(1)):
            line += byte
        number += 1
        if number <= REFUSALS or line != b"CONNECT 1024\n":
            client.close()
            continue
        guest = place.connect()
        client.sendall(b"OK 1073741824\n")
        for ends in ((client, guest), (guest, client)):
            threading.Thread(target=pump, args=ends, daemon=True).start()


def run_client(*arguments):
    result = subprocess.run([os.environ["HUSK_AGENT_CLIENT"], *arguments], capture_output=True, text=True,
                            timeout=agent.PATIENCE_S * 2, check=False)
    agent.require((result.returncode, result.stdout) == (0, "ok\n"), f"{result.returncode}: {result.stderr}")


def through_vsock(place):
    path = str(place.directory / "v")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    threading.Thread(target=serve, args=(place, listener), daemon=True).start()
    run_client(path, place.root, "vsock")


def directly(place):
    """It shuts the agent down at its end."""
    run_client(str(place.socket_path), place.root)


def main():
    if os.geteuid() != 0 or not os.path.exists("/bin/busybox"):
        print("skipped: client: not root, or there is no /bin/busybox")
        return agent.SKIPPED
    report = agent.Report()
    with tempfile.TemporaryDirectory(prefix="husk-agent-") as directory:
        place = agent.Native(directory)
        report.case("through a vsock socket", through_vsock, place)
        report.case("directly", directly, place)
        wrong = place.end(ask=report.failed > 0)
    if wrong:
        report.failed += 1
        print(f"FAILED: end: {wrong}")
    return report.finish()


sys.exit(main())
