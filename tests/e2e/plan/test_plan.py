#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pod/plan makes of a pod, asked of the real agent on this host as a pod's supervisor does, and looked at from
inside its containers. LOOKS is a table: container, shell command, what it prints."""
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import agent
from agent import Reader, require

PLAN = os.environ["HUSK_PLAN"]
IMAGE = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []},
         "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/busybox", "true"], "Volumes": {"/filled": {}}}}


def secret(text):
    return base64.b64encode(text.encode()).decode()


def container(name, **members):
    return {"name": name, "image": "image", "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", **members}


MOUNTS = [{"name": "shared", "mountPath": "/shared"}, {"name": "memory", "mountPath": "/memory"},
          {"name": "conf", "mountPath": "/conf"}, {"name": "all", "mountPath": "/all"},
          {"name": "conf", "mountPath": "/etc/one", "subPath": "deep/key"},
          {"name": "shared", "mountPath": "/mine", "subPathExpr": "of/$(WHO)"},
          {"name": "shared", "mountPath": "/ro", "readOnly": True}, {"name": "host", "mountPath": "/etc/from-host"}]


def pod(host_file):
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web", "tier": "front"}},
        "spec": {
            "restartPolicy": "Always", "dnsPolicy": "None", "subdomain": "sub",
            "dnsConfig": {"nameservers": ["192.0.2.53"], "options": [{"name": "ndots", "value": "2"}]},
            "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["other"]}],
            "securityContext": {"fsGroup": 2000, "supplementalGroups": [3000],
                                "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            "volumes": [
                {"name": "shared", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                {"name": "conf", "configMap": {"name": "conf", "defaultMode": 0o640,
                                               "items": [{"key": "key", "path": "deep/key"}]}},
                {"name": "all", "projected": {"defaultMode": 0o400, "sources": [
                    {"secret": {"name": "keys"}},
                    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}},
                {"name": "host", "hostPath": {"path": host_file, "type": "File"}}],
            "containers": [
                container("first", volumeMounts=MOUNTS, env=[
                    {"name": "WHO", "value": "me"}, {"name": "HELLO", "value": "hello $(WHO) $$(WHO)"},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "pw"}}}]),
                container("user", volumeMounts=MOUNTS[:1],
                          securityContext={"runAsUser": 1234, "runAsGroup": 99, "readOnlyRootFilesystem": True,
                                           "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}),
                container("all-rights", securityContext={"privileged": True})]}}


OBJECTS = {"configMaps": {"conf": {"data": {"key": "the value", "other": "x"}}},
           "secrets": {"keys": {"data": {"pw": secret("s3cret")}}}}

LOOKS = [
    ("first", "hostname; cat /etc/hostname", "web\nweb"),
    ("first", "grep -E '192.0.2.(7|9)' /etc/hosts", "192.0.2.9\tweb.sub.default.svc.cluster.local\tweb\n192.0.2.7\tother"),
    ("first", "cat /etc/resolv.conf", "nameserver 192.0.2.53\noptions ndots:2"),
    ("first", "echo $HELLO, $IP, $PW", "hello me $(WHO), 192.0.2.9, s3cret"),
    ("first", "stat -c '%a %u %g' /shared /memory", "2777 0 2000\n2777 0 2000"),
    ("first", "df -k /memory | grep -o ' 1024 ' | head -n 1", " 1024"),
    ("first", "cat /conf/deep/key; stat -L -c '%a %u %g' /conf/deep/key; ls /conf", "the value640 0 2000\ndeep"),
    ("first", "cat /etc/one", "the value"),
    ("first", "cat /all/pw /all/labels; stat -L -c %a /all/pw; echo x 2>&1 > /all/new",
     "s3cretapp=\"web\"\ntier=\"front\"440\nsh: can't create /all/new: Read-only file system"),
    ("first", "stat -c '%a %g' /mine && touch /mine/x && ls /shared/of/me", "2777 2000\nx"),
    ("first", "(echo x > /ro/x) 2>&1", "sh: can't create /ro/x: Read-only file system"),
    ("first", "cat /etc/from-host; stat -c %a /etc/from-host", "of the host600"),
    ("first", "ls /filled", "by-the-image"),
    ("first", "cat /proc/sys/kernel/shm_rmid_forced", "1"),
    ("first", "df -k /dev/shm | grep -o 65536 | head -n 1; echo of-first > /dev/shm/x", "65536"),
    ("user", "cat /dev/shm/x; rm -f /dev/shm/x 2>&1; id -u; id -g; id -G",
     "of-first\nrm: can't remove '/dev/shm/x': Operation not permitted\n1234\n99\n99 2000 3000"),
    ("user", "touch /x 2>&1; touch /shared/of-user && stat -c '%u %g' /shared/of-user",
     "touch: /x: Read-only file system\n1234 2000"),
    ("user", "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | while read a b; do echo $b; done",
     "0000000000000000\n1\n2"),
    ("user", "cat /proc/self/oom_score_adj", "1000"),
    ("user", "echo last words > /dev/termination-log && ls /filled", "by-the-image"),
    ("all-rights", "grep -E '^Seccomp:' /proc/self/status; mount -o remount,rw /sys && echo rw",
     lambda out: out.split()[1] == "0"),
    ("all-rights", "mknod /tmp/kmsg c 1 11 && head -c 0 /tmp/kmsg && echo used; rm /tmp/kmsg", "used"),
]


class Pod:
    def __init__(self, place, directory):
        self.place = place
        host_file = pathlib.Path(directory) / "host-file"
        host_file.write_text("of the host")
        host_file.chmod(0o600)
        source = pathlib.Path(directory) / "pod.json"
        source.write_text(json.dumps({"pod": pod(str(host_file)), "objects": OBJECTS, "images": {"image": IMAGE},
                                      "address": "192.0.2.9"}))
        done = subprocess.run([PLAN, source], capture_output=True, text=True, timeout=60, check=False)
        require(done.returncode == 0, done.stderr)
        plan = json.loads(done.stdout)
        self.containers = {one["name"]: one for one in plan["containers"]}
        place.control.call("volume.add", volume="scratch", tmpfs_bytes=32 << 20)
        self.ask(plan["pod"] + plan["requests"])

    def ask(self, requests):
        for request in requests:
            self.place.control.call(request["method"], **request["params"])

    def run(self, name, command):
        made, control = self.containers[name], self.place.control
        create = json.loads(json.dumps(made["create"]))
        create["config"]["root"]["path"] = self.place.root
        process = create["config"]["process"]
        process["args"] = ["/bin/busybox", "sh", "-c", command]
        if not self.place.agent_has_capability("SYS_RESOURCE"):  # which raises limits; the host's are lower
            process["rlimits"] = [line for line in process["rlimits"] if line["type"] == "RLIMIT_CORE"]
        for controller, members in (("cpu", ["cpu"]), ("memory", ["memory", "unified"])):
            for member in members if controller not in agent.controllers(self.place) else []:
                create["config"]["linux"]["resources"].pop(member, None)
        self.ask(made["before"])
        control.call("create", **create)
        readers = [Reader(self.place.stream(name, "init", stream)) for stream in ("stdout", "stderr")]
        control.call("start", container=name)
        ended = control.call("wait", container=name, process="init")
        texts = [reader.text() for reader in readers]
        control.call("delete", container=name)
        self.ask(made["after"])
        return ended, *texts

    def message(self, name):
        answer = self.place.control.call("volume.read", volume="messages", path=name, max_bytes=4096)
        return base64.b64decode(answer["data_base64"]).decode()


def look(one, name, command, expected):
    ended, out, err = one.run(name, command)
    out = out.rstrip("\n")
    good = expected(out) if callable(expected) else out.rstrip() == expected.rstrip()
    require(good, f"printed {out!r}, {err!r}, {ended}" + ("" if callable(expected) else f", not {expected!r}"))


def last_words(one):
    one.run("user", "echo -n the end > /dev/termination-log")
    require(one.message("user") == "the end", one.message("user"))
    one.run("user", "true")
    require(one.message("user") == "", one.message("user"))


def run(place, report):
    (pathlib.Path(place.root) / "filled").mkdir()
    (pathlib.Path(place.root) / "filled/by-the-image").write_text("x")
    for name in ("hostname", "df", "wc", "rm", "stat", "id", "touch", "mknod", "head", "ls", "cat", "grep", "mount"):
        path = pathlib.Path(place.root) / "bin" / name
        if not path.is_symlink():
            path.symlink_to("busybox")
    with tempfile.TemporaryDirectory() as directory:
        one = Pod(place, directory)
        for name, command, expected in LOOKS:
            if name == "all-rights" and not place.agent_has_capability("SYS_RESOURCE"):
                report.skip(f"{name}: {command[:60]}", "this root has not all capabilities")
                continue
            report.case(f"{name}: {command[:60]}", look, one, name, command, expected)
        report.case("termination message", last_words, one)


sys.exit(agent.main(run))
