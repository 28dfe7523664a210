# SPDX-License-Identifier: Apache-2.0
"""What users do with containers, as cases: each takes the Box. The same on this host, where the agent is a
program and no machine is needed, and with real machines.
"""
import os
import re
import shlex
import signal
import subprocess
import time

import box as boxes
from box import Terminal
from e2e import require


def case_output_and_status(box):
    require(box.run("--rm", "busybox", "echo", "hello") == "hello\n", "hello")
    require(box.run("--rm", "busybox") == "default command\n", "the image's command")
    out = box.run("--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", status=7, errors="^err\n$")
    require(out == "out\n", out)
    out = box.run("--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; echo $?", errors="")
    require(out == "137\n", out)


def case_own_statuses(box):
    box.run("--rm", "busybox", "/bin/missing", status=127, errors="missing")
    box.run("--rm", "busybox", "/etc/not-executable", status=126, errors="not-executable")
    box.run("--rm", "busybox", "/etc", status=126, errors="/etc")
    box.run("--rm", "--pull=never", "no-such-image", status=125, errors="no-such-image")
    require(not box.names(), box.names())


def case_environment(box):
    out = box.run("--rm", "-e", "A=1 2", "-e", "PATH_TO=x", "-w", "/tmp", "busybox", "sh", "-c",
                  "echo $A; echo $FROM_IMAGE; pwd")
    require(out == "1 2\nyes\n/tmp\n", out)
    require(box.run("--rm", "-u", "user", "busybox", "id") ==
            "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n", "user by name")
    require(box.run("--rm", "-u", "7:8", "busybox", "id", "-u").strip() == "7", "user by number")
    require(box.run("--rm", "--entrypoint", "echo", "busybox", "a", "b") == "a b\n", "entrypoint")
    require(box.run("--rm", "-h", "somehost", "busybox", "hostname") == "somehost\n", "hostname")
    box.run("--rm", "--read-only", "busybox", "touch", "/file", status=1, errors="Read-only")


def case_stdin(box):
    data = os.urandom(1 << 20)
    with box.start("run", "-i", "--rm", "busybox", "cat", stdin=subprocess.PIPE) as process:
        out, err = process.communicate(data, timeout=boxes.PATIENCE_S)
    require(process.returncode == 0 and out == data and not err, (process.returncode, len(out), err))
    # Input ends, output goes on.
    out = box.run("-i", "--rm", "busybox", "sh", "-c", "wc -c; echo after", data=b"12345")
    require(out.split() == ["5", "after"], out)
    # Without -i there is none.
    require(box.run("--rm", "busybox", "wc", "-c", data=b"12345").strip() == "0", "stdin without -i")
    # A command that does not read does not hang.
    box.run("-i", "--rm", "busybox", "true", data=data)


def case_background(box):
    name = box.detached("busybox", "sh", "-c", "echo one; echo two >&2; sleep 1000")
    box.wait_for("its output", lambda: "one" in box.husk("logs", name, errors=""))
    rows = box.husk("ps").splitlines()
    require(len(rows) == 2 and name in rows[1] and " Up " in rows[1], rows)
    identity = box.inspect(name)["id"]
    require(box.husk("ps", "-q").strip() == identity[:12], "ps -q")
    require(box.husk("logs", identity[:6], errors="two") == "one\n", "logs by the beginning of the id")
    box.refuse("is the name of another", "run", "--rm", "--name", name, "busybox", "true")
    box.refuse("runs", "rm", name)
    require(box.husk("kill", "-s", "KILL", name).strip() == name, "kill")
    require(box.husk("wait", name).strip() == "137", "wait")
    require("Exited (137)" in box.husk("ps", "-a"), "ps -a")
    require(not box.husk("ps", "-q"), "ps")
    state = box.inspect(name)["state"]
    require(state["status"] == "exited" and state["exit"]["signal"] == 9, state)
    box.husk("rm", name)
    require(not box.names(), box.names())


def case_listing(box):
    first = box.detached("-l", "tier=front", "busybox", "sleep", "1000")
    second = box.detached("-l", "tier=back", "busybox", "true")
    box.husk("wait", second)

    def listed(*filters):
        words = [word for text in filters for word in ("-f", text)]
        return box.husk("ps", "-a", "--format", "json", *words).splitlines()

    require(len(listed()) == 2, listed())
    for chosen, name in (("label=tier=front", first), ("status=exited", second), (f"name={first}", first)):
        rows = listed(chosen)
        require(len(rows) == 1 and f'"name":"{name}"' in rows[0], rows)
    require(len(listed("label=tier")) == 2 and not listed("label=tier", "image=nothing"), "filters")
    box.husk("rm", "-f", first, second)


def case_exec(box):
    name = box.detached("-e", "FROM_RUN=1", "busybox", "sleep", "1000")
    require(box.husk("exec", name, "sh", "-c", "echo $FROM_RUN$FROM_IMAGE") == "1yes\n", "environment")
    out = box.husk("exec", "-e", "X=2", "-w", "/tmp", "-u", "user", name, "sh", "-c", "echo $X; pwd; id -un; exit 3",
                   status=3)
    require(out == "2\n/tmp\nuser\n", out)
    require(box.husk("exec", "-i", name, "cat", data=b"through") == "through", "stdin")
    box.husk("exec", name, "/bin/missing", status=127, errors="missing")
    box.husk("exec", name, "/etc/not-executable", status=126, errors="not-executable")
    box.husk("exec", "-d", name, "touch", "/tmp/made")
    box.wait_for("the file", lambda: subprocess.run(
        [boxes.e2e.HUSK, "exec", name, "test", "-e", "/tmp/made"], env=box.environment,
        timeout=boxes.PATIENCE_S, check=False).returncode == 0)
    # Its output ends with it, although a process in the background holds it.
    require(box.husk("exec", name, "sh", "-c", "sleep 500 & echo done") == "done\n", "left in the background")
    box.husk("rm", "-f", name)
    box.refuse(name, "exec", name, "true")


def case_terminal(box):
    with Terminal(box, "run", "-it", "--rm", "busybox", "sh", columns=91, rows=33) as terminal:
        terminal.expect("# ")
        require(terminal.is_raw(), "not raw")
        terminal.send("stty size\r")
        terminal.expect("33 91")
        terminal.resize(101, 44)
        terminal.send("while [ \"$(stty size)\" != '44 101' ]; do sleep 0.1; done; echo re''sized\r")
        terminal.expect("resized")
        terminal.send("sh -c 'echo go''ing; exec sleep 1000'\r")
        terminal.expect("going")
        terminal.send("\x03")  # Ctrl-C is the container's
        terminal.expect("# ")
        terminal.send("exit 5\r")
        terminal.finish(5)
    require(not box.names(), box.names())


def case_detach_and_attach(box):
    with Terminal(box, "run", "-it", "--name", "tty", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("\x10\x11")
        terminal.expect("detached")
        terminal.finish(0)
    with Terminal(box, "attach", "tty") as terminal:
        terminal.send("echo back''again\r")
        terminal.expect("backagain")
        terminal.send("exit 6\r")
        terminal.finish(6)
    with Terminal(box, "run", "-it", "--rm", "--detach-keys", "x", "--name", "other", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("x")
        terminal.expect("detached")
        terminal.finish(0)
    box.husk("rm", "-f", "tty", "other")


def case_terminal_in_exec(box):
    name = box.detached("busybox", "sleep", "1000")
    with Terminal(box, "exec", "-it", name, "sh") as terminal:
        terminal.expect("# ")
        terminal.send("tty; exit 4\r")
        terminal.expect("/dev/pts/")
        terminal.finish(4)
    box.husk("rm", "-f", name)


def case_terminal_is_restored(box):
    """Whatever ends the command."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with Terminal(box, "run", "-it", "--name", "t", "busybox", "sh") as terminal:
            terminal.expect("# ")
            terminal.process.send_signal(number)
            terminal.finish(128 + number)
        require("Up" in box.husk("ps"), "the container goes on")
        box.husk("rm", "-f", "t")


def case_signals(box):
    script = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.1; done"
    with box.start("run", "--rm", "busybox", "sh", "-c", script) as process:
        require(process.stdout.readline() == b"ready\n", "ready")
        process.send_signal(signal.SIGUSR1)
        require(process.stdout.readline() == b"got\n", "got")
        require(process.wait(boxes.PATIENCE_S) == 9, process.returncode)
    # Not sent on: the command ends, the container does not.
    with box.start("run", "--sig-proxy=false", "--name", "s", "busybox", "sh", "-c", script) as process:
        require(process.stdout.readline() == b"ready\n", "ready")
        process.send_signal(signal.SIGTERM)
        require(process.wait(boxes.PATIENCE_S) in (143, -15), process.returncode)
    require("Up" in box.husk("ps"), "the container goes on")
    box.husk("rm", "-f", "s")


def case_broken_pipe(box):
    """A reader that goes away ends what writes."""
    line = shlex.join(box.command("run", "--rm", "busybox", "yes")) + " | head -n 1"
    done = subprocess.run(["sh", "-c", line], env=box.environment, capture_output=True, timeout=boxes.PATIENCE_S,
                          check=False)
    require(done.stdout == b"y\n" and not done.stderr, done)
    box.wait_for("its end", lambda: not box.names())


def case_stop(box):
    name = box.detached("busybox", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done")
    box.wait_for("the trap", lambda: "up" in box.husk("logs", name))
    require(box.husk("stop", name).strip() == name, "stop")
    require(box.husk("logs", name) == "up\nbye\n", "logs")
    require(box.husk("wait", name).strip() == "3", "status")
    box.husk("stop", name)  # once more is fine
    box.husk("rm", name)
    # One that does not listen, by its own settings.
    name = box.detached("--stop-signal", "USR2", "--stop-timeout", "0", "busybox", "sleep", "1000")
    box.husk("stop", name)
    require(box.husk("wait", name).strip() == "137", "by force")
    box.husk("rm", name)


def case_timeout(box):
    started = time.monotonic()
    box.run("--rm", "--timeout", "1s", "busybox", "sleep", "1000", status=137, errors="")
    require(time.monotonic() - started >= 1, "too early")


def case_logs(box):
    script = "i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; printf 'no newline'"
    name = box.detached("busybox", "sh", "-c", script)
    box.husk("wait", name)
    lines = box.husk("logs", name).splitlines()
    require(lines == [f"line {i}" for i in range(50)] + ["no newline"], lines)
    require(box.husk("logs", "-n", "2", name).splitlines() == ["line 49", "no newline"], "tail")
    require(box.husk("logs", "--tail", "0", name) == "", "tail 0")
    stamped = box.husk("logs", "-t", "-n", "1", name)
    require(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z no newline", stamped), stamped)
    require(box.husk("logs", "--since", "2000-01-01", name).splitlines() == lines, "since long ago")
    require(box.husk("logs", "--since", "2999-01-01T00:00:00Z", name) == "", "since the future")
    box.husk("rm", name)
    # Followed to the end.
    name = box.detached("busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done")
    require(box.husk("logs", "-f", name).split() == ["1", "2", "3", "4", "5"], "logs -f")
    box.husk("rm", name)


def case_top(box):
    name = box.detached("-u", "user", "busybox", "sh", "-c", "sleep 999 & sleep 1000")
    box.wait_for("both", lambda: box.husk("top", name).count("sleep") >= 2)
    lines = box.husk("top", name).splitlines()
    require(lines[0].split() == ["PID", "USER", "STATE", "CPU", "AGE", "MEMORY", "COMMAND"], lines)
    require(any(line.split()[:2] == ["1", "1000"] for line in lines), lines)
    box.husk("rm", "-f", name)
    box.refuse(name, "top", name)


def case_copy(box):
    name = box.detached("busybox", "sleep", "1000")
    source = box.top / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_bytes(os.urandom(300000))
    (source / "below/script").write_text("#!/bin/sh\necho ran\n")
    (source / "below/script").chmod(0o4755)
    (source / "link").symlink_to("file")
    box.husk("cp", source, f"{name}:/tmp")  # into a directory
    box.husk("cp", source, f"{name}:/tmp/other")  # as it
    for way in ("/tmp/source", "/tmp/other"):
        require(box.husk("exec", name, f"{way}/below/script") == "ran\n", way)
        require(box.husk("exec", name, "sh", "-c", f"cd {way}; ls; wc -c < file; readlink link").split() ==
                ["below", "file", "link", "300000", "file"], way)
    box.husk("cp", source / "file", f"{name}:/tmp/renamed")
    box.husk("cp", f"{name}:/tmp/renamed", box.top / "back")
    require((box.top / "back").read_bytes() == (source / "file").read_bytes(), "a file")
    target = box.top / "target"
    target.mkdir()
    box.husk("cp", f"{name}:/tmp/source", target)
    box.husk("cp", f"{name}:/tmp/source", box.top / "fresh")
    for copy in (target / "source", box.top / "fresh"):
        require((copy / "file").read_bytes() == (source / "file").read_bytes(), copy)
        require(os.readlink(copy / "link") == "file", copy)
        require((copy / "below/script").stat().st_mode & 0o7777 == 0o755, copy)
    with box.start("cp", f"{name}:/tmp/source", "-") as process:
        out, err = process.communicate(timeout=boxes.PATIENCE_S)
    require(not err and b"source/below/script" in out, err)
    with box.start("cp", "-", f"{name}:/data", stdin=subprocess.PIPE) as process:
        process.communicate(out, timeout=boxes.PATIENCE_S)
    require(process.returncode == 0 and box.husk("exec", name, "/data/source/below/script") == "ran\n", "stdin")
    for words in ((f"{name}:/no/such", target), ("/no/such", f"{name}:/tmp"), (f"{name}:/tmp/renamed", "/no/such/dir/x"),
                  (source / "file", f"{name}:/tmp/renamed/below")):
        with box.start("cp", *words) as process:
            err = process.communicate(timeout=boxes.PATIENCE_S)[1].decode()
        require(process.returncode == 125 and err.startswith("husk: ") and err.count("\n") == 1, (words, err))
    # What a container does to mislead: links out of the target.
    box.husk("exec", name, "sh", "-c", "mkdir /tmp/bad; ln -s /tmp /tmp/bad/out; ln -s / /tmp/rootlink")
    box.husk("cp", f"{name}:/tmp/bad", box.top / "bad")
    require(os.readlink(box.top / "bad/out") == "/tmp", "a link stays one")
    box.husk("rm", "-f", name)


def case_pause(box):
    name = box.detached("busybox", "sh", "-c", "while :; do echo tick; sleep 0.1; done")
    box.wait_for("ticks", lambda: "tick" in box.husk("logs", name))
    box.husk("pause", name)
    require("(paused)" in box.husk("ps"), "ps")
    before = box.husk("logs", name)
    time.sleep(0.5)
    require(box.husk("logs", name) == before, "it goes on while paused")
    box.husk("resume", name)
    box.wait_for("more ticks", lambda: len(box.husk("logs", name)) > len(before))
    box.husk("rm", "-f", name)


def case_init(box):
    require(box.run("--rm", "--init", "busybox", "sh", "-c", "cat /proc/1/comm; echo $PPID; exit 7", status=7,
                    errors="") == "init\n1\n", "who is the first")
    box.run("--rm", "--init", "busybox", "/bin/missing", status=127, errors="missing")
    box.run("--rm", "--init", "busybox", "/etc/not-executable", status=126, errors="not-executable")
    require(box.run("-i", "--rm", "--init", "busybox", "cat", data=b"through") == "through", "stdin")
    # A program that neither reaps nor handles signals, which as the first process would not get them.
    name = box.detached("--init", "busybox", "sleep", "1000")
    box.husk("exec", name, "sh", "-c", "(sleep 0.1 & sleep 0.1 &); sh -c 'sleep 0.1 & exec true'")

    def states():
        return [line.split()[2] for line in box.husk("top", name).splitlines()[1:]]

    box.wait_for("orphans to be reaped", lambda: len(states()) == 2 and "Z" not in states())
    box.husk("stop", "-t", "1000", name)
    require(box.husk("wait", name) == "143\n", "it ends by the signal that it was sent")
    box.husk("rm", name)
    with box.start("run", "--rm", "--init", "busybox", "sh", "-c",
                   "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.1; done") as process:
        require(process.stdout.readline() == b"ready\n", "ready")
        process.send_signal(signal.SIGUSR1)
        require(process.stdout.readline() == b"got\n" and process.wait(boxes.PATIENCE_S) == 9, process.returncode)
    with Terminal(box, "run", "-it", "--rm", "--init", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("sh -c 'echo go''ing; exec sleep 1000'\r")
        terminal.expect("going")
        terminal.send("\x03")
        terminal.expect("# ")
        terminal.send("exit 5\r")
        terminal.finish(5)
    require(not box.names(), box.names())


def case_create_and_start(box):
    made = box.husk("create", "--name", "c", "-e", "A=1", "busybox", "sh", "-c", "echo $A $FROM_IMAGE; exit 4")
    require(re.fullmatch("[0-9a-f]{64}\n", made) and box.inspect("c")["id"] == made.strip(), made)
    require(box.inspect("c")["state"]["status"] == "created" and not box.husk("ps", "-q"), "created")
    require(" Created" in box.husk("ps", "-a") and box.husk("ps", "-q", "-f", "status=created"), "ps -a")
    for words in (("exec", "c", "true"), ("attach", "c"), ("kill", "c"), ("wait", "c"), ("top", "c"), ("pause", "c"),
                  ("update", "-m", "64M", "c")):
        box.refuse("it was not started", *words, status=125)
    require(box.husk("logs", "c") == "" and box.husk("stop", "c") == "c\n", "nothing to say, nothing to end")
    require(box.inspect("c")["state"]["status"] == "created", "still")
    require(box.husk("start", "c") == "c\n", "start")
    require(box.husk("wait", "c") == "4\n" and box.husk("logs", "c") == "1 yes\n", "its output")
    # Once more, and by the beginning of its id; the log goes on.
    require(box.husk("start", "-a", made[:8], status=4) == "1 yes\n", "start -a")
    require(box.husk("logs", "c") == "1 yes\n1 yes\n", "logs of both")
    box.husk("rm", "c")
    box.husk("create", "--name", "c", "busybox", "true")
    require(box.husk("rm", "c") == "c\n", "one that was never started")
    box.husk("create", "--name", "c", "--rm", "busybox", "sh", "-c", "exit 3")
    require(box.names() == ["c"], "it removes itself when it has ended only")
    box.husk("start", "-a", "c", status=3)
    box.wait_for("its removal", lambda: not box.names())


def case_start_with_input(box):
    box.husk("create", "-i", "--name", "cat", "busybox", "cat")
    for _ in range(2):
        require(box.husk("start", "-ai", "cat", data=b"through") == "through", "start -ai")
    box.husk("rm", "cat")
    box.husk("create", "--name", "wc", "busybox", "wc", "-c")
    require(box.husk("start", "-i", "wc", data=b"12345").strip() == "0", "it was made without -i")
    box.husk("rm", "wc")
    box.husk("create", "-it", "--name", "tty", "busybox", "sh")
    box.refuse("is none", "start", "-ai", "tty")
    with Terminal(box, "start", "-ai", "tty") as terminal:
        terminal.expect("# ")
        terminal.send("tty; exit 5\r")
        terminal.expect("/dev/pts/")
        terminal.finish(5)
    box.husk("rm", "tty")


def case_start_of_what_runs_or_cannot(box):
    name = box.detached("busybox", "sleep", "1000")
    require(box.husk("start", name) == f"{name}\n", "as it is")
    box.refuse("husk attach", "start", "-a", name)
    box.refuse("no-such", "start", "no-such", status=125)
    box.husk("kill", name)
    require(box.husk("wait", name) == "137\n", "wait")
    # Several; what is wrong with one does not keep the other from its turn.
    box.husk("create", "--name", "missing", "busybox", "/bin/missing")
    for _ in range(2):
        out = box.husk("start", "missing", name, status=127, errors="missing")
        require(out == f"{name}\n" and box.inspect("missing")["state"]["exit"]["status"] == 127, out)
    require("Up" in box.husk("ps"), "the other one runs")
    os.kill(box.inspect(name)["state"]["supervisor"]["pid"], signal.SIGKILL)
    box.wait_for("its end", lambda: "Exited (255)" in box.husk("ps", "-a"))
    box.husk("start", name)
    state = box.inspect(name)["state"]
    require(state["status"] == "running" and not state["error"] and "exit" not in state, state)
    box.husk("rm", "-f", name, "missing")


def case_start_copies_once_it_starts(box):
    source = box.top / "to copy"
    source.mkdir()
    box.husk("create", "--name", "c", "-v", f"{source}:/data/in", "busybox", "cat", "/data/in/file")
    (source / "file").write_text("written after create\n")
    require(box.husk("start", "-a", "c") == "written after create\n", "what is there at the start")
    box.husk("rm", "c")
    box.husk("create", "--name", "c", "-v", f"{source}:/data/in", "busybox", "true")
    (source / "file").unlink()
    source.rmdir()
    for _ in range(2):
        box.refuse("to copy", "start", "c")
    require(box.inspect("c")["state"]["status"] == "exited", "it is over")
    box.husk("rm", "c")


def case_restart(box):
    script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    name = box.detached("busybox", "sh", "-c", script)
    box.wait_for("the trap", lambda: "up" in box.husk("logs", name))
    before = box.inspect(name)["state"]
    require(box.husk("restart", name) == f"{name}\n", "restart")
    after = box.inspect(name)["state"]
    require(after["status"] == "running" and after["supervisor"] != before["supervisor"], (before, after))
    box.wait_for("its second start", lambda: box.husk("logs", name) == "up\nbye\nup\n")
    box.husk("restart", "-t", "0", name)
    box.husk("stop", "-t", "0", name)
    box.husk("restart", name)  # one that has ended
    require("Up" in box.husk("ps"), "it runs")
    box.husk("rm", "-f", name)
    name = box.detached("--rm", "busybox", "sleep", "1000")
    box.refuse("removes itself", "restart", name)
    require("Up" in box.husk("ps"), "left alone")
    box.husk("rm", "-f", name)


def case_update(box):
    """Limits in place; this host's cgroups may lack the controllers, which the agent says by name."""
    name = box.detached("busybox", "sleep", "1000")
    for words, field in ((("-m", "64M"), "memory.limit"), (("--cpus", "0.5"), "cpu.quota"),
                         (("--pids-limit", "50"), "pids.limit"), (("--pids-limit=-1",), "pids.limit")):
        with box.start("update", *words, name) as process:
            out, err = process.communicate(timeout=boxes.PATIENCE_S)
        if process.returncode:
            require(not out and f"resources.{field}: cannot be set: this kernel has no" in err.decode(), (words, err))
        else:
            require(out.decode() == f"{name}\n" and not err, (words, out, err))
    require(box.inspect(name)["state"]["status"] == "running", "it goes on")
    box.husk("kill", name)
    box.husk("wait", name)
    box.refuse("it has ended", "update", "-m", "64M", name)
    box.husk("rm", name)


def case_wrong_words(box):
    refuse = box.refuse
    refuse("--bogus", "run", "--bogus", "busybox")
    refuse("wants an image", "run", "--rm")
    refuse("belongs to the form", "run", "--rm", "-k", "vmlinux", "busybox")
    refuse("--memory", "run", "-m", "12x", "busybox")
    refuse("--cpus", "run", "--cpus", "none", "busybox")
    refuse("--env", "run", "-e", "=x", "busybox")
    refuse("--volume", "run", "-v", "relative", "busybox")
    refuse("/no/such", "run", "-v", "/no/such:/x", "busybox")
    refuse("--network", "run", "--network", "bridge", "busybox")
    refuse("--cap-add", "run", "--cap-add", "NOTHING", "busybox")
    refuse("--pull", "run", "--pull", "maybe", "busybox")
    refuse("--name", "run", "--name", "../x", "busybox")
    refuse("is no terminal", "run", "-it", "busybox")
    refuse("nothing", "run", "--pull", "never", "nothing")
    refuse("none of that", "exec", "none of that", "true")
    refuse("wants", "exec", "x")
    refuse("--detach: unknown", "create", "--detach", "busybox", status=119)
    refuse("--volume", "create", "-v", "relative", "busybox")
    refuse("want one", "start", "-a", "x", "y")
    refuse("wants the containers", "start")
    for verb in ("stop", "kill", "wait", "rm", "inspect", "logs", "pause", "resume", "restart"):
        refuse("no-such", verb, "no-such", status=125)
        refuse("wants", verb, status=119)
    refuse("-s: NOTHING", "kill", "-s", "NOTHING", "x", status=119)
    refuse("-n: -1", "logs", "-n", "-1", "x", status=119)
    refuse("--since", "logs", "--since", "yesterday", "x", status=119)
    refuse("-f: x=y", "ps", "-f", "x=y", status=119)
    refuse("--format", "ps", "--format", "xml", status=119)
    refuse("at least one limit", "update", "x", status=119)
    for words in (("a", "b"), ("a:/b", "c:/d"), ("x:relative", "y"), ("./a:/b", "c")):
        refuse("CONTAINER:PATH", "cp", *words, status=119)


def case_help(box):
    for verb in ("run", "create", "start", "restart", "ps", "logs", "exec", "attach", "stop", "kill", "wait", "rm", "inspect", "stats", "top", "cp", "pause",
                 "resume", "update"):
        for words in (("help", verb), (verb, "--help")):
            require(f"husk {verb} " in box.husk(*words), words)


def case_killed_supervisor(box):
    name = box.detached("busybox", "sleep", "1000")
    os.kill(box.inspect(name)["state"]["supervisor"]["pid"], signal.SIGKILL)
    box.wait_for("its end", lambda: "Exited (255)" in box.husk("ps", "-a"))
    box.husk("rm", name)
    require(not box.names(), box.names())


def all_cases(only=None):
    return [(name[5:].replace("_", " "), function) for name, function in globals().items()
            if name.startswith("case_") and (not only or name[5:] in only)]
