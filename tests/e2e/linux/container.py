#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`husk run IMAGE` with real machines: an image of busybox made here, and what only a whole chain of command,
supervisor, machine and agent has. What needs no machine is in tests/e2e/container.

usage: container.py HUSK
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import traceback

os.environ["HUSK"] = str(pathlib.Path(sys.argv[1]).resolve())
os.environ.setdefault("HUSK_TEST_PATIENCE_S", "400")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "container"))

# pylint: disable=wrong-import-position
import box as boxes
import images
from box import Terminal
from e2e import Failure, require
from husktest import SKIPPED, TOP, Skip, any_kernel, own_kernel

HOG = "x=0123456789abcdef; while :; do x=$x$x; done"
SERVICE = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done"


def processes():
    """Those of husk, by the names of their programs."""
    names = []
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            names.append(path.read_text().strip())
        except OSError:
            pass
    return sorted(name for name in names if name.startswith("husk-"))


def nothing_left(box):
    box.wait_for(f"the end of {processes()}", lambda: not processes())
    require(not box.names(), box.names())


def input_output_and_status(box):
    with box.start("run", "-i", "--rm", "busybox", "sh", "-c", "echo out; cat; echo err >&2; exit 7",
                   stdin=subprocess.PIPE) as process:
        out, err = process.communicate(b"through\n" * 10000, timeout=boxes.PATIENCE_S)
    require(process.returncode == 7, (process.returncode, out[-500:], err))
    require(out == b"out\n" + b"through\n" * 10000 and err == b"err\n", (out[-500:], err))
    nothing_left(box)


def not_found(box):
    box.run("--rm", "busybox", "/bin/missing", status=127, errors="missing")
    nothing_left(box)


def terminal(box):
    with Terminal(box, "run", "-it", "--rm", "busybox", "sh", columns=91, rows=33) as screen:
        screen.expect("# ")
        screen.send("stty size; exit 5\r")
        screen.expect("33 91")
        screen.finish(5)
    nothing_left(box)


def limits(box, name):
    """The kernel kills the offender, not its neighbour."""
    box.husk("exec", name, "sh", "-c", HOG, status=137, errors="")
    box.wait_for("it to be counted", lambda: box.inspect(name)["state"]["oom_kills"] >= 1)
    require(box.inspect(name)["state"]["status"] == "running", "the service was killed")


def service(box):
    """One in the background, and what is done with it."""
    name = box.detached("-m", "64M", "--init", "-e", "FROM_RUN=1", "busybox", "sh", "-c", SERVICE)
    require(box.inspect(name)["state"]["machine_pid"] > 0, "no machine")
    box.wait_for("its output", lambda: "up" in box.husk("logs", name))
    require(box.husk("exec", name, "sh", "-c", "echo $FROM_RUN$FROM_IMAGE; id -u") == "1yes\n0\n", "exec")
    require(box.husk("exec", "-i", name, "cat", data=b"in" * 50000) == "in" * 50000, "exec -i")
    with Terminal(box, "exec", "-it", name, "sh") as screen:
        screen.expect("# ")
        screen.send("tty; exit 4\r")
        screen.expect("/dev/pts/")
        screen.finish(4)
    limits(box, name)
    used = json.loads(box.husk("stats", "--no-stream", "--format", "json", name))
    require(used["memory_peak_bytes"] <= 64 << 20 and used["machine"]["memory_resident_bytes"] > 0, used)
    box.husk("pause", name)
    require("(paused)" in box.husk("ps"), "ps")
    box.husk("resume", name)
    with box.start("logs", "-f", name) as follower:
        require(follower.stdout.readline() == b"up\n", "logs -f")
        box.husk("stop", name)
        require(follower.stdout.readline() == b"bye\n", "logs -f does not follow")
        require(follower.wait(boxes.PATIENCE_S) == 0, "logs -f does not end")
    require(box.husk("wait", name) == "3\n", "wait")
    box.husk("rm", name)
    nothing_left(box)


def updated(box):
    """Limits in place, of one that runs."""
    name = box.detached("-m", "128M", "busybox", "sleep", "1000")

    def limits():
        return box.husk("exec", name, "sh", "-c", "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max").split()

    require(limits() == [str(128 << 20), "max", "max", "100000"], limits())
    require(box.husk("update", "-m", "64M", "--cpus", "0.5", "--pids-limit", "50", name) == f"{name}\n", "update")
    require(limits() == [str(64 << 20), "50", "50000", "100000"], limits())
    box.husk("exec", name, "sh", "-c", HOG, status=137, errors="")
    used = json.loads(box.husk("stats", "--no-stream", "--format", "json", name))
    require(used["memory_peak_bytes"] <= 64 << 20, used)
    box.husk("update", "--pids-limit", "-1", name)
    require(limits()[1] == "max" and box.inspect(name)["state"]["status"] == "running", limits())
    box.husk("rm", "-f", name)
    nothing_left(box)


def tap(box):
    """A network that is the user's: the container is reached, and reaches, through one tap."""
    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout

    ip("tuntap", "add", "ct0", "mode", "tap")
    ip("address", "add", "10.77.0.1/24", "dev", "ct0")
    ip("link", "set", "ct0", "up")
    with subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "10.77.0.1", "--directory", box.top, "8077"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        (box.top / "served").write_text("by the host\n")
        network = "tap=ct0,address=10.77.0.2/24,gateway=10.77.0.1,mac=52:54:00:77:00:02"
        name = box.detached("--network", network, "-h", "inside", "busybox", "sh", "-c",
                            "while echo by the container | busybox nc -l -p 7000; do :; done")
        ask = ("exec", name, "busybox", "wget", "-q", "-O", "-", "http://10.77.0.1:8077/served")
        box.wait_for("the host's answer", lambda: box.start(*ask).communicate(timeout=boxes.PATIENCE_S)[0] ==
                     b"by the host\n")
        server.terminate()

    def asked():
        try:
            with socket.create_connection(("10.77.0.2", 7000), timeout=boxes.PATIENCE_S) as sock:
                return sock.makefile().read()
        except OSError:
            return None

    box.wait_for("the container's answer", lambda: asked() == "by the container\n")
    out = box.husk("exec", name, "busybox", "sh", "-c", "ip -4 address; ip route; cat /sys/class/net/*/address /etc/hosts")
    for text in ("inet 10.77.0.2/24", "default via 10.77.0.1", "52:54:00:77:00:02", "10.77.0.2\tinside"):
        require(text in out, (text, out))
    box.husk("rm", "-f", name)
    ip("link", "delete", "ct0")
    box.run("--rm", "--network", "tap=ct0", "busybox", "true", status=125, errors="ct0")
    nothing_left(box)


def killed_machine(box):
    """Its end is the container's, and the record says whose it was."""
    for words, status in (((), 255), (("--rm",), 255)):
        name = box.detached(*words, "busybox", "sh", "-c", "echo up; sleep 1000")
        box.wait_for("its output", lambda: box.husk("logs", name) == "up\n")
        state = box.inspect(name)["state"]
        with box.start("wait", name) as waiter, box.start("exec", name, "sleep", "1000") as further, \
                box.start("attach", "--no-stdin", name) as attached:
            box.wait_for("the further process", lambda: box.husk("top", name).count("sleep") >= 2)
            os.kill(state["machine_pid"], signal.SIGKILL)
            require(waiter.communicate(timeout=boxes.PATIENCE_S)[0] == b"%d\n" % status, "wait")
            require(further.wait(boxes.PATIENCE_S) == 125 and attached.wait(boxes.PATIENCE_S) == status,
                    (further.returncode, attached.returncode))
        box.wait_for("the supervisor's end", lambda: not os.path.exists(f"/proc/{state['supervisor']['pid']}"))
        if not words:
            state = box.inspect(name)["state"]
            require((state["status"], state["machine_pid"]) == ("exited", 0) and "machine" in state["error"], state)
            require(sorted(path.name for path in (box.state / name).iterdir()) ==
                    ["control.sock", "errors", "lock", "log", "spec.json", "state.json", "state.spare"],
                    list((box.state / name).iterdir()))
            box.husk("rm", name)
        nothing_left(box)


def volumes(box):
    """A directory and a file are copies, a disk is one."""
    source = box.top / "source"
    (source / "below").mkdir(parents=True)
    (source / "below/file").write_text("from the host\n")
    disk = box.top / "disk.img"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", disk], check=True)
    script = ("cat /copy/below/file /etc/one; echo changed > /copy/below/file && cat /copy/below/file;"
              "touch /fixed/new 2>/dev/null || echo read-only; cat /fixed/below/file; echo kept > /disk/kept")
    out = box.run("--rm", "-v", f"{source}:/copy", "-v", f"{source}:/fixed:ro", "-v", f"{source}/below/file:/etc/one",
                  "-v", f"{disk}:/disk", "busybox", "sh", "-c", script)
    require(out.splitlines() == ["from the host", "from the host", "changed", "read-only", "from the host"], out)
    require((source / "below/file").read_text() == "from the host\n", "the host's file was changed")
    kept = subprocess.run(["debugfs", "-R", "cat kept", disk], capture_output=True, check=True).stdout
    require(kept == b"kept\n", kept)
    nothing_left(box)


RUNS = ("echo run >> /runs; echo run >> /data/runs; echo run >> /copy/file; cat /runs /data/runs /copy/file | wc -l;"
        "sleep 1000")


def started_again(box):
    """What a container wrote is there again: in its root, in a volume, in a copy. Not so when its machine was cut off:
    that disk is never mounted again."""
    source = box.top / "copied"
    source.mkdir()
    (source / "file").write_text("from the host\n")
    box.husk("create", "--name", "c", "-v", "/data", "-v", f"{source}:/copy", "busybox", "sh", "-c", RUNS)

    def lines(*expected):
        box.wait_for(f"{expected}", lambda: box.husk("logs", "c").split() == list(map(str, expected)))

    box.husk("start", "c")
    lines(4)
    box.husk("stop", "-t", "0", "c")
    box.husk("start", "c")
    lines(4, 7)
    box.husk("restart", "-t", "0", "c")
    lines(4, 7, 10)
    os.kill(box.inspect("c")["state"]["machine_pid"], signal.SIGKILL)
    require(box.husk("wait", "c") == "255\n", "its machine was killed")
    state = box.inspect("c")["state"]
    require(state["status"] == "exited" and "machine" in state["error"], state)
    box.husk("start", "c")
    lines(4, 7, 10, 4)
    # A supervisor that is killed leaves its disk to whoever looks next.
    os.kill(box.inspect("c")["state"]["supervisor"]["pid"], signal.SIGKILL)
    box.wait_for("its end", lambda: "Exited (255)" in box.husk("ps", "-a"))
    require(not list(box.state.glob("c/scratch.img")), "the disk of a machine that was cut off is kept")
    box.husk("start", "c")
    lines(4, 7, 10, 4, 4)
    # While it boots its disk is not touched.
    box.husk("stop", "-t", "0", "c")
    with box.start("start", "c") as process:
        box.wait_for("a machine", lambda: box.inspect("c")["state"]["status"] == "created")
        box.husk("stop", "-t", "0", "c")
        process.communicate(timeout=boxes.PATIENCE_S)
    box.husk("start", "c")
    lines(4, 7, 10, 4, 4, 7)
    box.husk("rm", "-f", "c")
    nothing_left(box)


NGINX = """user www-data; worker_processes 2; daemon off; pid /run/nginx.pid; error_log /var/log/nginx/error.log notice;
events {}
http { access_log /var/log/nginx/access.log; server { listen 80; root /srv; } }
"""


def nginx_image():
    """Debian's nginx, what it is linked with, and an image around it as nginx' own is: logs are links to the standard
    streams, workers are of another user, and it ends by SIGQUIT."""
    found = subprocess.run([TOP / "tests/lab/debian-package", "--print", "nginx"], capture_output=True, text=True,
                           check=False)
    if found.returncode:
        raise Skip("Debian's nginx is not here (tests/lab/debian-package nginx)")
    program = found.stdout.strip() + "/usr/sbin/nginx"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in listed.split() if word.startswith("/")]
    link = {"type": tarfile.SYMTYPE}
    members = [*(images.directory(name) for name in ("srv", "run", "var", "var/log", "var/log/nginx", "var/lib",
                                                     "var/lib/nginx")),
               ("usr/sbin/nginx", pathlib.Path(program).read_bytes(), {"mode": 0o755}),
               *((path.lstrip("/"), pathlib.Path(path).read_bytes(), {"mode": 0o755}) for path in libraries),
               ("etc/nginx/nginx.conf", NGINX.encode()), ("srv/index.html", b"served\n"),
               ("etc/passwd", b"root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/srv:/bin/false\n"),
               ("etc/group", b"root:x:0:\nwww-data:x:33:\n"),
               ("var/log/nginx/access.log", b"", {**link, "linkname": "/dev/stdout"}),
               ("var/log/nginx/error.log", b"", {**link, "linkname": "/dev/stderr"})]
    return images.Image([*boxes.layers(), images.tar_of(members)],
                        {"Cmd": ["/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf"], "ExposedPorts": {"80/tcp": {}},
                         "Env": ["PATH=/usr/sbin:/bin"], "StopSignal": "SIGQUIT"})


def pulled_server(box):
    """A real server in a container, pulled from a real registry."""
    if not shutil.which("docker-registry"):
        raise Skip("docker-registry is not installed")
    image = nginx_image()
    with images.docker_registry(box.top) as host:
        images.push(box.top, "team/nginx", "1.22", image)
        box.refuse("is not in the registry", "run", "-q", "--rm", f"{host}/team/nginx:2")
        name = box.detached("-q", f"{host}/team/nginx:1.22")
    # The registry is gone, the image is here.
    ask = ("exec", name, "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1/")
    box.wait_for("its answer", lambda: box.start(*ask).communicate(timeout=boxes.PATIENCE_S)[0] == b"served\n")
    box.wait_for("its access log", lambda: '"GET / HTTP/1.1" 200 7' in box.husk("logs", name, errors=""))
    box.husk("logs", name, errors="start worker process")
    users = box.husk("exec", name, "busybox", "sh", "-c", "grep -h ^Uid: /proc/[0-9]*/status")
    require(users.count("Uid:\t33\t33") == 2, users)
    box.husk("stop", name)
    require(box.husk("wait", name) == "0\n", "it did not end by its own signal")
    box.husk("rm", name)
    nothing_left(box)


def killed_supervisor(box):
    """The machine goes with it."""
    name = box.detached("busybox", "sleep", "1000")
    state = box.inspect(name)["state"]
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    box.wait_for("the machine's end", lambda: not os.path.exists(f"/proc/{state['machine_pid']}"))
    require("Exited (255)" in box.husk("ps", "-a"), "ps")
    box.husk("rm", name)
    nothing_left(box)


def interrupted_start(box):
    with box.start("run", "--rm", "busybox", "sleep", "1000") as process:
        box.wait_for("a machine", lambda: "husk-vmm" in processes())
        process.send_signal(signal.SIGINT)
        # By then it may not even listen for signals; the container ends all the same.
        require(process.wait(boxes.PATIENCE_S) in (130, -signal.SIGINT), process.returncode)
    nothing_left(box)


def many(box, count):
    for i in range(count):
        require(box.run("--rm", "busybox", "echo", str(i)) == f"{i}\n", f"run {i}")
    nothing_left(box)


def runs():
    """How many in a row: a start of Debian's kernel takes the lab a good part of a minute."""
    try:
        own_kernel()
    except Skip:
        return 2 if os.environ.get("HUSK_LAB") else 20
    return 20


def cases():
    yield "input, output and status", input_output_and_status, ()
    yield "not found", not_found, ()
    yield "service", service, ()
    yield "terminal", terminal, ()
    yield "updated", updated, ()
    yield "tap", tap, ()
    yield "killed machine", killed_machine, ()
    yield "volumes", volumes, ()
    yield "started again", started_again, ()
    yield "a server from a registry", pulled_server, ()
    yield "killed supervisor", killed_supervisor, ()
    yield "interrupted start", interrupted_start, ()
    yield f"{runs()} in a row", many, (runs(),)


def main():
    failed = 0
    try:
        any_kernel()
    except Skip as reason:
        print(f"skipped: container: {reason}")
        return SKIPPED
    if not pathlib.Path("/bin/busybox").exists():
        print("skipped: container: needs busybox-static")
        return SKIPPED
    with boxes.Box() as box:
        for name, function, arguments in cases():
            started = time.monotonic()
            try:
                function(box, *arguments)
                print(f"ok: {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except Skip as reason:
                print(f"skipped: container: {name}: {reason}", flush=True)
            except (Failure, subprocess.TimeoutExpired, OSError, KeyError, ValueError):
                failed += 1
                print(f"FAILED: {name}:\n{traceback.format_exc()}{box.why()}", flush=True)
                for left in box.names():
                    box.start("rm", "-f", left).communicate(timeout=boxes.PATIENCE_S)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
