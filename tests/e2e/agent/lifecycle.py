# SPDX-License-Identifier: Apache-2.0
"""The life of containers and their processes over the agent's protocol: states, exec, streams, terminals,
signals, pause, statistics, deletion, and what the states refuse."""
import signal
import subprocess
import time

from agent import CAPABILITIES, Connection, Container, Failure, Reader, Refused, refused, require

SLEEP = "sleep 1000"


def states(place):
    control = place.control
    with Container(place, None, SLEEP) as container:
        name = container.name
        require(container.state()["status"] == "created", container.state())
        refused("exists", Container, place, None, SLEEP, name=name)
        refused("state", control.call, "resume", container=name)
        refused("state", control.call, "pause", container=name)
        refused("state", control.call, "delete", container=name)
        container.start()
        require(container.state()["status"] == "running", container.state())
        require(name in control.call("list")["containers"], "not listed")
        refused("state", control.call, "start", container=name)
        refused("state", control.call, "delete", container=name)
        container.kill(9)
        ended = container.wait()
        require((ended["status"], ended["signal"], ended["oom"]) == (137, 9, False), ended)
        require(container.state()["status"] == "stopped", container.state())
        refused("state", container.kill)
        refused("state", control.call, "start", container=name)
        control.call("delete", container=name)
        refused("not-found", container.state)


def exit_statuses(place):
    for command, status, number in (("exit 0", 0, 0), ("exit 7", 7, 0), ("kill -TERM $$", None, 0),
                                    ("exec /bin/busybox kill -9 1; exit 3", None, None)):
        with Container(place, None, command) as container:
            ended, _, _ = container.finish()
            if status is not None:
                require((ended["status"], ended["signal"]) == (status, number), (command, ended))
            event = place.control.event(event="exit", container=container.name, process="init")
            require(event["exit"] == ended, (event, ended))


def killed_before_start(place):
    with Container(place, None, SLEEP) as container:
        container.kill(9)
        require(container.wait()["signal"] == 9, "not killed")
        refused("state", container.start)


def command_not_found(place):
    with Container(place, {"process.args": ["/no/such"]}) as container:
        error = refused("not-found", container.start)
        require("process.args[0]" in error.where, error)
        require(container.wait()["status"] != 0, "ended well")


def executions(place):
    with Container(place, None, SLEEP) as container:
        container.start()
        require(container.output("p1", "echo $A; id -u; pwd; echo $$", env=["A=b", "PATH=/bin"], cwd="/tmp",
                                 user={"uid": 5, "gid": 6}).split()[:3] == ["b", "5", "/tmp"], "p1")
        bound = container.output("p2", "grep CapBnd /proc/self/status").split()[1]
        require(int(bound, 16).bit_count() == len(CAPABILITIES), f"exec has other capabilities: {bound}")
        require(container.output("p3", "hostname; ls /proc | grep -c '^[0-9]'").startswith("box\n"), "p3")
        init = container.output("ns", "for n in pid net ipc uts mnt cgroup; do readlink /proc/1/ns/$n; done")
        own = container.output("ns2", "for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done")
        require(init == own, (init, own))
        container.exec("p4", SLEEP)
        refused("exists", container.exec, "p4", SLEEP)
        refused("state", place.control.call, "delete", container=container.name, process="p4")
        container.kill(15, process="p4")
        require(container.wait("p4")["signal"] == 15, "p4")
        require(place.control.event(event="exit", process="p4")["exit"]["status"] == 143, "event")
        error = refused("not-found", place.control.call, "exec", container=container.name, process="p5",
                        config={"args": ["/none"], "cwd": "/", "user": {}})
        require("config.args[0]" in error.where, error)
        error = refused("invalid", place.control.call, "exec", container=container.name, process="p6",
                        config={"args": ["x"], "cwd": "x", "user": {}})
        require("exec.config.cwd" in error.where, error)
        require([process["process"] for process in container.state()["processes"]] == ["init", "p4"], "leftovers")


def init_takes_all_along(place):
    with Container(place, None, "sleep 1000") as container:
        container.start()
        container.exec("other", SLEEP)
        container.kill(9)
        require(container.wait("other")["signal"] == 9, "the other lives")


def no_pid_namespace(place):
    """Children of a container without one die with it all the same."""
    kinds = [{"type": kind} for kind in ("network", "ipc", "uts", "mount")]
    with Container(place, {"linux.namespaces": kinds}, "sleep 1000 & echo $!") as container:
        _, out, _ = container.finish()
        deadline = time.monotonic() + 20
        with Container(place, {"linux.namespaces": kinds}, SLEEP) as watcher:
            watcher.start()
            for attempt in range(1000):
                if not watcher.output(f"w{attempt}", f"kill -0 {out.strip()} && echo there").strip():
                    break
                require(time.monotonic() < deadline, "the child lives")
                time.sleep(0.02)


def streams(place):
    with Container(place, None, "cat; echo end >&2", stdin=True) as container:
        out, err = Reader(container.stream("stdout")), Reader(container.stream("stderr"))
        refused("state", container.stream, "stdout")
        refused("not-found", container.stream, "terminal")
        container.start()
        stdin = container.stream("stdin")
        data = bytes(range(256)) * 4096
        stdin.socket.sendall(data)
        stdin.socket.shutdown(1)
        require(container.wait()["status"] == 0, "status")
        out.text()
        require(out.data == data, f"{len(out.data)} bytes of {len(data)} came back")
        require(err.text() == "end\n", err.data)


def output_waits_for_a_reader(place):
    with Container(place, None, "head -c 300000 /dev/zero; echo done >&2") as container:
        container.start()
        err = Reader(container.stream("stderr"))
        time.sleep(0.2)
        require(not err.data, "the writer did not wait")
        out = Reader(container.stream("stdout"))
        require(len(out.text()) == 300000 and err.text() == "done\n", "output is incomplete")


def output_after_a_broken_connection(place):
    with Container(place, None, "read x; echo second; read x; echo third", stdin=True) as container:
        container.start()
        first = container.stream("stdout")
        stdin = container.stream("stdin")
        first.close()
        stdin.socket.sendall(b"\n")
        deadline = time.monotonic() + 20
        while True:
            try:
                again = Reader(container.stream("stdout"))
                break
            except Refused as error:
                require(error.code == "state" and time.monotonic() < deadline, error)
        stdin.socket.sendall(b"\n")
        require("third" in again.text(), again.data)


def empty_stdin(place):
    with Container(place, None, "cat; echo over") as container:
        require(container.finish()[1] == "over\n", "stdin is not empty")


def until(stream, text, times=1):
    data = b""
    while data.count(text) < times:
        part = stream.socket.recv(4096)
        if not part:
            raise Failure(f"the terminal ended without {text!r}: {data!r}")
        data += part
    return data


def terminal(place):
    changes = {"process.terminal": True, "process.consoleSize": {"width": 90, "height": 33}}
    with Container(place, changes, "stty size; tty; read a; stty size; echo got $a; ls -l /dev/console; cat; echo $?") as container:
        screen = container.stream("terminal")
        refused("not-found", container.stream, "stdout")
        container.start()
        begin = until(screen, b"/dev/")
        require(b"33 90" in begin, begin)
        place.control.call("resize", container=container.name, columns=101, rows=44)
        screen.socket.sendall(b"typed\n")
        require(b"44 101" in until(screen, b"console"), "the size did not change")
        screen.socket.sendall(b"ping\n")
        until(screen, b"ping", 2)  # the terminal's echo and cat's answer
        screen.socket.sendall(b"\x03")
        require("^C" in Reader(screen).text(), "the terminal does not end")
        container.wait()  # cat would have gone on for ever


def terminal_of_an_exec(place):
    with Container(place, None, SLEEP) as container:
        container.start()
        container.exec("t", "tty && exit 5", terminal=True)
        screen = Reader(container.stream("terminal", "t"))
        require("/dev/pts/" in screen.text(), screen.data)
        require(container.wait("t")["status"] == 5, "status")
        refused("state", place.control.call, "resize", container=container.name, columns=1, rows=1)


def terminal_without_devpts(place):
    error = refused("not-found", Container, place, {"process.terminal": True, "mounts": []}, "true")
    require("process.terminal" in error.where, error)


def pausing(place):
    with Container(place, None, "while :; do echo x; sleep 0.01; done") as container:
        container.start()
        stream = container.stream("stdout")
        require(stream.socket.recv(1), "nothing is written")
        place.control.call("pause", container=container.name)
        require(container.state()["status"] == "paused", "state")
        refused("state", container.exec, "p", "true")
        refused("state", place.control.call, "pause", container=container.name)
        stream.socket.settimeout(0.5)
        try:
            while stream.socket.recv(1 << 16):
                pass
        except TimeoutError:
            pass
        stream.socket.settimeout(60)
        place.control.call("resume", container=container.name)
        require(stream.socket.recv(1), "nothing is written after resume")
        place.control.call("pause", container=container.name)
        container.kill(9)
        require(container.wait()["signal"] == 9, "a paused container cannot be killed")


def kill_all(place):
    with Container(place, None, "trap 'exit 4' USR1; sleep 1000 & wait; exit 9") as container:
        out = Reader(container.stream("stdout"))
        container.start()
        container.output("ready", "while ! grep -q 'SigCgt:.*[1-9a-f]' /proc/1/status; do sleep 0.01; done; "
                         "while [ $(ls /proc | grep -c '^[0-9]') -lt 3 ]; do sleep 0.01; done; sleep 0.1")
        container.kill(signal.SIGUSR1, all=True)
        require(container.wait()["status"] == 4, "the trap did not run")
        out.text()
        refused("invalid", place.control.call, "kill", container=container.name, signal=65)


def statistics(place):
    with Container(place, None, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000") as container:
        container.start()
        deadline = time.monotonic() + 30
        while place.control.call("stats", container=container.name)["cpu_usec"] == 0:
            require(time.monotonic() < deadline, "no time is counted")
            time.sleep(0.02)


def cgroups(place):
    """Those below the agent's."""
    script = (f"mount -t cgroup2 none {place.cgroups} && cd {place.cgroups}/{place.cgroup_name} && "
              "find . -mindepth 1 -type d")
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True)
    return sorted(result.stdout.split())


def cgroups_go_with_their_containers(place):
    """Also those above, with the last one that needs them."""
    def below(path):
        return Container(place, {"linux.cgroupsPath": path}, SLEEP)

    before = cgroups(place)
    with below("/one//two/leaf"):
        with below("one/two/other"):
            refused("exists", below, "one/two/leaf")
        require(cgroups(place) == sorted(before + ["./one", "./one/two", "./one/two/leaf"]), cgroups(place))
    require(cgroups(place) == before, cgroups(place))
    refused("not-found", Container, place, {"linux.cgroupsPath": "made/for/nothing", "root.path": "/nowhere"})
    require(cgroups(place) == before, cgroups(place))
    with below("parent") as parent:
        parent.start()
        parent.kill(9)
        parent.wait()
        with below("parent/child/leaf"):
            pass
        require(cgroups(place) == sorted(before + ["./parent"]), cgroups(place))


def processes(place):
    """Also those with a name that wants to be more than a name, and while nothing runs."""
    with Container(place, None, "sleep 1000 & wait") as container:
        before = place.control.call("processes", container=container.name)["processes"]
        require(len(before) == 1 and before[0]["pid_inside"] == 1, before)
        container.start()
        container.exec("p", "exec sleep 1001", user={"uid": 77, "gid": 0})
        container.exec("q", "printf 'x) R 1 (y' > /proc/$$/comm; read x; : \x1b\u00e9\n", stdin=True)
        odd = "/bin/busybox sh -c printf 'x) R 1 (y' > /proc/$$/comm; read x; : ????"
        deadline = time.monotonic() + 30
        while True:
            answer = place.control.call("processes", container=container.name)
            found = {process["command"]: process for process in answer["processes"]}
            there = {"sleep 1000", "sleep 1001", odd} <= set(found)
            if there and all(one["state"] == "S" for one in found.values()) or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        require(len(answer["processes"]) == 4 and answer["left_out"] == 0, answer)
        first = found["/bin/busybox sh -c sleep 1000 & wait"]
        child, other = found["sleep 1000"], found["sleep 1001"]
        require((first["pid"], first["pid_inside"], first["uid"]) == (container.pid, 1, 0), first)
        require((child["ppid"], child["state"]) == (first["pid"], "S"), child)
        require(other["uid"] == 77 and other["age_usec"] < 60 * 10 ** 6, other)
        require(other["memory_bytes"] > 4096 and other["cpu_usec"] < 60 * 10 ** 6, other)
        require((found[odd]["state"], found[odd]["uid"]) == ("S", 0), found)
        container.control.call("pause", container=container.name)
        paused = place.control.call("processes", container=container.name)["processes"]
        require(len(paused) == 4, paused)
        container.control.call("resume", container=container.name)
        container.kill(9)
        container.wait()
    refused("not-found", place.control.call, "processes", container="nobody")


def waits(place):
    with Container(place, None, SLEEP) as container:
        container.start()
        numbers = [place.control.begin("wait", container=container.name) for _ in range(3)]
        other = place.new_control()
        other.begin("wait", container=container.name)
        other.close()
        container.kill(9)
        for number in numbers:
            require(place.control.finish(number)["signal"] == 9, "wait")
    with Container(place, None, SLEEP) as container:
        number = place.control.begin("wait", container=container.name)
        place.control.call("delete", container=container.name, force=True)
        require(place.control.finish(number)["signal"] == 9, "a forced deletion ends the wait")


def two_controls(place):
    other = place.new_control()
    with Container(place, None, SLEEP) as container:
        require(other.call("state", container=container.name)["status"] == "created", "not seen")
        other.call("start", container=container.name)
        container.kill(9)
        require(other.event(event="exit", container=container.name)["exit"]["signal"] == 9, "no event")
    other.close()


def volumes(place):
    call = place.control.call
    call("volume.add", volume="v1", tmpfs_bytes=1 << 20)
    refused("exists", call, "volume.add", volume="v1", tmpfs_bytes=1)
    refused("not-found", call, "volume.add", volume="v2", disk="nosuch", fstype="ext4")
    refused("invalid", call, "volume.add", volume="v2")
    refused("invalid", call, "volume.add", volume="../v2", tmpfs_bytes=1)
    refused("invalid", call, "volume.add", volume="v2", disk="nosuch", fstype="erofs", offset_bytes=0)
    refused("invalid", call, "volume.add", volume="v2", disk="nosuch", fstype="erofs", offset_bytes=0, size_bytes=0)
    refused("invalid", call, "volume.add", volume="v2", tmpfs_bytes=1, offset_bytes=0, size_bytes=512)
    refused("not-found", call, "volume.add", volume="v2", disk="nosuch", fstype="erofs", offset_bytes=0, size_bytes=512)
    refused("not-found", call, "volume.remove", volume="v9")
    shared = {"mounts+": [{"destination": "/data", "type": "bind", "source": "/run/husk/volumes/v1",
                           "options": ["rbind"]}]}
    with Container(place, shared, "echo hello > /data/f; ln -s / /data/out; head -c 3000000 /dev/zero > /data/big "
                   "2>/dev/null || echo full") as first:
        require(first.finish()[1] == "full\n", "the volume has no limit")
        refused("state", call, "volume.remove", volume="v1")
        with Container(place, shared, "cat /data/f") as second:
            require(second.finish()[1] == "hello\n", "the volume is not shared")
        below = {"mounts+": [{"destination": "/data-file", "type": "bind", "source": "/run/husk/volumes/v1/out/f",
                              "options": ["bind"]}]}
        with Container(place, below, "cat /data-file") as third:
            require(third.finish()[1] == "hello\n", "a link in a volume leads out of it")
    call("volume.remove", volume="v1")


def overlays(place):
    call = place.control.call
    for name in ("low", "high", "scratch"):
        call("volume.add", volume=name, tmpfs_bytes=32 << 20)
    fill = {"mounts+": [{"destination": f"/{name}", "type": "bind", "source": f"/run/husk/volumes/{name}",
                         "options": ["bind"]} for name in ("low", "high")]}
    with Container(place, fill, "for d in low high; do mkdir -p /$d/bin /$d/proc /$d/dev; echo $d > /$d/who; "
                   "echo $d > /$d/only-$d; done; cp /bin/busybox /low/bin/") as maker:
        require(maker.finish()[0]["status"] == 0, "filling")
    rootfs = {"layers": ["low", "high"], "upper": "scratch"}
    bare = {"root": None}
    with Container(place, bare, "cat /who /only-low /only-high; echo mine > /who; cat /who", rootfs=rootfs) as one:
        require(one.finish()[1] == "high\nlow\nhigh\nmine\n", "layers")
        refused("state", call, "volume.remove", volume="low")
        with Container(place, bare, "cat /who", rootfs=rootfs) as two:
            require(two.finish()[1] == "high\n", "containers see each other's changes")
    with Container(place, bare, "echo x > /who", rootfs={"layers": ["low", "high"]}) as three:
        require("Read-only" in three.finish()[2], "a root without upper takes writes")
    refused("not-found", Container, place, bare, "true", rootfs={"layers": ["none"]})
    refused("invalid", Container, place, bare, "true", rootfs={"layers": []})
    look = {"mounts+": [{"destination": "/scratch", "type": "bind", "source": "/run/husk/volumes/scratch",
                         "options": ["bind"]}]}
    with Container(place, look, "for i in $(seq 500); do [ -z \"$(ls -A /scratch)\" ] && break; sleep 0.02; done; "
                   "ls -A /scratch") as last:
        require(last.finish()[1] == "", "what containers wrote is still there")
    for name in ("low", "high", "scratch"):
        call("volume.remove", volume=name)


def pod(place):
    call = place.control.call
    refused("invalid", call, "pod.set", share=["mount"])
    refused("invalid", call, "pod.set", sysctl={"kernel.panic": "1"})
    call("pod.set", hostname="the-pod", share=["ipc", "uts", "pid"], shm_bytes=1 << 20,
         sysctl={"net.ipv4.ip_default_ttl": "77", "kernel.msgmax": "9999"})
    refused("state", call, "pod.set", hostname="again")
    kinds = [{"type": kind, "path": f"/run/husk/namespaces/{kind}"} for kind in ("ipc", "uts", "pid")]
    changes = {"linux.namespaces": [*kinds, {"type": "mount"}], "hostname": None,
               "mounts+": [{"destination": "/dev/shm", "type": "bind", "source": "/run/husk/shm", "options": ["rbind"]},
                           {"destination": "/etc/hosts", "type": "bind", "source": "/run/husk/files/hosts",
                            "options": ["bind"]}]}
    call("file.write", file="hosts", data="127.0.0.1 localhost\n")
    refused("invalid", call, "file.write", file="../x", data="")
    with Container(place, changes, SLEEP) as first:
        first.start()
        seen = first.output("look", "hostname; cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_default_ttl "
                            "/etc/hosts; echo there > /dev/shm/x")
        require(seen.split("\n")[:4] == ["the-pod", "9999", "77", "127.0.0.1 localhost"], seen)
        with Container(place, changes, "cat /dev/shm/x; kill -9 1; ps | grep -v grep | grep -c sleep") as second:
            out = second.finish()[1]
            require(out == "there\n1\n", f"the pod is not shared: {out!r}")
        call("file.write", file="hosts", data="10.0.0.1 other\n")
        require(first.output("again", "cat /etc/hosts") == "10.0.0.1 other\n", "the file did not change in place")


def network(place):
    call = place.control.call
    refused("not-found", call, "network.set", interface="eth77")
    refused("invalid", call, "network.set", interface="lo", addresses=["10.0.0.300/8"])
    refused("invalid", call, "network.set", addresses=[])
    call("network.set", interface="lo", mtu=1400, addresses=["10.9.8.7/24", "fd00::7/64"],
         routes=[{"to": "10.55.0.0/16", "via": "10.9.8.1"}, {"to": "10.66.0.0/16"}])
    kinds = [{"type": kind} for kind in ("ipc", "uts", "mount", "pid")]
    with Container(place, {"linux.namespaces": kinds}, "ip addr; ip route") as container:
        out = container.finish()[1]
        for text in ("10.9.8.7/24", "fd00::7/64", "mtu 1400", "10.55.0.0/16 via 10.9.8.1", "10.66.0.0/16 dev lo"):
            require(text in out, f"no {text} in {out}")


def hellos(place):
    def greet(message):
        connection = Connection(place.connect())
        connection.send(message)
        try:
            answer = connection.receive()
            require(connection.socket.recv(1) == b"", "the connection stays open")
        finally:
            connection.close()
        return answer["error"]["code"]

    require(greet({"husk": {"major": 2, "minor": 0}, "role": "control"}) == "version", "major")
    require(greet({"husk": {"major": 1}, "role": "control"}) == "invalid", "minor")
    require(greet({"role": "control"}) == "invalid", "no version")
    require(greet({"husk": {"major": 1, "minor": 0}, "role": "king"}) == "invalid", "role")
    require(greet({"husk": {"major": 1, "minor": 0}, "role": "control", "x": 1}) == "invalid", "member")
    require(greet({"husk": {"major": 1, "minor": 9}, "role": "stream", "container": "none", "stream": "stdout"}) ==
            "not-found", "stream")


def bad_requests(place):
    control = place.new_control()
    refused("unsupported", control.call, "fly")
    refused("invalid", control.call, "start")
    refused("invalid", control.call, "start", container="a/b")
    refused("invalid", control.call, "start", container="x" * 65)
    refused("invalid", control.call, "start", container=5)
    refused("invalid", control.call, "list", more=1)
    refused("not-found", control.call, "start", container="nobody")
    control.close()


def broken_frames(place):
    """Each costs its connection, and nothing else."""
    for raw in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x02\0\0\0[]", b"\x04\0\0\0nope", b"\x05\0\0\0{\"a\0\"", b"\x02\0"):
        for greeted in (False, True):
            connection = place.new_control() if greeted else Connection(place.connect())
            connection.socket.sendall(raw)
            if len(raw) > 2:
                require(connection.socket.recv(1) == b"", f"{raw!r} is taken")
            connection.close()
    control = place.new_control()
    control.send(b'{"id": 1, "method": "list", "params": ' + b'{"a":' * 200 + b"1" + b"}" * 201)
    require(control.socket.recv(1) == b"", "deep nesting is taken")
    require(place.control.call("list") is not None, "the agent has ended")


def a_host_that_does_not_read(place):
    """Answers pile up to a limit; then the agent reads no further."""
    control = place.new_control()
    control.socket.setblocking(False)
    sent = 0
    try:
        for number in range(200000):
            body = b'{"id": %d, "method": "info"}' % number
            sent += control.socket.send(len(body).to_bytes(4, "little") + body)
    except BlockingIOError:
        pass
    require(place.control.call("list") is not None, "the agent has ended")
    control.close()


CASES = [states, exit_statuses, killed_before_start, command_not_found, executions, init_takes_all_along,
         no_pid_namespace, streams, output_waits_for_a_reader, output_after_a_broken_connection, empty_stdin,
         terminal, terminal_of_an_exec, terminal_without_devpts, pausing, kill_all, statistics,
         processes, cgroups_go_with_their_containers, waits, two_controls,
         volumes, overlays, pod, network, hellos, bad_requests, broken_frames, a_host_that_does_not_read]


def run(place, report):
    for case in CASES:
        report.case(case.__name__.replace("_", " "), case, place)
    report.case("nothing is left", lambda: require(not place.control.call("list")["containers"], "containers"))
