#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a container under its supervisor, with the real agent on this host: start, streams, logs, exec,
signals, stop, limits of time, what it refuses."""
import io
import os
import signal
import sys
import tarfile
import time

from supervised import Container, Failure, Reader, Refused, main, require

SLEEP = "sleep 1000"
POLITE = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"


def started(box):
    """Start it, and wait until it says that it is ready."""
    _, streams = box.another().streams("attach")
    box.start()
    streams["stdout"].until(b"ready")


def refused(code, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except Refused as error:
        require(error.code == code, f"refused with {error}, not {code}")
        return error
    raise Failure(f"was not refused with {code}")


def runs_to_its_end(host):
    with Container(host, "echo out; echo err >&2; exit 7") as box:
        ended, out, err = box.finish()
        require((ended, out, err) == ({"status": 7, "signal": 0, "oom": False}, "out\n", "err\n"), (ended, out, err))
        box.gone()
        state = host.record(box.name)
        require((state["status"], state["exit"]["status"], state["error"]) == ("exited", 7, ""), state)
        require(0 < state["started_ns"] <= state["finished_ns"], state)
        require(sorted(box.log()) == [("stderr", "F", b"err"), ("stdout", "F", b"out")], box.log())


def removes_itself(host):
    with Container(host, "echo gone", remove=True) as box:
        require(box.finish()[0]["status"] == 0, "status")
        require(box.name not in host.names(), "is still there when wait is answered")


def killed_by_a_signal(host):
    with Container(host, SLEEP) as box:
        box.start()
        box.client.call("kill", signal=signal.SIGKILL)
        require(box.client.call("wait") == {"status": 137, "signal": 9, "oom": False}, "exit")


def what_cannot_be_executed(host):
    for path, status, code in (("/no/such", 127, "not-found"), ("/etc/passwd", 126, "failed")):
        with Container(host, changes={"process.args": [path]}) as box:
            wait = box.client.begin("wait")
            error = refused(code, box.start)
            require(error.status == status and "args[0]" in error.where, (error, error.status))
            ended = box.client.finish(wait)
            require(ended["status"] == status and ended["error"], ended)
            box.gone()
            require(host.record(box.name)["exit"]["status"] == status, "record")


def states_and_refusals(host):
    with Container(host, SLEEP) as box:
        require(box.client.call("inspect")["status"] == "created", "created")
        for method, params in (("kill", {"signal": 15}), ("pause", {}), ("stats", {}), ("exec", {"config": {}})):
            refused("state", box.client.call, method, **params)
        box.start()
        refused("state", box.start)
        state = box.client.call("inspect")
        require(state["status"] == "running" and state["supervisor"]["pid"], state)
        require(box.state()["status"] == "running", "record")
        refused("unsupported", box.client.call, "fly")
        refused("invalid", box.client.call, "kill", signal=65)
        refused("invalid", box.client.call, "kill", signal="TERM")
        refused("invalid", box.client.call, "kill")
        refused("invalid", box.client.call, "inspect", extra=1)
        refused("not-found", box.client.call, "wait", process="e99")
        refused("invalid", box.client.call, "agent", method="shutdown")
        require("pid" in box.client.call("agent", method="state"), "the agent's state")
        require("cpu_usec" in box.client.call("stats"), "stats")
        try:
            Container(host, SLEEP, name=box.name)
            raise Failure("a second one of the name")
        except Failure as error:
            require("is the name of another container" in str(error), error)


def paused(host):
    with Container(host, POLITE) as box:
        started(box)
        box.client.call("events")
        box.client.call("pause")
        require(box.client.event(event="state")["state"]["status"] == "paused", "event")
        require(box.state()["status"] == "paused", "record")
        box.client.call("resume")
        require(box.state()["status"] == "running", "record")
        box.client.call("pause")
        require(box.client.call("stop", grace_ms=30000)["status"] == 9, "a paused one does not hear the signal")


def stopped(host):
    with Container(host, POLITE) as box:
        started(box)
        require(box.client.call("stop")["status"] == 9, "TERM")
    with Container(host, DEAF) as box:
        started(box)
        require(box.client.call("stop", grace_ms=200)["signal"] == 9, "KILL")
    with Container(host, DEAF, stop_signal=9) as box:
        box.start()
        require(box.client.call("stop")["signal"] == 9, "the record's signal")
    with Container(host, DEAF) as box:
        started(box)
        first = box.client.begin("stop", grace_ms=1000000)
        require(box.another().call("stop", grace_ms=0)["signal"] == 9, "an earlier end does not hold")
        require(box.client.finish(first)["signal"] == 9, "the first stop")
    with Container(host, SLEEP) as box:
        ended = box.client.call("stop")
        require(ended["status"] == 137 and "before it had started" in ended["error"], ended)


def terminated_supervisor(host):
    with Container(host, POLITE) as box:
        started(box)
        wait = box.client.begin("wait")
        os.kill(box.supervisor(), signal.SIGTERM)
        require(box.client.finish(wait)["status"] == 9, "as stop")


def time_is_up(host):
    with Container(host, DEAF, timeout_ms=300) as box:
        box.start()
        ended = box.client.call("wait")
        require(ended["status"] == 137 and "300 ms" in ended["error"], ended)


def input_once(host):
    with Container(host, "cat; echo end", stdin="once") as box:
        _, streams = box.client.streams("attach", stdin=True, wait=True)
        out = Reader(streams["stdout"])
        data = os.urandom(700000)
        streams["stdin"].send(data[:1000])
        box.start()
        streams["stdin"].send(data[1000:])
        streams["stdin"].close()
        require(box.client.call("wait")["status"] == 0, "status")
        require(out.all() == data + b"end\n", f"{len(out.data)} of {len(data)} bytes")


def input_stays_open(host):
    with Container(host, "read a; echo $a; read b; echo $b", stdin="open") as box:
        _, one = box.client.streams("attach", stdin=True)
        box.start()
        one["stdin"].send(b"first\n")
        one["stdout"].until(b"first\n")
        for stream in one.values():
            stream.close()
        _, two = box.client.streams("attach", stdin=True)
        two["stdin"].send(b"second\n")
        require(two["stdout"].read() == b"second\n", "the second client")


def several_attached(host):
    with Container(host, "read x; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done",
                   stdin="once") as box:
        attached = [box.another().streams("attach", wait=True)[1] for _ in range(4)]
        readers = [Reader(streams["stdout"]) for streams in attached]
        _, mine = box.client.streams("attach", stdin=True)
        box.start()
        wait = box.client.begin("wait")
        mine["stdin"].send(b"\n")
        wanted = "".join(f"line {i}\n" for i in range(2000)).encode()
        for reader in readers:
            require(reader.all() == wanted, "an attached client's output")
        require(box.client.finish(wait)["status"] == 0, "status")
        require(b"".join(text + b"\n" for _, _, text in box.log()) == wanted, "the log")


def slow_clients(host):
    """One that waits holds the container up, but not its stop; another is dropped."""
    flood = "head -c 8000000 /dev/zero | tr '\\0' 'x'; echo; echo done >&2"
    with Container(host, flood, {"process.env": ["PATH=/bin"]}, log_files=0) as box:
        box.host.root.joinpath("bin/tr").symlink_to("busybox")
        _, slow = box.client.streams("attach")
        box.start()
        require(box.client.call("wait")["status"] == 0, "was held up")
        require(len(slow["stdout"].read()) < 8000001, "was not dropped")
    with Container(host, flood, log_files=0) as box:
        _, waits = box.client.streams("attach", wait=True)
        box.start()
        wait = box.client.begin("wait")
        require(len(waits["stdout"].read()) == 8000001, "bytes are missing")
        require(waits["stderr"].read() == b"done\n", "stderr")
        require(box.client.finish(wait)["status"] == 0, "status")
    with Container(host, flood + "; " + SLEEP, log_files=0) as box:
        _, _waits = box.client.streams("attach", wait=True)
        box.start()
        time.sleep(0.2)
        require(box.another().call("stop", grace_ms=100)["signal"] in (9, 13, 15), "stop")


def terminal(host):
    with Container(host, "stty size; read a; stty size; echo got $a; cat; exit 30", {"process.terminal": True},
                   stdin="open") as box:
        _, streams = box.client.streams("attach", stdin=True)
        require(list(streams) == ["terminal"], list(streams))
        box.start()
        box.client.call("resize", columns=101, rows=44)
        streams["terminal"].send(b"typed\n")
        require(b"44 101" in streams["terminal"].until(b"got typed"), "the size")
        streams["terminal"].close()
        _, again = box.client.streams("attach", stdin=True)
        wait = box.client.begin("wait")
        again["terminal"].send(b"ping\n")
        again["terminal"].until(b"ping", 2)  # the terminal's echo, and cat's
        again["terminal"].send(b"\x03")
        require(b"^C" in again["terminal"].read(), "the terminal's end")
        require(box.client.finish(wait)["status"] in (30, 130), "status")
        require(any(b"got typed" in text for _, _, text in box.log()), "the log")


def executed(host):
    with Container(host, SLEEP) as box:
        box.start()
        box.client.call("events")
        result, streams = box.exec("echo out; echo err >&2; exit 3")
        require(list(streams) == ["stdout", "stderr"], list(streams))
        require((streams["stdout"].read(), streams["stderr"].read()) == (b"out\n", b"err\n"), "output")
        require(box.client.call("wait", process=result["process"])["status"] == 3, "status")
        require(box.client.event(event="exit", process=result["process"])["exit"]["status"] == 3, "event")
        result, streams = box.exec("cat", stdin=True)
        data = os.urandom(500000)
        out = Reader(streams["stdout"])
        streams["stdin"].send(data)
        streams["stdin"].end()
        require(out.all() == data, "stdin")
        result, streams = box.exec("stty size; cat", terminal=True)
        require(list(streams) == ["terminal"], list(streams))
        streams["terminal"].until(b"\n")
        box.client.call("resize", process=result["process"], columns=80, rows=25)
        box.client.call("kill", process=result["process"], signal=9)
        require(box.client.call("wait", process=result["process"])["status"] == 137, "killed")
        error = refused("not-found", box.client.call, "exec", config={"args": ["/none"], "cwd": "/", "user": {}})
        require(error.status == 127, error.status)
        error = refused("invalid", box.client.call, "exec", config={"args": ["x"], "cwd": "x", "user": {}})
        require(error.status == 125, error.status)
        refused("invalid", box.client.call, "exec", config=[])
        refused("invalid", box.client.call, "exec", config={"args": ["x"]}, unknown=1)


def executed_for_nobody(host):
    """Detached ones do not stand still for want of a reader; the agent forgets who has ended."""
    with Container(host, SLEEP) as box:
        box.start()
        box.client.call("events")
        result, streams = box.exec("head -c 1000000 /dev/zero; exit 4", detach=True)
        require(not streams, streams)
        require(box.client.event(event="exit", process=result["process"])["exit"]["status"] == 4, "detached")
        other = box.another()
        box.exec("exit 5", client=other)
        box.client.event(event="exit")
        other.close()
        deadline = time.monotonic() + 30
        while len(names := [each["process"] for each in box.client.call("agent", method="state")["processes"]]) > 2:
            require(time.monotonic() < deadline, f"not forgotten: {names}")
            time.sleep(0.02)
        for _ in range(70):
            result, _ = box.exec("exit 0", client=box.client)
            box.client.call("wait", process=result["process"])


def archives(host):
    """In before the program starts, which finds it; out while it runs."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo("given")
        member.size = 6
        tar.addfile(member, io.BytesIO(b"inside"))
    with Container(host, f"cat /tmp/given; {POLITE}") as box:
        result, streams = box.client.streams("archive.put", path="/tmp")
        require(list(streams) == ["stdin", "stderr"], list(streams))
        streams["stdin"].send(data.getvalue())
        streams["stdin"].end()
        require(streams["stderr"].read() == b"", "an error")
        require(box.client.call("wait", process=result["process"])["status"] == 0, "put")
        _, output = box.client.streams("attach")
        box.start()
        output["stdout"].until(b"insideready")
        result, streams = box.client.streams("archive.get", path="/tmp/given")
        require(list(streams) == ["stdout", "stderr"], list(streams))
        with tarfile.open(fileobj=io.BytesIO(streams["stdout"].read())) as tar:
            require(tar.extractfile("given").read() == b"inside", "get")
        require(box.client.call("wait", process=result["process"])["status"] == 0, "get")
        require("/none" in refused("not-found", box.client.call, "archive.get", path="/none").where, "where")


def log_rotates(host):
    with Container(host, "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done", log_file_bytes=8192,
                   log_files=3) as box:
        box.finish()
        require(sorted(path.name for path in box.directory.glob("log*")) == ["log", "log.1", "log.2"], "files")
        require(all((box.directory / name).stat().st_size <= 8192 for name in ("log", "log.1", "log.2")), "sizes")
        kept = [text for _, _, text in box.log(2, 1, 0)]
        require(kept == [b"line %d" % i for i in range(500 - len(kept), 500)] and len(kept) > 100, kept[:3])


def nobody_starts_it(host):
    with Container(host, SLEEP) as box:
        box.client.close()
        box.gone()
        state = host.record(box.name)
        require(state["exit"]["status"] == 125 and "was not started" in state["error"], state)


def boot_fails(host):
    with Container(host, SLEEP, fault="dies") as box:
        wait = box.client.begin("wait")
        error = refused("failed", box.start)
        require(error.status == 125, error.status)
        ended = box.client.finish(wait)
        require(ended["status"] == 125 and "the virtual machine" in ended["error"], ended)
        box.gone()
        require("it is dead" in box.errors(), box.errors())
    with Container(host, SLEEP, fault="silent") as box:
        require(box.client.call("stop")["status"] == 137, "stop while it boots")
    with Container(host, SLEEP, {"mounts": "wrong"}) as box:
        error = refused("invalid", box.start)
        require(error.status == 125 and "config.mounts" in error.where, error)


def starts_while_it_boots(host):
    with Container(host, "echo early") as box:
        _, streams = box.client.streams("attach", wait=True)
        start = box.client.begin("start")
        wait = box.client.begin("wait")
        require(streams["stdout"].read() == b"early\n", "output")
        box.client.finish(start)
        require(box.client.finish(wait)["status"] == 0, "status")


def twenty_times(host):
    before = set(host.directory.iterdir())
    for number in range(20):
        with Container(host, f"echo {number}; exit {number}", remove=True) as box:
            ended, out, _ = box.finish()
            require((ended["status"], out) == (number, f"{number}\n"), (number, ended, out))
            box.gone()
    require(not host.names(), host.names())
    left = {path for path in set(host.directory.iterdir()) - before if path.suffix != ".spec"}
    require(not left, left)


CASES = [runs_to_its_end, removes_itself, killed_by_a_signal, what_cannot_be_executed, states_and_refusals, paused,
         stopped, terminated_supervisor, time_is_up, input_once, input_stays_open, several_attached, slow_clients,
         terminal, executed, executed_for_nobody, archives, log_rotates, nobody_starts_it, boot_fails,
         starts_while_it_boots, twenty_times]

if __name__ == "__main__":
    sys.exit(main(CASES))
