#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input as its user sees it.

Whatever is wrong with an argument, a file, an interface or the host: husk says so in one line on
standard error that names what is at fault and why, ends with the documented status, writes nothing to
standard output, leaves no file or interface behind, and leaves the terminal as it was. All cases that
need privileges run in namespaces of the test's own.

usage: errors.py HUSK [GUESTS]
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios

import bad_files
import e2e

USAGE, ERROR, HOST_REQUEST = e2e.USAGE, e2e.MONITOR_ERROR, e2e.HOST_REQUEST
PATIENCE_S = 180
MIB = 1 << 20
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
IN_NAMESPACE = "HUSK_ERRORS_IN_NAMESPACE"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
# Bind $1 over $2, $3 over $4, ... up to "--", then run the rest.
BIND = ["unshare", "--mount", "sh", "-c",
        'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 99; shift 2; done; shift; exec "$@"',
        "sh"]


class Skip(Exception):
    pass


class Suite:
    """Where the cases run (a directory of their own) and how they ended."""

    def __init__(self, husk, guests, top):
        self.husk = husk
        self.guests = guests
        self.top = top
        self.nodes = top / "nodes"
        self.work = top / "work"
        for directory in (self.nodes, self.work):
            directory.mkdir()
        os.chmod(top, 0o755)
        self.passed = self.failed = self.skipped = 0
        self.kernel = bad_files.write(top / "kernel.elf", bad_files.elf64())
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("HUSK_KERNEL", "XDG_CACHE_HOME")}
        self.environment["HOME"] = str(top)

    def traces(self):
        """What a run must not change: files where it runs, network interfaces of our own namespace."""
        files = {str(path): (path.lstat().st_size, path.lstat().st_mode)
                 for path in sorted(self.work.rglob("*"))}
        return files, socket.if_nameindex() if IN_NAMESPACE in os.environ else []

    def run(self, *arguments, prefix=(), environment=None, **options):
        return subprocess.run([*prefix, self.husk, *map(str, arguments)], cwd=self.work, check=False,
                              stdin=options.pop("stdin", subprocess.DEVNULL), timeout=PATIENCE_S,
                              stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
                              env={**self.environment, **(environment or {})}, **options)

    def check(self, status, texts, *arguments, **options):
        before = self.traces()
        result = self.run(*arguments, **options)
        said = result.stderr.decode("utf-8", "replace")
        e2e.require(result.returncode == status,
                    f"exit status {result.returncode}, not {status}: {said!r}")
        e2e.require(said.count("\n") == 1 and said.endswith("\n"), f"not one line: {said!r}")
        e2e.require(said.startswith("husk: ") and said.rstrip("\n").isprintable(), f"said {said!r}")
        for text in texts:
            e2e.require(str(text) in said, f"no {str(text)!r} in {said!r}")
        e2e.require(not result.stdout, f"standard output has {result.stdout!r}")
        e2e.require(self.traces() == before, f"something was left: {before} and {self.traces()}")
        return said

    def case(self, name, function, *arguments, **options):
        try:
            function(*arguments, **options)
        except Skip as reason:
            self.skipped += 1
            print(f"skipped: {name}: {reason}", flush=True)
        except (e2e.Failure, subprocess.TimeoutExpired, OSError) as error:
            self.failed += 1
            print(f"FAILED: {name}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok: {name}", flush=True)

    def refuse(self, name, status, texts, *arguments, **options):
        """A case that is one call of husk."""
        self.case(name, self.check, status, texts, *arguments, **options)

    def guest(self, name):
        path = self.guests / f"{name}.elf"
        if not path.exists():
            raise Skip(f"{path} is not built")
        return path

    def as_nobody(self):
        """A prefix that drops all privileges but may open /dev/kvm and /dev/net/tun."""
        need_root()
        binds = []
        for device in ("/dev/kvm", "/dev/net/tun"):
            node = self.nodes / pathlib.Path(device).name
            if os.path.exists(device) and not node.exists():
                os.mknod(node, 0o20666, os.stat(device).st_rdev)
                os.chmod(node, 0o666)
            if node.exists():
                binds += [str(node), device]
        return [*BIND, *binds, "--", *NOBODY]


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root for namespaces of its own")


def have_kvm():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        return True
    except OSError:
        return False


# ---- arguments: nothing is opened, so these run everywhere ----

def arguments_of_run():
    """Name, what the message must hold, arguments of `husk run -k KERNEL`."""
    nothing_after = [("-k", "-k"), ("--memory", "--memory"), ("-d", "-d")]
    long_line = "x" * 4096
    yield from ((f"{flag} without a value", (text, "wants a value"), [flag])
                for flag, text in nothing_after)
    yield from ((f"unknown option {flag}", (text, "unknown"), [flag]) for flag, text in (
        ("-q", "-q: "), ("-vq", "-q: "), ("--bogus", "--bogus: "), ("--bogus=1", "--bogus=1: ")))
    yield from ((f"{flag} takes no value", (flag, "takes no value"), [flag])
                for flag in ("--no-rng=1", "--verbose=1"))
    yield "ambiguous option", ("--no=1",), ["--no=1"]
    yield "stray argument", ("stray: ", "unexpected"), ["stray"]
    yield "stray argument with a newline", ("two?lines", "unexpected"), ["two\nlines"]
    yield "stray argument with escapes", ("?[2J", "unexpected"), ["\x1b[2J"]
    yield "very long stray argument", ("xxx ... ", "unexpected argument"), ["x" * 100000]
    yield "empty kernel path", ("kernel: ", "empty"), ["-k", ""]
    yield "empty initrd path", ("initrd: ", "empty"), ["-i", ""]

    for value, reason in (("0", "must not be zero"), ("0M", "must not be zero"), ("", "wants SIZE"),
                          ("-5M", "not a size"), ("12Q", "not a size"), ("1.5G", "not a size"),
                          ("1GG", "not a size"), ("999999999999T", "too large"), ("512", "512M"),
                          ("4097", "4097M"), ("1G,private", "'private'"),
                          ("1G,hugepages=1G", "'hugepages'"), ("1G,", "empty")):
        yield f"-m {value!r}", (f"-m {value}", reason), ["-m", value]
    for value in ("1K", "512K", "16777215T", "100T"):
        yield f"-m {value}", ("memory: ", "is not between 1 MiB and "), ["-m", value]
    yield "-m that is no whole page", ("memory: ", "multiple of 4096"), ["-m", "1048577"]
    for value in ("0", "-1", "two", "", "100000", "1.5", "99999999999999999999"):
        yield f"-c {value!r}", (f"-c {value}: ", "1 to 4096"), ["-c", value]
    for value, reason in (("2,", "empty"), ("2,smt", "unknown word 'smt' (known: threads=)"),
                          ("2,threads=", "wants 1 or 2"), ("4,threads=4", "wants 1 or 2")):
        yield f"-c {value!r}", (f"-c {value}: ", reason), ["-c", value]
    yield ("threads that make no cores", ("threads per core: ", "3 vCPUs do not make cores of 2"),
           ["-c", "3,threads=2"])
    for word in ("shared", "hugepages"):
        yield (f"free page reporting with {word}", ("free page reporting: ", "private memory of ordinary pages"),
               ["-m", f"64M,free-page-reporting,{word}"])
    yield ("huge pages that do not fit", ("memory: ", "multiple of 2 MiB"),
           ["-m", "65M,hugepages"])

    yield "command line too long", ("command line: ", "longer than 4095"), ["-a", long_line]
    yield ("command line too long with the default words", ("command line: ", "longer than 4095"),
           ["-a", long_line[:4090]])
    yield "command line with a newline", ("command line: ", "newline"), ["-a", "quiet\nsingle"]

    for value, reason in (("", "wants FILE"), (",ro", "wants FILE"), ("disk,", "empty"),
                          ("disk,rw", "unknown word 'rw' (known: ro, "), ("disk,ro,x=1", "key 'x'"),
                          ("disk,engine=aio", "uring or threads"), ("disk,queues=0", "disk: queues=0: "),
                          ("disk,queues=17", "1 to 16"), ("disk,iops=0", "1 to "),
                          ("disk,iops=-1", "1 to "), ("disk,bw=1Z", "disk: bw=1Z: not a size"),
                          ("disk,bw=0", "must not be zero"), ("x" * 5000, "path is too long"),
                          ("x" * 3000 + ",rw", "unknown word 'rw'")):
        yield f"-d {value[:30]!r}", ("-d", reason), ["-d", value]
    for value, reason in (("", "empty"), ("tap0", "unknown word 'tap0' (known: tap="),
                          ("mtu=1500", "wants tap=NAME"), ("tap=", "no tap interface"),
                          ("tap=t,tap=u", "tap= given twice"), ("tap=t,mtu=67", "68 to 65535"),
                          ("tap=t,mac=12:34", "MAC address"), ("tap=t,vhost=x", "on or off"),
                          ("tap=t,mac=01:00:5e:00:00:01", "unicast"), ("tap=t,z=1", "key 'z'"),
                          ("tap=t,queues=17", "1 to 16"), ("tap=" + "t" * 16, "at most 15"),
                          ("tap=t,vhost=on,bw=1M", "no rate limits")):
        yield f"-n {value!r}", ("n", reason), ["-n", value]
    yield "a tap given twice", ("net 2: ", "tap0 is given to net 1"), ["-n", "tap=tap0"] * 2
    yield "17 disks", ("-d: ", "at most 16 disks"), ["-d", "x"] * 17
    yield "17 networks", ("-n: ", "at most 16"), [f"-ntap=t{number}" for number in range(17)]
    yield "more devices than fit", ("net 1: ", "at most 17 devices"), (
        ["-d", "x"] * 16 + ["-n", "tap=t"])
    yield "--console vga", ("--console vga: ", "serial, virtio or none"), ["--console", "vga"]
    yield "--transport isa", ("--transport isa: ", "mmio or pci"), ["--transport", "isa"]
    for text, reason in (("eth0", "PCI address like"), ("0000:01:20.0", "PCI address like"),
                         ("01:10.0,iommu=", "auto, iommufd or group"), ("01:10.0,x", "unknown word"), ("01:10.0,x=y", "unknown or"),
                         ("01:10.0,iommu=on", "auto, iommufd or group"), ("01:10.0,fd=99", "not an open descriptor"),
                         ("01:10.0,group-fd=-1", "not an open descriptor"), ("01:10.0,,id=a", "PCI address like")):
        yield f"--vfio {text}", ("--vfio ", reason), ["--vfio", text]
    yield "a device given twice", ("vfio 2: ", "0000:01:10.0 is given to vfio 1"), ["--vfio", "01:10.0"] * 2
    yield "a device without a bus", ("vfio 1: ", "PCI bus"), ["--transport", "mmio", "--vfio", "01:10.0"]
    yield "two interfaces to the IOMMU", ("vfio 2: ", "either groups or iommufd"), [
        "--vfio", "01:10.0,iommu=group", "--vfio", "01:10.1,iommu=iommufd"]
    yield "17 devices of the host", ("--vfio: ", "at most 16"), [f"--vfio={n:02x}:00.0" for n in range(17)]
    yield "--timeline= without a name", ("--timeline=", "file name"), ["--timeline="]


def other_commands():
    yield "no command", ("wants a command", "husk help"), []
    yield "unknown command", ("rnu: ", "did you mean `husk run`?"), ["rnu"]
    yield "unknown command with a newline", ("a?b: ", "no such command"), ["a\nb"]
    yield "help of an unknown command", ("rnu: ", "no such command"), ["help", "rnu"]
    yield "help of two commands", ("one command",), ["help", "run", "doctor"]
    yield "version with an argument", ("-x: ", "no arguments"), ["version", "-x"]
    yield "vf without an action", ("vf: ", "list, create", "husk help vf"), ["vf"]
    yield "vf of too few words", ("vf create: ", "a PF and a number"), ["vf", "create", "eth0"]
    yield "vf with a number out of range", ("vlan=4095: ", "4094"), ["vf", "set", "a", "0", "vlan=4095"]
    yield "doctor with an argument", ("--xml: ", "unknown"), ["doctor", "--xml"]


# ---- files ----

def containers(suite):
    """The form of `husk run` for containers, and the commands for them: nothing is made or found."""
    environment = {"HUSK_STATE": str(suite.top / "no-state"), "HUSK_STORE": str(suite.top / "no-store")}
    for name, status, texts, arguments in (
            ("run -d of what is no file", USAGE, ("--detach", "nginx"), ["run", "-d", "nginx"]),
            ("run without an image", ERROR, ("wants an image",), ["run", "--rm"]),
            ("run of both forms", ERROR, ("--vfio", "belongs to"), ["run", "--rm", "--vfio", "x", "image"]),
            ("run, unknown option", ERROR, ("--bogus: unknown",), ["run", "--bogus", "image"]),
            ("run, an image that is not here", ERROR, ("image",), ["run", "--pull=never", "image"]),
            ("run -it without a terminal", ERROR, ("is no terminal",), ["run", "-it", "image"]),
            ("logs of nobody", ERROR, ("web: is no container",), ["logs", "web"]),
            ("exec in nobody", ERROR, ("web: is no container",), ["exec", "web", "true"]),
            ("stop without a name", USAGE, ("wants",), ["stop"]),
            ("ps, unknown format", USAGE, ("--format", "xml"), ["ps", "--format=xml"]),
            ("kill, no signal", USAGE, ("-s", "FOO"), ["kill", "-s", "FOO", "web"])):
        suite.refuse(f"containers: {name}", status, texts, *arguments, environment=environment)


def case_kernels(suite):
    for name, content, reason in bad_files.kernels():
        path = bad_files.write(suite.work / name.replace(" ", "-"), content)
        suite.refuse(f"kernel: {name}", ERROR, (f"{path}: ", reason), "run", "-k", path)
        path.unlink()

    (suite.work / "directory").mkdir()
    os.mkfifo(suite.work / "fifo")
    for name, reason in (("missing", "No such file"), ("directory", "Is a directory"),
                         ("fifo", "not a regular file"), ("kernel/below", "No such file"),
                         ("x" * 300, "File name too long")):
        for flags, what in ((["-k"], "kernel"), (["-k", suite.kernel, "-i"], "initrd")):
            suite.refuse(f"{what}: {name[:20]}", ERROR, (name[-100:] + ": ", what, reason), "run",
                         *flags, name)
    (suite.work / "fifo").unlink()
    deep = suite.work / "/".join(["d" * 60] * 5)
    deep.mkdir(parents=True)
    suite.refuse("kernel: a long path keeps its end", ERROR, ("husk: ...", "ddd/vmlinuz: ", "No such"),
                 "run", "-k", deep / "vmlinuz")

    containers(suite)
    suite.refuse("kernel: none given and none found", ERROR, ("with -k", "guest/kernel/build"), "run")
    suite.refuse("kernel: HUSK_KERNEL names none", ERROR, ("/nowhere/vmlinux: ", "HUSK_KERNEL"), "run",
                 environment={"HUSK_KERNEL": "/nowhere/vmlinux"})

    empty = bad_files.write(suite.work / "empty.cpio", b"")
    suite.refuse("initrd: empty", ERROR, (f"{empty}: ", "empty"), "run", "-k", suite.kernel, "-i", empty)
    big = suite.work / "big.cpio"
    with open(big, "wb") as file:
        file.truncate(64 * MIB)
    suite.refuse("initrd: does not fit", ERROR, (f"{big}: ", "64 MiB", "at least"), "run", "-k",
                 suite.kernel, "-i", big, "-m", "32M")
    suite.refuse("memory: huge pages that nobody reserved", ERROR,
                 ("memory: ", "524288 pages of 2 MiB are needed", " are free", "vm.nr_hugepages"),
                 "run", "-k", suite.kernel, "-m", "1T,hugepages")
    suite.refuse("memory: too little for the kernel", ERROR, ("kernel.elf: ", "at least 2 MiB"), "run",
                 "-k", suite.kernel, "-m", "1M")
    vmlinuz = pathlib.Path(os.environ.get("HOME", "/")) / ".cache/husk/kernels/debian-cloud/vmlinuz"
    if vmlinuz.exists():
        path = bad_files.write(suite.work / "vmlinuz", vmlinuz.read_bytes()[:1000000])
        suite.refuse("kernel: Debian's, cut", ERROR, (f"{path}: ", "truncated"), "run", "-k", path)
        path.unlink()


def case_disks(suite):
    def refuse(name, status, texts, *arguments, **options):
        suite.refuse(f"disk: {name}", status, texts, "run", "-k", suite.kernel, *arguments, **options)

    disk = suite.work / "disk.img"
    with open(disk, "wb") as file:
        file.truncate(MIB)
    os.chmod(disk, 0o644)
    small = bad_files.write(suite.work / "small.img", bytes(100))
    empty = bad_files.write(suite.work / "empty.img", b"")
    os.mkfifo(suite.work / "fifo")

    refuse("missing", ERROR, ("nodisk: ", "No such file"), "-d", "nodisk")
    refuse("missing, with '=' in its path", ERROR, ("a=b/c.img: ", "No such file"), "-d", "a=b/c.img")
    refuse("empty", ERROR, (f"{empty}: ", "empty"), "-d", empty)
    refuse("100 bytes", ERROR, (f"{small}: ", "100 bytes"), "-d", small)
    refuse("a directory", ERROR, (f"{suite.work}: ", "directory"), "-d", suite.work)
    refuse("a pipe", ERROR, ("fifo: ", "it is a pipe"), "-d", "fifo")
    refuse("a character device", ERROR, ("/dev/null: ", "character device"), "-d", "/dev/null")
    refuse("given twice", ERROR, (f"{disk}: ", "given twice", "drive 1 and drive 2"), "-d", disk, "-d",
           disk)
    os.link(disk, suite.work / "link.img")
    refuse("given twice by two names", ERROR, ("link.img: ", "given twice"), "-d", disk, "-d",
           "link.img,ro")
    with open(disk, "r+b") as holder:
        lock = struct.pack("hhlli4x", fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(holder, fcntl.F_OFD_SETLK, lock)
        refuse("locked", ERROR, (f"{disk}: ", "in use by another"), "-d", disk)
        refuse("locked, and wanted read-only", ERROR, (f"{disk}: ", "in use by another"), "-d",
               f"{disk},ro")
    suite.case("disk: in use by another husk", check_disk_of_another, suite, disk)
    suite.case("disk: read-only for this user", lambda: suite.check(
        ERROR, (f"{disk}: ", "permission denied", "read-only"), "run", "-k", suite.kernel, "-d", disk,
        prefix=suite.as_nobody()))
    suite.case("kernel: not readable for this user", check_unreadable, suite)
    suite.case("disk: engine=uring where it is forbidden", check_uring, suite, disk)


def check_disk_of_another(suite, disk):
    e2e.HUSK, e2e.GUESTS = suite.husk, suite.guests
    suite.guest("reset")
    with e2e.Machine("reset", "do=halt", "-d", str(disk)) as machine:
        machine.expect("ready")
        suite.check(ERROR, (f"{disk}: ", "in use by another"), "run", "-k", suite.kernel, "-d", disk)
        machine.process.send_signal(signal.SIGTERM)
        machine.finish(HOST_REQUEST)


def check_unreadable(suite):
    secret = bad_files.write(suite.work / "secret", bad_files.elf64())
    os.chmod(secret, 0o600)
    for flags in (["-k", secret], ["-k", suite.kernel, "-i", secret]):
        suite.check(ERROR, (f"{secret}: ", "Permission denied"), "run", *flags,
                    prefix=suite.as_nobody())


def forbid_io_uring():
    """A seccomp filter, as container engines have it: io_uring_setup (425) fails with EPERM."""
    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    load, jump_if_equal, give = 0x20, 0x15, 0x06
    code = b"".join(struct.pack("HBBI", *step) for step in (
        (load, 0, 0, 0), (jump_if_equal, 0, 1, 425), (give, 0, 0, 0x00050001), (give, 0, 0, 0x7fff0000)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code))):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


def check_uring(suite, disk):
    suite.check(ERROR, ("engine=uring", "thread"), "run", "-k", suite.kernel, "-d",
                f"{disk},engine=uring", preexec_fn=forbid_io_uring)


# ---- network interfaces ----

@contextlib.contextmanager
def tap(name, *words):
    made = subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", *words], check=False)
    if made.returncode:
        raise Skip("cannot make a tap interface")
    try:
        yield
    finally:
        subprocess.run(["ip", "tuntap", "del", name, "mode", "tap"], check=True)


def case_networks(suite):
    if IN_NAMESPACE not in os.environ or not os.path.exists("/dev/net/tun") or not shutil.which("ip"):
        raise Skip("needs root, /dev/net/tun and ip")

    def check(texts, net, **options):
        suite.check(ERROR, texts, "run", "-k", suite.kernel, "-n", net, **options)

    def not_a_tap():
        check(("lo: ", "not a tap"), "tap=lo")

    def busy():
        fd = os.open("/dev/net/tun", os.O_RDWR)
        try:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"htap0",
                                                   IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            check(("htap0: ", "in use by another process"), "tap=htap0")
        finally:
            os.close(fd)

    suite.case("net: no such interface", check, ("notap: ", "ip tuntap add notap"), "tap=notap")
    suite.case("net: not a tap", not_a_tap)
    with tap("htap0", "user", "root"):
        suite.case("net: busy", busy)
        suite.case("net: four queues on one", check, ("htap0: ", "multi_queue"),
                   "tap=htap0,queues=4,vhost=off")
        suite.case("net: not permitted", lambda: check(
            ("htap0: ", "not permitted", "ip tuntap"), "tap=htap0", prefix=suite.as_nobody()))
        if os.path.exists("/dev/vhost-net"):
            print("skipped: net: vhost=on without vhost-net: this host has it")
        else:
            suite.case("net: vhost=on without vhost-net", check, ("/dev/vhost-net: ", "modprobe"),
                       "tap=htap0,vhost=on")


# ---- devices of the host ----

def case_vfio(suite):
    """What sysfs says: the rest needs an IOMMU."""
    def refuse(name, texts, *words, **process):
        suite.refuse(f"vfio: {name}", ERROR, texts, "run", "-k", suite.kernel, *words, **process)

    refuse("no such device", ("ffff:ff:1f.7: ", "no such PCI device"), "--vfio", "ffff:ff:1f.7")
    for device in sorted(pathlib.Path("/sys/bus/pci/devices").glob("*")):
        if not (device / "iommu_group").exists() and not any(pathlib.Path("/sys/class/iommu").glob("*")):
            refuse("no IOMMU", (f"{device.name}: ", "IOMMU is off", "intel_iommu=on"), "--vfio", device.name)
            break
    else:
        print("skipped: errors-vfio-no-iommu: this host has an IOMMU, or no PCI device")


# ---- the host ----

def check_no_kvm(suite):
    need_root()
    hide = ["unshare", "--mount", "sh", "-c",
            'mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec "$@"', "sh"]
    suite.check(ERROR, ("/dev/kvm: ", "kvm_intel"), "run", "-k", suite.kernel, prefix=hide)


def check_kvm_is_a_file(suite):
    need_root()
    stand_in = bad_files.write(suite.nodes / "file", b"")
    suite.check(ERROR, ("/dev/kvm: ", "does not answer as KVM"), "run", "-k", suite.kernel,
                prefix=[*BIND, str(stand_in), "/dev/kvm", "--"])


def check_kvm_forbidden(suite):
    need_root()
    if os.stat("/dev/kvm").st_mode & 6:
        raise Skip("everybody may use /dev/kvm here")
    suite.check(ERROR, ("/dev/kvm: ", "permission denied", "group"), "run", "-k", suite.kernel,
                prefix=NOBODY)


def check_too_many_vcpus(suite):
    with open("/dev/kvm", "rb") as kvm:
        limit = fcntl.ioctl(kvm, 0xAE03, 66)  # KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS
    if not 0 < limit < 4096:
        raise Skip(f"KVM allows {limit} here")
    suite.check(ERROR, ("vcpus: ", f"{limit + 1} were asked for", "at most"), "run", "-k",
                suite.kernel, "-c", limit + 1)


def check_timelines(suite):
    (suite.work / "pictures").mkdir(exist_ok=True)
    link = suite.work / "link.svg"
    link.symlink_to("picture.svg")
    for target, reason in (("/nonexistent/x.svg", "No such file"), ("pictures", "directory"),
                           ("pictures/", "directory"), (link, "no regular file"),
                           ("/dev/null", "no regular file"), ("y" * 300, "File name too long")):
        suite.check(ERROR, (str(target)[-100:], "--timeline", reason), "run", "-k", suite.kernel,
                    f"--timeline={target}")


def check_failed_start_leaves_no_picture(suite):
    suite.check(ERROR, ("nowhere",), "run", "-k", "nowhere", "--timeline=x.svg")


def check_stop_during_build(suite):
    """SIGTERM that is there before husk is: seen when the machine is built, before the guest runs."""
    def pending_term():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    suite.check(HOST_REQUEST, ("stopped from the host",), "run", "-k", suite.kernel,
                "--timeline=x.svg", preexec_fn=pending_term)


def check_closed_descriptors(suite):
    """A disk must never become the guest's console."""
    kernel = suite.guest("reset")
    content = bytes(range(256)) * 4096
    disk = bad_files.write(suite.work / "precious.img", content)
    for closed in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"):
        for arguments in (["-k", kernel, "-a", "do=poweroff", "-d", disk, "-v", "-v"], ["-k", "nowhere", "-d", disk],
                          ["-k", disk, "-d", disk]):
            suite.run("run", *arguments, prefix=["sh", "-c", f'exec "$@" {closed}', "sh"])
            e2e.require(disk.read_bytes() == content, f"the disk was overwritten with {closed}")


def check_full_output(suite):
    with open("/dev/full", "wb") as full:
        for arguments in (["help"], ["help", "run"], ["version"], ["doctor"]):
            suite.check(ERROR, ("standard output: ", "No space left"), *arguments, stdout=full)


def check_full_console(suite):
    """The guest's output is lost, which is told; its status counts all the same."""
    kernel = suite.guest("reset")
    with open("/dev/full", "wb") as full:
        result = suite.run("run", "-k", kernel, "-a", "do=exit exit=7", stdout=full)
    e2e.require(result.returncode == 7, f"exit status {result.returncode}")
    e2e.require(b"husk: warning: console: output was lost: No space left" in result.stderr,
                f"said {result.stderr!r}")


def check_terminal(suite):
    """On a terminal: the same line, with the terminal as before."""
    main_fd, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        for arguments in (["-k", "nowhere"], ["-m", "0"], ["-k", suite.kernel, "-d", "nodisk"],
                          ["-k", suite.kernel, "--timeline=/nonexistent/x"]):
            result = suite.run("run", *arguments, stdin=terminal, stdout=terminal)
            e2e.require(result.returncode in (USAGE, ERROR), f"exit status {result.returncode}")
            e2e.require(result.stderr.count(b"\n") == 1, f"said {result.stderr!r}")
            e2e.require(termios.tcgetattr(terminal) == before, f"the terminal changed: {arguments}")
    finally:
        os.close(main_fd)
        os.close(terminal)


def run_all(suite):
    for name, texts, arguments in other_commands():
        suite.refuse(name, USAGE, texts, *arguments)
    for name, texts, arguments in arguments_of_run():
        suite.refuse(name, USAGE, texts, "run", "-k", suite.kernel, *arguments)
    suite.case("standard output is full", check_full_output, suite)
    suite.case("no /dev/kvm", check_no_kvm, suite)
    if not have_kvm():
        print("skipped: everything behind /dev/kvm, which this host does not offer")
        return
    for name, function in (("a file for /dev/kvm", check_kvm_is_a_file),
                           ("/dev/kvm forbidden", check_kvm_forbidden),
                           ("one vCPU too many", check_too_many_vcpus),
                           ("timeline targets", check_timelines),
                           ("no picture of a failed start", check_failed_start_leaves_no_picture),
                           ("stopped while it is built", check_stop_during_build),
                           ("closed standard descriptors", check_closed_descriptors),
                           ("the console's file system is full", check_full_console),
                           ("terminal", check_terminal)):
        suite.case(name, function, suite)
    case_kernels(suite)
    case_disks(suite)
    case_vfio(suite)
    try:
        case_networks(suite)
    except Skip as reason:
        print(f"skipped: networks: {reason}")


def enter_namespace():
    """Interfaces are made in a network namespace that ends with the test."""
    if os.geteuid() == 0 and IN_NAMESPACE not in os.environ and shutil.which("unshare"):
        if subprocess.run(["unshare", "--net", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            os.environ[IN_NAMESPACE] = "1"
            os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(f"usage: {sys.argv[0]} HUSK [GUESTS]")
    enter_namespace()
    husk = pathlib.Path(sys.argv[1]).resolve()
    guests = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) == 3 else husk.parents[1] / "guests"
    with tempfile.TemporaryDirectory(prefix="husk-errors-") as top:
        suite = Suite(str(husk), guests, pathlib.Path(top))
        run_all(suite)
    print(f"{suite.passed} passed, {suite.failed} failed, {suite.skipped} skipped")
    sys.exit(1 if suite.failed else 0 if suite.passed else e2e.SKIPPED)


main()
