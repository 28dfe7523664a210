#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who is under a filter: every thread of a VM, in jail and in husk serve; and that husk serve gets by with
its own on a terminal, which it makes raw and puts right again."""
import json
import os
import pathlib
import pty
import signal
import subprocess
import tempfile
import termios

import e2e


def status(task):
    lines = (task / "status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def threads(pid):
    """Each thread's name and status; kernel threads that KVM keeps in the process are left out."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        fields = status(task)
        if not fields["Name"][0].startswith("kvm"):
            yield fields["Name"][0], fields


def has_filters(pid):
    """Builds with sanitizers have none, and say so."""
    return any(fields["Seccomp"] == ["2"] for _, fields in threads(pid))


def check_filters(pid, wanted):
    names = set()
    for name, fields in threads(pid):
        e2e.require(fields["Seccomp"] == ["2"], f"{name} is under no filter")
        e2e.require(fields["NoNewPrivs"] == ["1"], f"{name} may gain privileges")
        names.add(name)
    e2e.require(wanted <= names, f"{wanted - names} do not run")


def child_of(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    e2e.require(len(children) == 1, f"{len(children)} child processes")
    return int(children[0])


def test_threads_of_a_jailed_vm():
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(1 << 20)
        with e2e.Machine("uart", "", "-d", disk.name) as machine:
            machine.expect("type: ")
            pid = child_of(machine.process.pid)
            if not has_filters(pid):
                e2e.skip("this build has sanitizers or coverage, hence no filters")
            check_filters(pid, {"husk-vmm", "husk-io", "husk-vcpu0", "husk-disk"})
            for name, fields in threads(pid):
                for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    e2e.require(int(fields[kind][0], 16) == 0, f"{name} has {kind} {fields[kind][0]}")
            machine.process.terminate()


class Serve:
    """husk serve on a terminal of its own, with a machine that starts at once."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        config = pathlib.Path(self.directory.name) / "config.json"
        config.write_text(json.dumps({
            "boot-source": {"kernel_image_path": str(e2e.GUESTS / "uart.elf"), "boot_args": ""},
            "drives": [],
            "machine-config": {"vcpu_count": 1, "mem_size_mib": 64},
        }))
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [e2e.HUSK, "serve", "--api-sock", f"{self.directory.name}/api", "--config-file", str(config)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=e2e.own_the_terminal)
        self.slave = slave
        self.output = b""
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)
        self.directory.cleanup()

    def expect(self, text):
        while text not in self.output:
            data = os.read(self.master, 4096)
            e2e.require(data, f"ended without {text!r}")
            self.output += data


def test_serve_on_a_terminal():
    with Serve() as serve:
        serve.expect(b"type: ")
        raw = termios.tcgetattr(serve.slave)
        e2e.require(not raw[3] & termios.ICANON, "the terminal is not the guest's")
        if has_filters(serve.process.pid):
            check_filters(serve.process.pid, {"husk", "husk-io", "husk-vcpu0"})
        serve.process.send_signal(signal.SIGTERM)
        ended = serve.process.wait(e2e.PATIENCE_S)
        e2e.require(ended == 0, f"ended with {ended}")
        e2e.require(termios.tcgetattr(serve.slave) == serve.before, "the terminal was left raw")


e2e.need_kvm()
e2e.main(globals())
