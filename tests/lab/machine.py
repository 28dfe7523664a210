# SPDX-License-Identifier: Apache-2.0
"""The lab machine: its kernel, its initial RAM disk, and QEMU's command line."""
import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "husk"
INITRAMFS_BUILD = TOP / "guest/initramfs/build"
QEMU = "qemu-system-x86_64"
PR_SET_PDEATHSIG = 1

# Of Debian's kernel, in which most drivers are modules: what is needed at once, and what loads when a
# command asks for it, but not when the machine does not see the modules.
MODULES = ("virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay", "kvm-amd")
MORE_MODULES = ("tun", "vhost_net", "vhost_vsock", "bridge", "veth", "virtio_blk", "ext4", "loop")

SRIOV_MODULES = ("igb", "igbvf", "vfio-pci")
NVME_SIZE_BYTES = 16 << 20

CLOCKS = {"virtual": "shift=0,sleep=off", "host": "shift=0,sleep=on"}
KERNEL_ARGUMENTS = ("console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr tsc=reliable "
                    "no_timer_check random.trust_cpu=on cryptomgr.notests")
SRIOV_ARGUMENTS = " intel_iommu=on iommu=nopt"


class LabError(Exception):
    pass


def find_kernel(choice, iommufd=False):
    """(kernel image, its directory of modules or None); iommufd: Debian's kernel gets it, too."""
    own = CACHE / "kernels" / "lab" / "bzImage"
    if choice == "own" and not own.exists():
        raise LabError(f"{own} is not there (guest/kernel/build --flavour lab makes it)")
    if choice in ("auto", "own") and own.exists():
        return own, None
    if choice in ("auto", "debian"):
        command = [HERE / "iommufd-kernel"] if iommufd else [TOP / "guest/kernel/fetch-debian", "--flavour", "full"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                check=False)
        if result.returncode:
            raise LabError("no outer kernel: see the message above")
        tree = pathlib.Path(result.stdout.strip())
        return tree / "vmlinuz", tree / "modules"
    if not pathlib.Path(choice).is_file():
        raise LabError(f"--kernel {choice}: no such file (own and debian are names, too)")
    return pathlib.Path(choice), None


def cached(name, key, make):
    """CACHE/lab/NAME-KEY, made by make(path) when it is not there. The key is everything it depends
    on."""
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    target = CACHE / "lab" / f"{name}-{digest}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as directory:
            partial = pathlib.Path(directory) / name
            make(partial)
            partial.replace(target)
    return target


def run_tool(command, what):
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                check=False)
    except OSError as error:
        raise LabError(f"{what}: {error.filename}: {error.strerror}") from error
    if result.returncode:
        reasons = result.stderr.strip().splitlines() or [f"status {result.returncode}"]
        raise LabError(f"{what}: {reasons[-1]}")


def compiled_init():
    source = HERE / "init.c"

    def make(target):
        run_tool(["cc", "-std=c17", "-D_GNU_SOURCE", "-static", "-Os", "-s", "-o", target, source],
                 f"cannot compile {source}")

    return cached("init", source.read_bytes(), make)


def base_initrd(modules, names):
    """The part of the initial RAM disk that all runs with one kernel have in common."""
    init = compiled_init()
    command = [INITRAMFS_BUILD, "--init", init]
    key = [init, INITRAMFS_BUILD.read_bytes()]
    if modules:
        command += ["--modules-from", modules, "--modules", ",".join(names)]
        key += [names, sorted((str(path), path.stat().st_mtime_ns)
                              for path in modules.glob("lib/modules/*/modules.dep"))]
    return cached("initrd", key,
                  lambda target: run_tool([*command, target], "cannot make the initial RAM disk"))


def add_option(source, path):
    if ":" in str(source):
        raise LabError(f"{source}: a file with a colon in its name cannot be carried along")
    return f"--add={source}:{path}"


def write_initrd(work, base, words, carried):
    """The base and, after it, what is this run's own."""
    (work / "command").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))
    files = [add_option(path, f"newroot{path}") for path in carried]
    run_tool([INITRAMFS_BUILD, add_option(work / "command", "command"), *files, work / "run.cpio"],
             "cannot make the initial RAM disk")
    with open(work / "initrd", "wb") as out:
        for part in (base, work / "run.cpio"):
            with open(part, "rb") as file:
                shutil.copyfileobj(file, out)
    return work / "initrd"


def nine_p(name, path, properties):
    # Requests are taken up at once, not when QEMU's main loop comes to it (ioeventfd).
    return ["-fsdev", f"local,id={name},path={path},security_model=none{properties}",
            "-device", f"virtio-9p-pci,fsdev={name},mount_tag={name},ioeventfd=off"]


def sriov_devices():
    """A network card with 7 VFs, behind an IOMMU that also remaps interrupts."""
    return ["-device", "intel-iommu,intremap=on,caching-mode=on",
            "-device", "pcie-root-port,id=port0,bus=pcie.0,chassis=1,slot=1",
            "-netdev", "user,id=net0,restrict=on",
            "-device", "igb,netdev=net0,bus=port0,mac=02:00:00:00:01:00"]


def nvme_devices(work):
    """One NVMe controller below a port of its own, hence alone in its IOMMU group, and two in one
    slot of the root bus, hence in one group."""
    places = ("bus=port1", "bus=pcie.0,addr=0x10.0,multifunction=on", "bus=pcie.0,addr=0x10.1")
    devices = ["-device", "pcie-root-port,id=port1,bus=pcie.0,chassis=2,slot=2"]
    for number, place in enumerate(places):
        image = work / f"nvme{number}.img"
        image.touch()
        os.truncate(image, NVME_SIZE_BYTES)
        devices += ["-drive", f"file={image},format=raw,if=none,id=nvme{number}",
                    "-device", f"nvme,drive=nvme{number},serial=husk-nvme-{number},{place}"]
    return devices


def qemu_command(options, work, kernel, initrd, ports):
    """ports: name to socket."""
    command = [
        QEMU, "-M", "q35", "-accel", "tcg,thread=single", "-icount", CLOCKS[options.clock],
        "-cpu", "max", "-smp", str(options.cpus), "-m", options.memory,
        # The same machine every time, so that runs repeat exactly.
        "-seed", "7", "-rtc", "base=2026-01-01,clock=vm",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-chardev", f"file,id=log,path={work}/machine.log", "-serial", "chardev:log",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", KERNEL_ARGUMENTS + (SRIOV_ARGUMENTS if options.sriov else ""),
    ]
    if options.monitor:
        command += ["-monitor", f"unix:{os.path.abspath(options.monitor).replace(',', ',,')},server=on,wait=off"]
    # Judging a machine asks it things, which an exact run must not notice.
    if not options.exact and options.cpus == 1:
        command += ["-chardev", f"socket,id=watch,path={work}/watch,server=on,wait=off", "-mon", "chardev=watch"]
    if options.sriov:
        command += sriov_devices()
    if options.vfio:
        command += nvme_devices(work)
    if not options.exact:
        command += nine_p("root", "/", ",readonly=on,multidevs=remap")
    if options.out:
        command += nine_p("share", work / "share", "")
    command += ["-device", "virtio-serial-pci,ioeventfd=off"]
    for name, port in ports.items():
        command += ["-chardev", f"socket,id={name},fd={port.fileno()}",
                    "-device", f"virtserialport,chardev={name},name={name}"]
    return command


def start_qemu(command, ports, log):
    parent = os.getpid()

    def die_with_parent():
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        # A session of its own: an interrupt from the terminal is ours to handle.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                pass_fds=[port.fileno() for port in ports.values()],
                                start_new_session=True, preexec_fn=die_with_parent)
    except FileNotFoundError as error:
        raise LabError(f"{QEMU} is not installed (scripts/install-deps lab installs it)") from error
