#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the supervisor and of the machine, at every moment of a container's life: it must be cleanly gone
or still be controllable, its record must say the truth, and nothing may be left. And a full disk, which must
cost neither the container nor its exit status."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from supervised import Client, Container, Failure, Host, PATIENCE_S, Refused, has_ended, main, require

LOOP = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.01; done"


def processes_of(host, box):
    """Processes that belong to the container's machine: they name its directory."""
    lines = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if f"{host.state}/{box.name}/" in line]


def is_cleanly_gone(host, box, status=None):
    box.gone()
    state = host.record(box.name)
    if state:
        require(state["status"] == "exited" and not state["alive"], state)
        require(status is None or state["exit"]["status"] == status, state)
    deadline = time.monotonic() + PATIENCE_S
    while left := processes_of(host, box):
        require(time.monotonic() < deadline, f"left: {left}")
        time.sleep(0.02)
    try:
        box.connect()
        raise Failure("somebody takes connections")
    except OSError:
        pass
    host.tidy()
    require((box.name in host.names()) != bool(box.removes), f"{host.names()}, removes itself: {box.removes}")


def box_of(host, **flags):
    box = Container(host, LOOP, **flags)
    box.removes = flags.get("remove", False)
    return box


def supervisor_killed_while_it_boots(host):
    """Times are spread over the start, whatever that takes here."""
    for step in range(14):
        with box_of(host, remove=bool(step % 2)) as box:
            pid = box.supervisor()
            box.client.begin("start")
            time.sleep(step * 0.004)
            os.kill(pid, signal.SIGKILL)
            is_cleanly_gone(host, box, 255)


def supervisor_killed_while_it_runs(host):
    with box_of(host) as box:
        _, streams = box.client.streams("attach")
        box.start()
        streams["stdout"].until(b"line 3\n")
        os.kill(box.supervisor(), signal.SIGKILL)
        streams["stdout"].read()
        is_cleanly_gone(host, box, 255)
        require("supervisor" in host.record(box.name)["error"], host.record(box.name))
        lines = [text for _, _, text in box.log()]
        require(lines == [b"line %d" % i for i in range(len(lines))] and len(lines) > 3, lines[-3:])


def supervisor_killed_while_it_ends(host):
    for step in range(14):
        with box_of(host, remove=bool(step % 2)) as box:
            box.start()
            pid = box.supervisor()
            box.client.begin("stop", grace_ms=0)
            time.sleep(step * 0.003)
            os.kill(pid, signal.SIGKILL)
            box.gone()
            state = host.record(box.name)
            require(not state or state["exit"]["status"] in (137, 255), state)
            if state and state["exit"]["status"] == 137:
                require(state["exit"]["signal"] == 9, state)
            box.removes = box.removes or not state
            is_cleanly_gone(host, box)


def machine_killed(host):
    """With it the supervisor is there to say so."""
    for step in range(10):
        with box_of(host, remove=bool(step % 2)) as box:
            wait = box.client.begin("wait")
            machine = box.client.call("inspect")["machine_pid"]
            start = box.client.begin("start")
            if step > 4:
                box.client.finish(start)
            time.sleep(step % 5 * 0.01)
            os.kill(machine, signal.SIGKILL)
            ended = box.client.finish(wait)
            require(ended["status"] == 255 or (step <= 4 and ended["status"] == 125), ended)
            require("the virtual machine" in ended["error"] or "agent" in ended["error"], ended)
            is_cleanly_gone(host, box, ended["status"])


def clients_killed(host):
    """Whoever goes, the container stays."""
    with box_of(host) as box:
        box.start()
        for _ in range(20):
            other = box.another()
            other.begin("wait")
            other.begin("exec", config={"args": ["/bin/sh", "-c", "exit 0"], "cwd": "/", "user": {}})
            other.begin("attach", wait=True)
            other.close()
        box.client.close()
        box.client = box.another()
        require(box.client.call("inspect")["status"] == "running", "status")
        _, streams = box.exec("echo alive")
        require(streams["stdout"].read() == b"alive\n", "exec")
        require(box.client.call("stop", grace_ms=0)["status"] == 137, "stop")


def hostile_clients(host):
    """Each loses its connection, and nobody notices."""
    greeting = json.dumps({"husk": {"major": 1, "minor": 0}}).encode()
    frames = [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x02\x00\x00\x00[]", b"\x05\x00\x00\x00{\"a\":",
              b"GET / HTTP/1.0\r\n\r\n", b"\x04\x00\x00\x00nope", os.urandom(64)]
    messages = [b"[]", b'{"id":-1,"method":"inspect"}', b'{"id":1}', b'{"id":1,"method":5}',
                b'{"id":1,"method":"inspect","params":[]}', b'{"id":1,"method":"inspect","more":1}',
                b"[" * 5000, b'{"a":' * 40 + b"1" + b"}" * 40]
    with box_of(host) as box:
        box.start()
        for frame in frames:
            with box.connect() as sock:
                sock.sendall(frame)
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(PATIENCE_S)
                try:
                    while sock.recv(4096):
                        pass
                except ConnectionResetError:  # with what it had not read yet
                    pass
        for message in messages:
            client = Client(box.connect(), hello=False)
            client.send(greeting)
            client.receive()
            try:
                client.send(message)
                client.receive()
                raise Failure(f"{message[:60]!r} was answered")
            except (EOFError, OSError):
                client.close()
        client = Client(box.connect(), hello=False)
        client.send({"husk": {"major": 2, "minor": 0}})
        require(client.receive()["error"]["code"] == "version", "version")
        greedy = box.another()
        numbers = [greedy.begin("wait") for _ in range(65)]
        try:
            greedy.finish(numbers[-1])
            raise Failure("65 requests wait")
        except Refused as error:
            require(error.code == "limit", error)
        idle = [box.connect() for _ in range(300)]
        for sock in idle:
            sock.close()
        deaf = box.another()
        deaf.call("events")
        for _ in range(200):
            deaf.begin("inspect")
        require(box.another().call("inspect")["status"] == "running", "it runs")
        box.client.call("stop", grace_ms=0)


def record_removed(host):
    """By somebody's hands: a container that nobody can find any more ends when it notices."""
    with box_of(host, stop_grace_ms=0) as box:
        box.start()
        pid = box.supervisor()
        shutil.rmtree(box.directory)
        box.client.call("pause")
        box.client.call("resume")
        deadline = time.monotonic() + PATIENCE_S
        while not has_ended(pid):
            require(time.monotonic() < deadline, "the supervisor does not end")
            time.sleep(0.02)


def fill(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass


def full_disk(_):
    """The state directory on a file system of 1 MiB, which is filled while the container runs."""
    with tempfile.TemporaryDirectory(prefix="husk-full-") as directory:
        host = Host(directory)
        host.state.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(host.state)], check=True)
        try:
            on_a_full_disk(host)
        finally:
            subprocess.run(["umount", "--lazy", str(host.state)], check=True)


def on_a_full_disk(host):
    wait = "read x; echo more; read x; echo last; exit 6"
    with Container(host, wait, stdin="open") as box:
        _, streams = box.client.streams("attach", stdin=True, wait=True)
        box.start()
        ballast = host.state / "ballast"
        fill(ballast)
        streams["stdin"].send(b"\n")
        streams["stdout"].until(b"more\n")
        box.client.call("pause")  # its record cannot be written: that is tried again
        state = box.client.call("inspect")
        require(state["status"] == "paused" and state["log_lost_lines"] == 1 and state["log_error"], state)
        require(box.state()["status"] == "running", "written on a full disk")
        ballast.unlink()
        deadline = time.monotonic() + PATIENCE_S
        while box.state()["status"] != "paused":
            require(time.monotonic() < deadline, "the record is not written when there is room again")
            time.sleep(0.05)
        box.client.call("resume")
        fill(ballast)
        ended = box.client.begin("wait")
        streams["stdin"].send(b"\n")
        streams["stdout"].until(b"last\n")
        require(box.client.finish(ended)["status"] == 6, "status")
        box.gone()
        state = host.record(box.name)
        require((state["status"], state["exit"]["status"]) == ("exited", 6), state)


def says_what_it_lost(_):
    with tempfile.TemporaryDirectory(prefix="husk-full-") as directory:
        host = Host(directory)
        host.state.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(host.state)], check=True)
        try:
            with Container(host, "read x; echo a; read x; echo b", stdin="open") as box:
                _, streams = box.client.streams("attach", stdin=True, wait=True)
                box.start()
                ballast = host.state / "ballast"
                fill(ballast)
                streams["stdin"].send(b"\n")
                streams["stdout"].until(b"a\n")
                ballast.unlink()
                wait = box.client.begin("wait")
                streams["stdin"].send(b"\n")
                require(box.client.finish(wait)["status"] == 0, "status")
                lines = box.log()
                require(lines[-1] == ("stdout", "F", b"b"), lines)
                require(lines[-2][0] == "stderr" and b"1 lines could not be written here" in lines[-2][2], lines)
        finally:
            subprocess.run(["umount", "--lazy", str(host.state)], check=True)


CASES = [supervisor_killed_while_it_boots, supervisor_killed_while_it_runs, supervisor_killed_while_it_ends,
         machine_killed, clients_killed, hostile_clients, record_removed, full_disk, says_what_it_lost]

if __name__ == "__main__":
    sys.exit(main(CASES))
