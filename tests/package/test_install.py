#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libhusk as its users get it: installed below a DESTDIR, found by pkg-config and by CMake, and driven
by the example node agent with bare-metal guests, in both modes.

Needs BUILD (the build directory), PREFIX, LIBDIR, BINDIR, LIBEXECDIR (as configured), SOURCE and
GUESTS in its environment, and CC.
"""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import e2e  # pylint: disable=wrong-import-position

BUILD, SOURCE = pathlib.Path(os.environ["BUILD"]), pathlib.Path(os.environ["SOURCE"])
PREFIX = os.environ["PREFIX"]
LIBDIR, LIBEXECDIR, BINDIR = os.environ["LIBDIR"], os.environ["LIBEXECDIR"], os.environ["BINDIR"]
GUESTS = pathlib.Path(os.environ["GUESTS"])
CC = os.environ.get("CC", "cc")
EXAMPLES = SOURCE / "docs/examples"
PATIENCE_S = 180

WORK = tempfile.TemporaryDirectory(prefix="husk-install-")
DEST = pathlib.Path(WORK.name) / "dest"
ROOT = DEST / PREFIX.lstrip("/")  # where the files of PREFIX are for now
TEMPORARY = pathlib.Path(WORK.name) / "tmp"
TEMPORARY.mkdir()
ENVIRONMENT = {
    **os.environ,
    "TMPDIR": str(TEMPORARY),
    "PKG_CONFIG_PATH": str(DEST / LIBDIR.lstrip("/") / "pkgconfig"),
    "PKG_CONFIG_SYSROOT_DIR": str(DEST),
    "LD_LIBRARY_PATH": str(DEST / LIBDIR.lstrip("/")),
}
VMM = DEST / LIBEXECDIR.lstrip("/") / "husk/husk-vmm"

CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(husk 0.1 REQUIRED COMPONENTS shared static)
add_executable(hello-shared hello.c)
target_link_libraries(hello-shared PRIVATE husk::husk)
add_executable(hello-static hello.c)
target_link_libraries(hello-static PRIVATE husk::husk-static)
"""


def call(*command, directory=None, environment=None):
    done = subprocess.run([str(word) for word in command], cwd=directory, text=True,
                          env={**ENVIRONMENT, **(environment or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    e2e.require(done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def needed(program):
    """The shared libraries that a program names."""
    return re.findall(r"\(NEEDED\).*\[(.*)\]", call("readelf", "-d", program))


def copy(name, to):
    """Sources are copied, so that nothing is built in the tree."""
    target = pathlib.Path(WORK.name) / to
    shutil.copytree(EXAMPLES / name, target)
    return target


def test_install():
    call("cmake", "--install", BUILD, environment={"DESTDIR": str(DEST)})
    for path in (f"{BINDIR}/husk", f"{BINDIR}/husk-firecracker", f"{LIBEXECDIR}/husk/husk-vmm",
                 f"{LIBEXECDIR}/husk/husk-image", f"{LIBEXECDIR}/husk/husk-pod", f"{LIBEXECDIR}/husk/husk-node",
                 f"{LIBEXECDIR}/husk/husk-probe",
                 f"{LIBDIR}/libhusk-pod.so.0", f"{LIBDIR}/libhusk-pod.a", f"{LIBDIR}/pkgconfig/husk-pod.pc",
                 f"{LIBDIR}/libhusk.so", f"{LIBDIR}/libhusk.so.0", f"{LIBDIR}/libhusk.a",
                 f"{LIBDIR}/pkgconfig/husk.pc", f"{LIBDIR}/cmake/husk/husk-config.cmake"):
        e2e.require((DEST / path.lstrip("/")).exists(), f"{path} is not installed")
    link = os.readlink(DEST / f"{BINDIR}/husk-firecracker".lstrip("/"))
    e2e.require(link == "husk", f"husk-firecracker points to {link}")


def test_service():
    """The unit of the node agent starts what is installed, with options that it has."""
    lines = (ROOT / "lib/systemd/system/husk-node.service").read_text(encoding="utf-8").splitlines()
    program, *words = next(line for line in lines if line.startswith("ExecStart=")).split("=", 1)[1].split()
    e2e.require(program == f"{BINDIR}/husk" and (DEST / program.lstrip("/")).exists(), program)
    options = call(DEST / LIBEXECDIR.lstrip("/") / "husk/husk-node", "--help")
    e2e.require(words[0] == "node" and len(words) > 1, words)
    for word in words:
        e2e.require(not word.startswith("-") or f" {word} " in options, f"husk node has no {word}")


def test_nothing_of_the_tree_is_installed():
    for path in DEST.rglob("*"):
        if path.suffix in (".pc", ".cmake", ".h"):
            text = path.read_text(encoding="utf-8")
            e2e.require(str(BUILD) not in text and str(SOURCE) not in text, f"{path} names the tree")
            e2e.require(str(DEST) not in text, f"{path} names DESTDIR")
    dynamic = call("readelf", "-d", DEST / f"{LIBDIR}/libhusk.so".lstrip("/"))
    e2e.require("RUNPATH" not in dynamic and "RPATH" not in dynamic, "libhusk.so has a RUNPATH")
    e2e.require("[libhusk.so.0]" in dynamic, f"no such soname:\n{dynamic}")


def test_the_library_knows_its_program():
    """The path that is compiled in is the one where husk-vmm was installed."""
    path = f"{LIBEXECDIR}/husk/husk-vmm".encode()
    for name in ("libhusk.so", "libhusk.a"):
        e2e.require(path in (DEST / f"{LIBDIR}/{name}".lstrip("/")).read_bytes(),
                    f"{name} does not name {path.decode()}")


def test_pkg_config():
    version = call("pkg-config", "--modversion", "husk").strip()
    e2e.require(re.fullmatch(r"\d+\.\d+\.\d+", version), f"version {version}")
    shared, static = copy("node-agent", "agent"), copy("node-agent", "agent-static")
    call("make", f"CC={CC}", directory=shared)
    e2e.require("libhusk.so.0" in needed(shared / "node-agent"), "not linked with libhusk.so.0")
    call("make", f"CC={CC}", "STATIC=1", directory=static)
    e2e.require(not needed(static / "node-agent"), "STATIC=1 needs shared libraries")


def test_pods():
    """The example of libhusk-pod links with what was installed, and says what is wrong with a manifest."""
    directory = pathlib.Path(WORK.name) / "pods"
    directory.mkdir()
    program, manifest = directory / "pods", directory / "wrong.yaml"
    flags = call("pkg-config", "--cflags", "--libs", "husk-pod").split()
    call(CC, "-o", program, EXAMPLES / "pods.c", *flags)
    e2e.require("libhusk-pod.so.0" in needed(program), "not linked with libhusk-pod.so.0")
    manifest.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {nonsense: 1}\n", encoding="utf-8")
    done = subprocess.run([program, manifest], env={**ENVIRONMENT, "HUSK_PODS": str(directory / "state")},
                          stderr=subprocess.PIPE, text=True, check=False)
    e2e.require(done.returncode == 1 and f"{manifest}:4: spec.nonsense: " in done.stderr, done)


def test_cmake():
    agent = copy("node-agent", "agent-cmake")
    consumer = pathlib.Path(WORK.name) / "consumer"
    consumer.mkdir()
    shutil.copy(EXAMPLES / "hello.c", consumer)
    (consumer / "CMakeLists.txt").write_text(CONSUMER, encoding="utf-8")
    plain = {"PKG_CONFIG_PATH": "", "PKG_CONFIG_SYSROOT_DIR": ""}  # all but husk is in its place
    for directory in (agent, consumer):
        call("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={ROOT}", f"-DCMAKE_C_COMPILER={CC}",
             directory=directory, environment=plain)
        call("cmake", "--build", "build", directory=directory)
    e2e.require("libhusk.so.0" in needed(agent / "build/node-agent"), "the agent is not shared")
    e2e.require("libhusk.so.0" in needed(consumer / "build/hello-shared"), "husk::husk is not shared")
    e2e.require("libhusk.so.0" not in needed(consumer / "build/hello-static"),
                "husk::husk-static is shared")


class Agent:
    """A running node agent, whose lines can be waited for."""

    def __init__(self, append, *options, program="agent/node-agent", guest="reset"):
        self.output, self.seen = "", 0
        self.process = subprocess.Popen(
            [pathlib.Path(WORK.name) / program, "--vmm", VMM, "--append", append, *options,
             GUESTS / f"{guest}.elf"], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def read_more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
            raise e2e.Failure(f"nothing more within {PATIENCE_S} s\n{self.output}")
        data = os.read(self.process.stdout.fileno(), 65536)
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, pattern, behind=True):
        """Wait for the pattern: behind what was found before, or anywhere. Returns the match."""
        deadline = time.monotonic() + PATIENCE_S
        start = self.seen if behind else 0
        while not (match := re.compile(pattern).search(self.output, start)):
            if not self.read_more(deadline):
                raise e2e.Failure(f"ended without {pattern!r}\n{self.output}")
        self.seen = match.end()
        return match

    def finish(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.read_more(deadline):
            pass
        status = self.process.wait(PATIENCE_S)
        e2e.require(status == 0, f"exit status {status}\n{self.output}")
        e2e.require("all VMs have ended" in self.output, f"no last word\n{self.output}")

    def started(self):
        return [int(pid) for pid in re.findall(r"started in process (\d+)", self.output)]


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def leftovers():
    """What the agent's VMs (vm1 to vm3) left on the host. Other tests' VMs may be there too."""
    found = [str(path) for path in TEMPORARY.iterdir()]
    found += [str(path) for path in pathlib.Path("/sys/fs/cgroup").rglob("husk-vm[123]")]
    for entry in pathlib.Path("/run/husk").glob("*"):
        if entry.is_file() and re.search(r"\bvm[123]\b", entry.read_text(errors="replace")):
            found.append(str(entry))
    return found


def guests_that_fail(*options, program="agent/node-agent"):
    """Each is started again, after pauses that become longer."""
    with Agent("do=exit exit=3", "--count", "3", *options, program=program) as agent:
        for vm in ("vm1", "vm2", "vm3"):
            for pause in (100, 200, 400):
                agent.expect(rf"{vm}: stopped: guest-exit, status 3\n{vm}: starts again in {pause} ms\n",
                             behind=False)
        agent.process.terminate()
        agent.finish()
        return agent


def guests_that_finish(*options, program="agent/node-agent"):
    with Agent("do=poweroff", "--count", "2", *options, program=program) as agent:
        agent.finish()
        e2e.require(agent.output.count("stopped: power-off") == 2 and "again" not in agent.output,
                    agent.output)


def guests_that_stay(*options, attack=None):
    """They neither end nor listen to the power button, so that the grace period is waited for."""
    with Agent("do=halt", "--count", "3", *options) as agent:
        for vm in ("vm1", "vm2", "vm3"):
            agent.expect(rf"{vm}: started in process \d+\n")
        agent.process.send_signal(signal.SIGUSR1)
        for vm in ("vm1", "vm2", "vm3"):
            agent.expect(rf"{vm}: statistics: cpu \d+ ms, memory \d+ KiB, exits \d+\n")
        if attack:
            attack(agent)
        agent.process.terminate()
        agent.finish()
        ends = agent.output.count("stopped: host-request")
        e2e.require(ends == 3, f"{ends} were stopped\n{agent.output}")
        left = [pid for pid in agent.started() if exists(pid)]
        e2e.require(not left, f"processes {left} are left")
    e2e.require(not leftovers(), f"left: {leftovers()}")


def kill_one(agent):
    """A jailed VM's process dies: it is one VM's end, and the next one's beginning."""
    victim = agent.started()[1]
    os.kill(victim, signal.SIGKILL)
    agent.expect(r"vm2: stopped: monitor-error\n")
    agent.expect(r"vm2: starts again in \d+ ms\nvm2: started in process \d+\n")
    e2e.require(not exists(victim), "a zombie is left")


def test_agent_in_process():
    e2e.need_kvm()
    guests_that_fail("--in-process")
    guests_that_finish("--in-process")
    guests_that_stay("--in-process")


def test_agent_jailed():
    guests_that_finish()
    pids = guests_that_fail().started()
    e2e.require(len(set(pids)) == len(pids), f"VMs shared a process: {pids}")
    guests_that_stay(attack=kill_one)


def test_other_links():
    """The agents that were linked in other ways, once each."""
    for program in ("agent-static/node-agent", "agent-cmake/build/node-agent"):
        guests_that_finish("--in-process", program=program)
        guests_that_finish(program=program)


def test_hello():
    for program in ("hello-shared", "hello-static"):
        output = subprocess.run([pathlib.Path(WORK.name) / "consumer/build" / program,
                                 GUESTS / "reset.elf", "do=poweroff"], env=ENVIRONMENT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
        # Its program is not where it will be when DESTDIR is: the message must say so.
        if not pathlib.Path(f"{LIBEXECDIR}/husk/husk-vmm").exists():
            e2e.require(f"{LIBEXECDIR}/husk/husk-vmm" in output, output)
        else:
            e2e.require("ready" in output and "power-off" in output, output)


e2e.main(globals())
