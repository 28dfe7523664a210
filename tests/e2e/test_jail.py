#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk jail: what the program in it finds, what an attacker beside it gains, and what a failure leaves.

Everything is made below a directory of the test's own and, where it can be written, below a cgroup of the
test's own; needs root. The registry is the host's, /run/husk, in a mount namespace of the test's own.
"""
import contextlib
import errno
import fcntl
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

import e2e
import traced

BUILT = pathlib.Path(os.environ.get("JAIL_REPORT", "jail-report"))
# A name of this run's: a jail's files and control group are called after its program.
REPORT = pathlib.Path(f"{BUILT.name}-{os.getpid()}")  # below TOP, by main
UID, GID = 4711, 4712
# System calls: close, brk, getpid, geteuid; umount2; setgroups, setresuid, setresgid.
NEVER_FAIL, UMOUNT2, SET_USER = (3, 12, 39, 107), 166, (116, 117, 119)
IN_NAMESPACE = "HUSK_JAIL_IN_NAMESPACE"
CGROUPS = next((path for path in (pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified"))
                if (path / "cgroup.procs").exists() and (path / "cgroup.controllers").exists()), None)
TOP = pathlib.Path(".")  # set by main
numbers = iter(range(1, 1 << 30))


def fresh(name="base"):
    path = TOP / f"{name}{next(numbers)}"
    path.mkdir()
    return path


def command(base, *options, jail_id="vm", program=None, uid=UID, gid=GID, arguments=()):
    return [e2e.HUSK, "jail", "--id", jail_id, "--exec-file", str(program or REPORT), "--uid", str(uid), "--gid", str(gid),
            "--chroot-base-dir", str(base), *options, "--", *arguments]


def jail(*arguments, prefix=(), **options):
    return subprocess.run([*prefix, *command(*arguments, **options)], check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=e2e.PATIENCE_S)


def parse(text):
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def reported(result):
    e2e.require(result.returncode == 42, f"ended with {result.returncode}: {result.stderr!r}")
    return parse(result.stdout.decode())


def wait_report(root):
    deadline = time.monotonic() + e2e.PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            text = (root / "report").read_text()
            if text.endswith("end \n"):
                return parse(text)
        time.sleep(0.01)
    raise e2e.Failure("the program in the jail does not report")


def equal(found, expected, what):
    e2e.require(found == expected, f"{what}: {found!r}, not {expected!r}")


def one_line(result, status, *texts):
    said = result.stderr.decode()
    equal(result.returncode, status, f"exit status ({said!r})")
    e2e.require(said.startswith("husk: ") and said.count("\n") == 1 and said.endswith("\n"), f"said {said!r}")
    e2e.require(not result.stdout, f"standard output has {result.stdout!r}")
    for text in texts:
        e2e.require(str(text) in said, f"no {str(text)!r} in {said!r}")
    return said


def tree(path):
    return sorted((str(entry), entry.lstat().st_mode, entry.lstat().st_uid) for entry in path.rglob("*"))


def registry():
    path = pathlib.Path("/run/husk")
    return sorted(entry.name for entry in path.iterdir()) if path.exists() else []


def remove_stale_cgroups():
    """What a killed run of this test has left."""
    for path in [*CGROUPS.glob("husk-jail-test-*"), *CGROUPS.glob(f"{BUILT.name}*")] if need_cgroups() else ():
        owner = path.name.rsplit("-", 1)[1]
        if not owner.isdigit() or not pathlib.Path(f"/proc/{owner}").exists():
            subprocess.run(["find", path, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], check=False,
                           stderr=subprocess.DEVNULL)


def need_cgroups():
    if CGROUPS is None or not os.access(CGROUPS, os.W_OK):
        return False
    return True


# ---- what the program finds ----

def test_inside():
    base = fresh()
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    fd = fcntl.fcntl(write_end, fcntl.F_DUPFD, 200)
    try:
        result = subprocess.run(command(base, arguments=["--a", "b c", ""]), check=False, close_fds=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    finally:
        for end in (read_end, write_end, fd):
            os.close(end)
    found = reported(result)
    equal(found["descriptors"], [""], "open descriptors")
    equal(found["uid"], [f"{UID} {UID} {UID}"], "uid")
    equal(found["gid"], [f"{GID} {GID} {GID}"], "gid")
    equal(found["groups"], ["0"], "supplementary groups")
    equal(found["capabilities"], ["0"], "capabilities")
    equal(found["bounding"], ["0"], "bounding set")
    equal(found["no_new_privs"], ["1"], "no_new_privs")
    equal(found["environment"], ["0"], "environment")
    equal(found["cwd"], ["/"], "working directory")
    equal(found["above_is_root"], ["1"], "what is above /")
    equal(found["mknod"], [str(errno.EPERM)], "mknod")
    equal(found["chroot"], [str(errno.EPERM)], "chroot")
    equal(found["setuid"], [str(errno.EPERM)], "setuid")
    equal(found["sigpipe_default"], ["1"], "SIGPIPE")
    equal(found["blocked"], ["0"], "blocked signals")
    equal(found["limit"][0], "nofile 2048 2048", "limit")
    arguments = found["argument"]
    equal(arguments[:4], [f"/{REPORT.name}", "--id", "vm", "--start-time-us"], "first arguments")
    equal(arguments[5::2][:2], ["--start-time-cpu-us", "--parent-cpu-time-us"], "times")
    e2e.require(all(arguments[at].isdigit() for at in (4, 6, 8)), f"times: {arguments}")
    equal(arguments[9:], ["--a", "b c", ""], "the user's arguments")
    files = {line.split()[0]: line.split()[1:] for line in found["file"]}
    expected = {"/dev", "/dev/net", "/dev/kvm", "/dev/net/tun", "/dev/urandom", "/run", "/report",
                f"/{REPORT.name}", f"/{REPORT.name}.pid"}
    if os.path.exists("/dev/userfaultfd"):
        expected.add("/dev/userfaultfd")
    equal(set(files), expected, "files")
    equal(files["/dev/kvm"], ["20600", str(UID), str(GID), "10:232"], "/dev/kvm")
    equal(files["/dev/net/tun"], ["20600", str(UID), str(GID), "10:200"], "/dev/net/tun")
    equal(files["/dev/urandom"], ["20600", str(UID), str(GID), "1:9"], "/dev/urandom")
    equal(files[f"/{REPORT.name}"][0], "100500", "the program's mode")
    opened = dict(line.split() for line in found["open"])
    equal(opened["/dev/urandom"], "0", "opening /dev/urandom")
    if os.path.exists("/dev/kvm"):
        equal(opened["/dev/kvm"], "0", "opening /dev/kvm")
    root = base / REPORT.name / "vm" / "root"
    equal((root / f"{REPORT.name}.pid").read_text(), found["pid"][0], "the pid file")
    equal(stat.S_IMODE(root.stat().st_mode), 0o700, "mode of the root directory")
    equal(registry(), [], "registry")


def test_limits():
    base = fresh()
    found = reported(jail(base, "--resource-limit", "fsize=1000000", "--resource-limit", "no-file=300"))
    equal(found["limit"], ["nofile 300 300", "fsize 1000000 1000000"], "limits")


def test_netns():
    base = fresh()
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE) as holder:
        try:
            holder.stdout.readline()
            netns = TOP / "netns"
            netns.symlink_to(f"/proc/{holder.pid}/ns/net")
            found = reported(jail(base, "--netns", str(netns)))
            equal(found["interface"], ["lo"], "interfaces")
        finally:
            holder.kill()
    netns.unlink()
    one_line(jail(base, "--netns", "/nonexistent/ns", jail_id="vm2"), e2e.MONITOR_ERROR, "/nonexistent/ns",
             "network namespace")
    one_line(jail(base, "--netns", "/proc/self/ns/uts", jail_id="vm2"), e2e.MONITOR_ERROR, "ns/uts", "not one")
    one_line(jail(base, "--netns", "/etc/passwd", jail_id="vm2"), e2e.MONITOR_ERROR, "/etc/passwd")
    e2e.require(not (base / REPORT.name / "vm2").exists(), "a jail is left")


def test_background():
    for options in (["--daemonize"], ["--new-pid-ns"], ["--daemonize", "--new-pid-ns"]):
        base = fresh()
        root = base / REPORT.name / "vm" / "root"
        # Without --daemonize the program keeps its streams: a pipe would not end with the parent.
        with tempfile.TemporaryFile() as errors:
            result = subprocess.run(command(base, *options, arguments=["--wait"]), check=False, stderr=errors,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=e2e.PATIENCE_S)
            errors.seek(0)
            equal((result.returncode, errors.read()), (0, b""), f"{options}: end of the parent")
        pid = int((root / f"{REPORT.name}.pid").read_text())
        try:
            found = wait_report(root)
            new_pid_ns = "--new-pid-ns" in options
            equal(found["pid"], ["1" if new_pid_ns else str(pid)], f"{options}: pid inside")
            if "--daemonize" in options:
                equal(found["stream"], [f"{fd} 20000 1:3" for fd in range(3)], f"{options}: standard streams")
                e2e.require(os.getsid(pid) != os.getsid(0), f"{options}: still in our session")
            equal(os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"), new_pid_ns,
                  f"{options}: pid namespace")
            equal(os.readlink(f"/proc/{pid}/exe"), f"/{REPORT.name}", f"{options}: program")
            equal(found["descriptors"], [""], f"{options}: open descriptors")
            equal(found["capabilities"], ["0"], f"{options}: capabilities")
        finally:
            os.kill(pid, signal.SIGKILL)
        equal(registry(), [], "registry")


def test_cgroup():
    if not need_cgroups():
        print("skipped: test_cgroup: no writable cgroup version 2")
        return
    base, parent = fresh(), f"husk-jail-test-{os.getpid()}"
    group = CGROUPS / parent / "sub" / "vm"
    result = jail(base, "--daemonize", "--cgroup-version", "2", "--cgroup", "cgroup.max.depth=3", "--cgroup",
                  "cgroup.max.descendants=5", "--parent-cgroup", f"{parent}/sub", arguments=["--wait"])
    equal((result.returncode, result.stderr), (0, b""), "end of the parent")
    root = base / REPORT.name / "vm" / "root"
    pid = int((root / f"{REPORT.name}.pid").read_text())
    try:
        equal((group / "cgroup.procs").read_text(), f"{pid}\n", "processes in the cgroup")
        equal((group / "cgroup.max.depth").read_text(), "3\n", "cgroup.max.depth")
        equal((group / "cgroup.max.descendants").read_text(), "5\n", "cgroup.max.descendants")
        one_line(jail(base, "--cgroup", "cgroup.max.depth=3", "--parent-cgroup", f"{parent}/sub", jail_id="vm",
                      program=shutil.copy(REPORT, TOP / "other")), e2e.MONITOR_ERROR, group, "already")
        e2e.require(not (base / "other").exists(), "a jail is left")
        # Without a value of its own: into the parent, which must be there.
        found = reported(jail(base, "--parent-cgroup", f"{parent}/sub/vm", jail_id="joins"))
        e2e.require(found, "no report")
        one_line(jail(base, "--parent-cgroup", f"{parent}/none", jail_id="not"), e2e.MONITOR_ERROR, f"{parent}/none")
    finally:
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + e2e.PATIENCE_S
        while "populated 1" in (group / "cgroup.events").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        for path in (group, group.parent, group.parent.parent):
            path.rmdir()
    before = tree(base)
    for options, texts in (
            (["--cgroup", "nosuch.max=1"], ("nosuch", "cgroup.subtree_control")),
            (["--cgroup", "cgroup.max.depth=many"], ("cgroup.max.depth", "does not take")),
            (["--cgroup", "cgroup.nosuch=1"], ("cgroup.nosuch",)),
            (["--cgroup", "cgroup.max.depth=1", "--parent-cgroup", "../x"], ("../x",)),
            (["--cgroup", "cgroup.max.depth=1", "--parent-cgroup", "/x"], ("/x",))):
        one_line(jail(base, *options, jail_id="bad"), e2e.MONITOR_ERROR, *texts)
        equal(tree(base), before, f"{options}: files")
        e2e.require(not (CGROUPS / REPORT.name).exists(), f"{options}: a cgroup is left")
    equal(registry(), [], "registry")


# ---- what is refused ----

def test_flags():
    base = fresh()
    good = ["--id", "x", "--exec-file", str(REPORT), "--uid", "1", "--gid", "1"]
    cases = [(good[2:], "--id: is required"), (good[:2] + good[4:], "--exec-file: is required"),
             (good[:4] + good[6:], "--uid: is required"), (good[:6], "--gid: is required"),
             (good + ["stray"], "stray: unexpected"), (good + ["--bogus"], "--bogus: unknown"),
             (good + ["--daemonize=1"], "takes no value"), (good + ["--netns"], "--netns: wants a value"),
             (good + ["--id", "y"], "--id: given twice"), (good + ["--netns", ""], "--netns: is empty"),
             (good + ["--chroot-base-dir", "relative"], "absolute path"),
             (good + ["--chroot-base-dir", ""], "is empty"),
             (good + ["--cgroup-version", "1"], "only version 2"),
             (good + ["--cgroup-version", "3"], "wants 2")]
    cases += [(["--id", value, *good[2:]], "1 to 64 of A-Z a-z 0-9 -")
              for value in ("", "a_b", "a/b", "..", "x" * 65, "a\nb", "ä")]
    cases += [([*good[:at + 1], value, *good[at + 2:]], reason) for at in (4, 6) for value, reason in (
        ("0", "root's"), ("-1", "wants a number"), ("4294967295", "wants a number"), ("nobody", "wants a number"),
        ("", "wants a number"))]
    cases += [(good + ["--cgroup", value], "wants FILE=VALUE")
              for value in ("", "x", "memory.max", "memory.max=", "=1", "memory=1", ".max=1", "memory.=1",
                            "../memory.max=1", "a/b.c=1")]
    cases += [(good + ["--resource-limit", value], reason) for value, reason in (
        ("", "wants fsize="), ("nproc=1", "wants fsize="), ("fsize=", "wants a number"), ("fsize=-1", "wants a number"),
        ("fsize=1G", "wants a number"), ("no-file=", "wants 64"), ("no-file=3", "wants 64"),
        ("no-file=99999999999999999999", "wants 64"))]
    cases += [(good + ["--cgroup", "memory.max=1"] * 65, "at most 64")]
    for arguments, text in cases:
        result = subprocess.run([e2e.HUSK, "jail", *arguments], check=False, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=base)
        one_line(result, e2e.USAGE, text, "husk help jail")
    equal(tree(base), [], "files")


def test_unprivileged():
    base = fresh()
    os.chown(base, 65534, 65534)
    one_line(jail(base, prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]),
             e2e.MONITOR_ERROR, "only root")
    equal(tree(base), [], "files")


def test_programs():
    base, place = fresh(), fresh("programs")
    (place / "script").write_text("#!/bin/sh\n")
    (place / "script").chmod(0o755)
    (place / "empty").touch(0o755)
    (place / "plain").write_bytes(REPORT.read_bytes())
    (place / "plain").chmod(0o644)
    (place / "dangling").symlink_to("nowhere")
    (place / "directory").mkdir()
    os.mkfifo(place / "fifo", 0o755)
    damaged = bytearray(REPORT.read_bytes())
    damaged[0x20:0x28] = b"\xff" * 7 + b"\x7f"
    (place / "damaged").write_bytes(damaged)
    (place / "damaged").chmod(0o755)
    for name in ("dev", "run"):
        shutil.copy(REPORT, place / name)
    cases = [(place / "script", "interpreter"), (place / "empty", "not an ELF"), (place / "plain", "not executable"),
             (place / "dangling", "No such file"), (place / "directory", "not a regular file"),
             (place / "fifo", "not a regular file"), (place / "nowhere", "No such file"),
             (place / "damaged", "damaged"), (f"{place}/directory/.", "file's name"),
             (f"{place}/script/", "file's name"),
             ("/", "file's name"), ("/bin/true", "dynamically linked"), (place / "dev", "root/dev"),
             (place / "run", "root/run")]
    for program, text in cases:
        name = pathlib.Path(program).name if text.startswith("root/") else program
        one_line(jail(base, program=program), e2e.MONITOR_ERROR, name, text)
        equal(tree(base), [], f"{program}: files")
    equal(registry(), [], "registry")


def test_the_program_is_a_copy():
    """Neither a link's name, nor another name of the file, lets the jail change the original."""
    base, place = fresh(), fresh("programs")
    program = pathlib.Path(shutil.copy(REPORT, place / "program"))
    os.link(program, place / "second")
    (place / "link").symlink_to("program")
    before = program.stat()
    for name in ("second", "link"):
        reported(jail(base, program=place / name))
        copy = base / name / "vm" / "root" / name
        e2e.require(copy.lstat().st_ino != before.st_ino and copy.read_bytes() == program.read_bytes(), "no copy")
    after = program.stat()
    equal((after.st_uid, after.st_mode, after.st_mtime_ns), (before.st_uid, before.st_mode, before.st_mtime_ns),
          "the original")


def test_id_in_use():
    base = fresh()
    reported(jail(base))
    before = tree(base)
    one_line(jail(base), e2e.MONITOR_ERROR, base / REPORT.name / "vm", "exists already")
    equal(tree(base), before, "files")
    # Together: one of them wins, and the others say so.
    base = fresh()
    running = [subprocess.Popen(command(base), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE) for _ in range(8)]
    ended = [(process.communicate(), process.returncode) for process in running]
    equal(sorted(status for _, status in ended), [42] + [e2e.MONITOR_ERROR] * 7, f"statuses of {ended}")
    e2e.require(all(b"exists already" in said for (_, said), status in ended if status != 42), f"said {ended}")
    equal(registry(), [], "registry")


def test_many_at_once():
    """Of several that make and unmake the same directories, none fails for it."""
    base = fresh() / "made" / "by" / "them"
    for _ in range(5):
        running = [subprocess.Popen(command(base, *options, jail_id=f"vm{number}"), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for number, options in enumerate([[], ["--cgroup", "nosuch.max=1"]] * 4)]
        for number, process in enumerate(running):
            _, said = process.communicate()
            equal(process.returncode, e2e.MONITOR_ERROR if number % 2 else 42, f"status ({said!r})")
        shutil.rmtree(base.parents[1])
    equal(registry(), [], "registry")


# ---- attacks ----

def victim():
    path = fresh("victim")
    (path / "precious").write_text("precious")
    os.chmod(path / "precious", 0o600)
    return path


def test_planted():
    """Something else at each place that the jail is to be made at: refused, untouched, nothing left."""
    def link(path, target):
        path.symlink_to(target)

    def hard_link(path, target):
        os.link(target / "precious", path)

    def fifo(path, _):
        os.mkfifo(path)

    def file(path, _):
        path.write_text("x")

    def dangling(path, target):
        path.symlink_to(target / "not" / "there")

    def socket_file(path, _):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))

    for plant in (link, hard_link, fifo, file, dangling, socket_file):
        for place in ("base", "base/below", f"base/{REPORT.name}", f"base/{REPORT.name}/vm"):
            top, target = fresh("planted"), victim()
            path = top / place
            path.parent.mkdir(parents=True, exist_ok=True)
            plant(path, target)
            base = top / "base" / "below" if place.endswith("below") else top / "base"
            before = tree(top), tree(target)
            one_line(jail(base), e2e.MONITOR_ERROR, path)
            equal((tree(top), tree(target)), before, f"{plant.__name__} at {place}: files")
    equal(registry(), [], "registry")


def test_base_of_others():
    for owner, mode, text in ((UID, 0o755, "does not belong to root"), (0, 0o777, "may write"),
                              (0, 0o775, None), (0, 0o1777, None)):
        top = fresh("others")
        os.chown(top, owner, -1)
        top.chmod(mode)
        result = jail(top / "base")
        if text:
            one_line(result, e2e.MONITOR_ERROR, top, text)
            equal(tree(top), [], "files")
        else:
            reported(result)
    top = fresh("others")
    os.chown(top, 0, GID)
    top.chmod(0o775)
    one_line(jail(top / "base"), e2e.MONITOR_ERROR, "may write")
    one_line(jail(f"{fresh()}/base/../up"), e2e.MONITOR_ERROR, "without ..")


def swap_for_ever(parent, target):
    """Puts a link to target in place of whatever appears in parent, and back."""
    names = ["vm", "root", "dev", "run", "net", REPORT.name]
    while True:
        for directory in (parent, parent / "vm", parent / "vm" / "root", parent / "vm" / "root" / "dev"):
            for name in names:
                path, aside = directory / name, directory / f".{name}"
                try:
                    os.rename(path, aside)
                    os.symlink(target, path)
                    os.unlink(path)
                    os.rename(aside, path)
                except OSError:
                    continue


def test_renames():
    """Root's own directory rearranged as fast as it goes: whatever happens, it happens inside of it."""
    base, target = fresh(), victim()
    parent = base / REPORT.name
    parent.mkdir()
    before = tree(target)
    racer = subprocess.Popen([sys.executable, __file__, "--swap", str(parent), str(target)],
                             env={**os.environ, IN_NAMESPACE: "1"})
    try:
        ended = {"made": 0, "refused": 0}
        for _ in range(200):
            result = jail(base)
            if result.returncode == 42:
                ended["made"] += 1
            else:
                one_line(result, e2e.MONITOR_ERROR)
                ended["refused"] += 1
            equal(tree(target), before, "the victim")
            for path in list(parent.iterdir()):
                with contextlib.suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    finally:
        racer.kill()
        racer.wait()
    print(f"   renames: {ended}")
    e2e.require(ended["refused"] > 0 or ended["made"] > 0, "nothing happened")


# ---- failures and kills at every system call ----

def is_finished(base, jail_id):
    """As it is when nobody will take it back: with its pid file, and given to its user."""
    root = base / REPORT.name / jail_id / "root"
    return (root / f"{REPORT.name}.pid").exists() and root.stat().st_uid == UID


def calls_of(base, *options):
    """How many system calls there are up to the execution of the program."""
    with open(os.devnull, "wb") as null:
        process = traced.Traced(command(base, *options, jail_id="count"), null.fileno())
        nth = process.run_to(0)
        process.kill()
        e2e.require(nth is None, "the counting run stopped early")
        counted = 0
        process = traced.Traced(command(base, *options, jail_id="count2"), null.fileno())
        counting = False
        while process.step():
            number = process.number()
            counting = counting or number == traced.CLOSE_RANGE
            if counting and number == traced.EXECVE:
                break
            counted += counting
            process.step()
        process.kill()
    e2e.require(counted > 50, f"only {counted} calls")
    return counted


def with_cgroup():
    if not need_cgroups():
        return [], None
    parent = f"husk-jail-test-{os.getpid()}"
    return ["--cgroup", "cgroup.max.depth=3", "--parent-cgroup", parent], CGROUPS / parent


def remove_cgroups(group):
    if group and group.exists():
        for path in [*group.iterdir(), group]:
            if path.is_dir():
                path.rmdir()


def test_killed_at_every_call():
    if e2e.is_sanitized():
        print("skipped: test_killed_at_every_call: a sanitizer is built in")
        return
    options, group = with_cgroup()
    count = calls_of(fresh(), *options)
    remove_cgroups(group)
    with open(os.devnull, "wb") as null:
        for nth in range(1, count + 1):
            base = fresh()
            process = traced.Traced(command(base / "made", *options), null.fileno())
            number = process.run_to(nth)
            process.kill()
            finished = is_finished(base / "made", "vm")
            # The next start sweeps; a jail that was not finished is as if it had never been.
            reported(jail(base / "made", *options, jail_id="next"))
            where = f"killed before call {nth} ({number})"
            left = (base / "made" / REPORT.name / "vm").exists()
            e2e.require(finished or not left, f"{where}: a jail is left: {tree(base)}")
            if not left:
                e2e.require(not group or not (group / "vm").exists(), f"{where}: a cgroup is left")
                reported(jail(base / "made", *options))
            equal(registry(), [], f"{where}: registry")
            remove_cgroups(group)
            shutil.rmtree(base)
    print(f"   killed at {count} system calls")


def test_failure_at_every_call():
    if e2e.is_sanitized():
        print("skipped: test_failure_at_every_call: a sanitizer is built in")
        return
    options, group = with_cgroup()
    count = calls_of(fresh(), *options)
    remove_cgroups(group)
    outcomes = {"refused": 0, "went on": 0}
    for nth in range(1, count + 1):
        base = fresh()
        with tempfile.TemporaryFile() as output:
            process = traced.Traced(command(base / "made", *options), output.fileno())
            number = process.run_to(nth)
            if number is None:
                break
            if number not in NEVER_FAIL:
                process.fail_with(errno.ENOSPC)
            status = process.finish()
            output.seek(0)
            said = output.read()
        where = f"call {nth} ({number}) failed"
        if status == 42:
            outcomes["went on"] += 1
        elif number not in SET_USER and b"cannot give up root's rights" in said and is_finished(base / "made", "vm"):
            outcomes["refused"] += 1  # an unprivileged user already, who can undo nothing
        else:
            outcomes["refused"] += 1
            equal(status, e2e.MONITOR_ERROR, f"{where}: status ({said!r})")
            e2e.require(said.startswith(b"husk: ") and said.count(b"\n") == 1, f"{where}: said {said!r}")
            if number == UMOUNT2 and registry():  # the old root lies on the directory: left to the next start
                reported(jail(base / "made", jail_id="next"))
                shutil.rmtree(base / "made" / REPORT.name / "next")
                equal(tree(base / "made" / REPORT.name), [], f"{where}: files after the next start")
            else:
                equal(tree(base), [], f"{where}: files ({said!r})")
            e2e.require(not group or not group.exists(), f"{where}: a cgroup is left")
        if registry() and status == 42:  # an empty entry: the next start removes it, and no jail
            reported(jail(base / "made", jail_id="next"))
            e2e.require(is_finished(base / "made", "vm"), f"{where}: a jail in use is gone")
        equal(registry(), [], f"{where}: registry ({said!r})")
        remove_cgroups(group)
        shutil.rmtree(base)
    print(f"   of {count} system calls that failed: {outcomes}")


def test_killed_in_the_background():
    """kill -9 of parent and child at random points."""
    rng = random.Random(4711)
    base = fresh()
    for number in range(40):
        process = subprocess.Popen(command(base, "--daemonize", "--new-pid-ns", jail_id=f"vm{number}"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.012))
        process.kill()
        process.wait()
    # A child that was left alone ends by itself; until then it may hold its entry.
    deadline = time.monotonic() + e2e.PATIENCE_S
    reported(jail(base, jail_id="next"))
    while registry() and time.monotonic() < deadline:
        reported(jail(base, jail_id=f"next{next(numbers)}"))
    equal(registry(), [], "registry")
    for path in (base / REPORT.name).iterdir():
        e2e.require(is_finished(base, path.name), f"{path} is left unfinished")


# ---- husk itself ----

class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=e2e.PATIENCE_S)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(path, method, resource, body=None):
    connection = UnixConnection(path)
    try:
        connection.request(method, resource, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def wait_gone(pid):
    """The process, which need not be a child of ours, has ended."""
    deadline = time.monotonic() + e2e.PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return
        if text.rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise e2e.Failure(f"process {pid} does not end")


def wait_socket(path, process):
    deadline = time.monotonic() + e2e.PATIENCE_S
    while time.monotonic() < deadline and process.poll() in (None, 0):
        with contextlib.suppress(OSError):
            return ask(path, "GET", "/")
        time.sleep(0.02)
    raise e2e.Failure("no control socket")


def boot_in_jail(root):
    """A bare-metal guest that ends by itself."""
    shutil.copy(e2e.GUESTS / "reset.elf", root / "kernel")
    os.chown(root / "kernel", UID, GID)
    for resource, body in (("/boot-source", {"kernel_image_path": "/kernel", "boot_args": "do=poweroff"}),
                           ("/actions", {"action_type": "InstanceStart"})):
        status, text = ask(root / "run/api.sock", "PUT", resource, body)
        equal(status, 204, f"PUT {resource} ({text})")


def check_husk(*options):
    program = pathlib.Path(e2e.HUSK).resolve().parent / "husk-firecracker"
    base = fresh()
    root = base / program.name / "vm" / "root"
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command(base, *options, program=program, arguments=["--api-sock", "run/api.sock"]),
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        pid = None
        try:
            status, text = wait_socket(root / "run/api.sock", process)
            equal((status, json.loads(text)["id"]), (200, "vm"), f"GET / ({text})")
            pid = int((root / f"{program.name}.pid").read_text())
            fields = dict(line.split(":", 1) for line in
                          pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
            equal(fields["Uid"].split(), [str(UID)] * 4, "uid")
            equal((fields["CapEff"].strip(), fields["CapBnd"].strip()), ("0" * 16, "0" * 16), "capabilities")
            equal({path.name for path in pathlib.Path(f"/proc/{pid}/root").iterdir()},
                  {"dev", "run", f"{program.name}.pid"}, "files inside")
            e2e.require(not os.path.samefile(f"/proc/{pid}/root", "/"), "its root is ours")
            if os.path.exists("/dev/kvm") and (e2e.GUESTS / "reset.elf").exists():
                boot_in_jail(root)
                wait_gone(pid)
                pid = None
                if not options:
                    equal(process.wait(e2e.PATIENCE_S), 0, "exit status")
            else:
                print("skipped: the guest in a jail: needs /dev/kvm and the guests")
        except e2e.Failure as failure:
            output.seek(0)
            raise e2e.Failure(f"{options}: {failure}: {output.read()!r}") from None
        finally:
            process.kill()
            process.wait()
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    equal(registry(), [], "registry")


def test_husk_itself():
    if subprocess.run([e2e.HUSK, "help", "serve"], check=False, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        print("skipped: test_husk_itself: this husk has no serve command")
        return
    for options in ([], ["--new-pid-ns"], ["--daemonize", "--new-pid-ns"]):
        check_husk(*options)


# ---- the test's own namespace ----

def enter_namespace():
    """/run is the test's own, so that no other owner's entries are seen or swept."""
    if os.geteuid() != 0:
        e2e.skip("needs root")
    if IN_NAMESPACE in os.environ:
        return
    if subprocess.run(["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        e2e.skip("needs a mount namespace of its own")
    os.environ[IN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                          'mount -t tmpfs none /run && exec "$@"', "sh", sys.executable, *sys.argv])


def main():
    global TOP, REPORT  # pylint: disable=global-statement
    if len(sys.argv) == 4 and sys.argv[1] == "--swap":
        swap_for_ever(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
        return
    enter_namespace()
    e2e.HUSK = shutil.which(e2e.HUSK) or e2e.HUSK
    # The leak detector reads /proc, which is not there any more when a jailed process ends.
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    with tempfile.TemporaryDirectory(prefix="husk-jail-") as top:
        TOP = pathlib.Path(top).resolve()
        TOP.chmod(0o755)
        REPORT = pathlib.Path(shutil.copy(BUILT, TOP / REPORT.name))
        remove_stale_cgroups()
        try:
            e2e.main({name: value for name, value in globals().items()
                      if not sys.argv[1:] or name in sys.argv[1:]})
        finally:
            remove_cgroups(with_cgroup()[1])  # of a case that failed
            remove_cgroups(CGROUPS / REPORT.name if need_cgroups() else None)


main()
