#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`husk pod` with real machines: the kinds of pods that Kubernetes' documentation has, from manifests, and their
network. What needs no machine is in tests/e2e/pod and tests/e2e/network.

usage: pod.py HUSK
"""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import traceback

os.environ["HUSK"] = str(pathlib.Path(sys.argv[1]).resolve())
os.environ.setdefault("HUSK_TEST_PATIENCE_S", "400")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "container"))

# pylint: disable=wrong-import-position
import box as boxes
from container import processes
from e2e import Failure, require
from husktest import SKIPPED, Skip, any_kernel

# Two containers, an init container before them and a sidecar; a config map and a secret; probes that gate.
SITE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  greeting: hello
  page.html: |
    from the config map
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {word: open sesame}
---
apiVersion: v1
kind: Pod
metadata:
  name: site
  labels: {app: site, tier: front}
spec:
  terminationGracePeriodSeconds: 20
  securityContext: {fsGroup: 3000}
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: small, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: pages, configMap: {name: settings, items: [{key: page.html, path: index.html}]}}
  - {name: keys, secret: {secretName: password, defaultMode: 0440}}
  - {name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  initContainers:
  - name: first
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "echo first > /shared/order"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  - name: helper
    image: busybox
    imagePullPolicy: Never
    restartPolicy: Always
    command: [sh, -c, "echo helper >> /shared/order; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    volumeMounts: [{name: shared, mountPath: /shared}]
    startupProbe: {exec: {command: [grep, helper, /shared/order]}, periodSeconds: 1, failureThreshold: 60}
  - name: second
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "echo second >> /shared/order"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  containers:
  - name: web
    image: busybox
    imagePullPolicy: Never
    command: [busybox, httpd, -f, -p, "8080", -h, /pages]
    ports: [{name: http, containerPort: 8080}]
    volumeMounts: [{name: pages, mountPath: /pages}, {name: shared, mountPath: /shared}]
    readinessProbe:
      exec: {command: [test, -e, /shared/open]}
      periodSeconds: 1
    livenessProbe: {httpGet: {path: /index.html, port: http}, periodSeconds: 2, failureThreshold: 30}
  - name: client
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c]
    args:
    - |
      trap 'echo bye; exit 0' TERM
      cat /shared/order
      echo "$(GREETING) $WORD $NAME $CPUS"
      until busybox wget -q -O - http://127.0.0.1:8080/index.html 2>/dev/null; do sleep 1; done
      id
      while :; do sleep 0.1; done
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: settings, key: greeting}}}
    - {name: WORD, valueFrom: {secretKeyRef: {name: password, key: word}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    resources: {limits: {cpu: 1, memory: 64Mi}}
    securityContext: {runAsUser: 1000, runAsNonRoot: true, readOnlyRootFilesystem: true}
    lifecycle: {preStop: {exec: {command: [sh, -c, "echo stopping > /shared/last"]}}}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: small, mountPath: /small}
    - {name: keys, mountPath: /keys}
    - {name: about, mountPath: /about}
"""

# One that is killed for want of memory, one that a probe ends, and a neighbour that notices nothing.
WEAK = """
apiVersion: v1
kind: Pod
metadata: {name: weak}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: hog
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "x=0123456789abcdef; while :; do x=$x$x; done"]
    resources: {limits: {memory: 24Mi}}
  - name: probed
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "echo run; sleep 1000"]
    livenessProbe: {exec: {command: [test, -e, /absent]}, periodSeconds: 1, failureThreshold: 2}
  - name: neighbour
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
"""

ONCE = """
apiVersion: v1
kind: Pod
metadata: {name: once}
spec:
  restartPolicy: OnFailure
  containers:
  - name: tries
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "echo try >>/disk/tries; test -e /data/again || { touch /data/again; echo failed >/dev/termination-log; exit 3; }"]
    volumeMounts: [{name: data, mountPath: /data}, {name: disk, mountPath: /disk}]
  volumes: [{name: data, emptyDir: {}}, {name: disk, hostPath: {path: DISK}}]
"""


def web_pod(name, annotations=None, **more):
    """A pod whose port 80 says its name, in both families; `more` is of its container."""
    web = {"name": "web", "image": "busybox", "imagePullPolicy": "Never",
           "command": ["sh", "-c", "echo $NAME > /tmp/index.html; exec busybox httpd -f -p '[::]:80' -h /tmp"],
           "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
           "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}, **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [web]}}


# Pods that reach each other, and one that must not.
TOWN = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "town"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "town"}},
                 "template": {"metadata": {"labels": {"app": "town"}}, "spec": web_pod("town")["spec"]}}}
ALONE = web_pod("alone", {"husk.dev/isolated": "true"}, ports=[{"containerPort": 80, "hostPort": 8081}])


class Pods(boxes.Box):
    """The same with a directory of pods of its own."""

    def __init__(self):
        super().__init__()
        self.pods = self.top / "pods"
        self.environment["HUSK_PODS"] = str(self.pods)

    def __exit__(self, *words):
        subprocess.run([os.environ["HUSK"], "pod", "rm", "-f", "--all"], env=self.environment,
                       stdout=subprocess.DEVNULL, timeout=boxes.PATIENCE_S, check=False)
        super().__exit__(*words)

    def pod(self, *words, **more):
        return self.husk("pod", *words, **more)

    def run_pod(self, manifest, *words):
        """Of a text, or an object."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.pod("run", *words, "-", data=text.encode(), errors="")

    def get(self, name):
        return json.loads(self.pod("inspect", name))

    def container(self, name, container):
        status = self.get(name)["status"]
        for one in status.get("initContainerStatuses", []) + status["containerStatuses"]:
            if one["name"] == container:
                return one
        raise Failure(f"{name} has no container {container}: {status}")

    def condition(self, name, kind):
        conditions = {one["type"]: one["status"] for one in self.get(name)["status"]["conditions"]}
        return conditions.get(kind)

    def why(self):
        return "\n".join(f"{path}: {path.read_text(errors='replace')}" for path in self.pods.glob("*/errors"))


def nothing_left(box):
    box.wait_for(f"the end of {processes()}", lambda: not processes())
    left = [path.name for path in box.pods.iterdir() if path.is_dir()]
    require(not left, left)
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    require("husk" not in links, links)


def site(box):
    """Containers that share localhost and volumes; what manifests say of them, seen from inside."""
    require(box.run_pod(SITE, "--network", "none").split() == ["site"], "run prints its name")
    box.wait_for("the client's log", lambda: "uid=1000" in box.pod("logs", "-c", "client", "site"))
    lines = box.pod("logs", "-c", "client", "site").splitlines()
    require(lines[:3] == ["first", "helper", "second"], lines)
    require(lines[3:5] == ["hello open sesame site 1", "from the config map"], lines)
    require("groups=" in lines[5] and "3000" in lines[5], lines)
    look = ("cat /keys/word; echo; busybox stat -c '%a %g' /keys/..data/word /shared; cat /about/labels; echo; touch /no 2>&1;"
            "dd if=/dev/zero of=/small/x bs=1M count=2 2>&1 | grep -c 'No space'")
    seen = box.pod("exec", "-c", "client", "site", "--", "sh", "-c", look).splitlines()
    require(seen[0] == "open sesame" and seen[1] == "440 3000" and seen[2].endswith(" 3000"), seen)
    require('app="site"' in seen and 'tier="front"' in seen, seen)
    require(any("Read-only" in line for line in seen) and seen[-1] == "1", seen)
    # Ready when the probe says so.
    require(box.condition("site", "Ready") == "False", "it is ready")
    box.pod("exec", "-c", "web", "site", "--", "touch", "/shared/open")
    box.wait_for("readiness", lambda: box.condition("site", "Ready") == "True")
    require("4/4" not in box.pod("ps") and "3/3" in box.pod("ps", "-l", "app=site,tier in (front)"), box.pod("ps"))
    require("site" not in box.pod("ps", "-l", "app!=site"), "the selector")
    forward_and_copy(box)
    started = time.monotonic()
    box.pod("stop", "site")
    require(time.monotonic() - started < 400, "no grace")
    require(box.get("site")["status"]["phase"] in ("Succeeded", "Failed"), box.get("site")["status"])
    require(box.pod("logs", "-c", "client", "site").splitlines()[-1] == "bye", "the signal")
    box.pod("rm", "site")
    nothing_left(box)


def forward_and_copy(box):
    """A port and files of a pod that has no network."""
    with box.start("pod", "port-forward", "site", "18080:8080") as process:
        box.wait_for("the port", lambda: answers(18080, b"from the config map"))
        process.send_signal(signal.SIGINT)
        process.wait(boxes.PATIENCE_S)
    source = box.top / "source"
    source.write_text("copied\n")
    box.pod("cp", source, "site:web:/shared/copied")
    require(box.pod("exec", "-c", "client", "site", "--", "cat", "/shared/copied") == "copied\n", "cp")
    box.pod("cp", "site:web:/shared/order", box.top / "order")
    require((box.top / "order").read_text() == "first\nhelper\nsecond\n", "cp")


def answers(port, text, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
            got = b""
            while piece := connection.recv(4096):
                got += piece
    except OSError:
        return False
    return text in got


def weak(box):
    """Only the offender is killed; what a probe finds dead is started again."""
    box.run_pod(WEAK, "--network", "none")
    box.wait_for("the OOM killer", lambda: "OOMKilled" in json.dumps(box.container("weak", "hog")))
    box.wait_for("a restart", lambda: box.container("weak", "probed")["restartCount"] >= 1)
    box.wait_for("back-off", lambda: "CrashLoopBackOff" in json.dumps(box.container("weak", "hog")))
    neighbour = box.container("weak", "neighbour")
    require(neighbour["restartCount"] == 0 and "running" in neighbour["state"], neighbour)
    require(box.container("weak", "probed")["lastState"]["terminated"]["exitCode"] in (137, 143),
            box.container("weak", "probed"))
    require(box.pod("logs", "-p", "-c", "probed", "weak") == "run\n", "the log of the run before")
    # A monitor that is killed takes the machine with it: the pod is booted anew.
    [vmm] = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if name_of(pid) == "husk-vmm"]
    os.kill(vmm, signal.SIGKILL)
    box.wait_for("another machine", lambda: box.container("weak", "neighbour")["restartCount"] >= 1 and
                 "running" in box.container("weak", "neighbour")["state"])
    box.pod("rm", "-f", "weak")
    nothing_left(box)


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def once(box):
    """A job: tried again when it fails, and over when it has succeeded. It writes to a disk image of the host."""
    disk = box.top / "disk"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", disk], check=True)
    box.run_pod(ONCE.replace("DISK", str(disk)), "--network", "none")
    box.pod("wait", "once")
    status = box.get("once")["status"]
    require(status["phase"] == "Succeeded", status)
    tries = box.container("once", "tries")
    require(tries["restartCount"] == 1 and tries["lastState"]["terminated"]["exitCode"] == 3, tries)
    require(tries["lastState"]["terminated"]["message"].strip() == "failed", tries)
    kept = subprocess.run(["debugfs", "-R", "cat tries", disk], capture_output=True, check=True).stdout
    require(kept == b"try\ntry\n", kept)
    box.pod("rm", "once")
    nothing_left(box)


def town(box):
    """A Deployment on the bridge: its pods reach each other, the host reaches a published port, and nobody the pod
    that is to be alone."""
    names = box.run_pod(TOWN, "--network", "bridge").split()
    require(sorted(names) == ["town-0", "town-1", "town-2"], names)
    box.run_pod(ALONE, "--network", "bridge")
    box.pod("wait", "--ready", "-l", "app=town")
    addresses = {name: box.get(name)["status"]["podIP"] for name in (*names, "alone")}
    require(len(set(addresses.values())) == 4, addresses)
    require(len(box.pod("ps", "-l", "app in (town)", "-o", "name").split()) == 3, box.pod("ps"))

    def fetch(name, address):
        with box.start("pod", "exec", name, "--", "busybox", "timeout", "5", "busybox", "wget", "-q", "-O", "-",
                       f"http://{address}/index.html") as process:
            out, _ = process.communicate(timeout=boxes.PATIENCE_S)
        return out if process.returncode == 0 else process.returncode

    require(fetch("town-0", addresses["town-1"]) == b"town-1\n", "by address")
    require(fetch("town-2", addresses["town-0"]) == b"town-0\n", "by address")
    # Nobody answers for the address, or nothing comes.
    require(fetch("town-0", addresses["alone"]) in (1, 143), "a pod reaches the one that is alone")
    require(fetch("alone", addresses["town-0"]) in (1, 143), "the one that is alone reaches a pod")
    require(answers(80, b"town-2", addresses["town-2"]), "the host does not reach a pod")
    require(answers(8081, b"alone"), "the published port")
    box.pod("rm", "-f", "-l", "app=town")
    box.pod("rm", "-f", "alone")
    nothing_left(box)


CASES = [("containers of one pod", site), ("limits, probes, a lost machine", weak), ("a job", once),
         ("a Deployment and the network", town)]


def main():
    failed = 0
    try:
        any_kernel()
    except Skip as reason:
        print(f"skipped: pod: {reason}")
        return SKIPPED
    if not pathlib.Path("/bin/busybox").exists():
        print("skipped: pod: needs busybox-static")
        return SKIPPED
    with Pods() as box:
        for name, function in CASES:
            started = time.monotonic()
            try:
                function(box)
                print(f"ok: {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except (Failure, subprocess.TimeoutExpired, OSError, KeyError, ValueError):
                failed += 1
                print(f"FAILED: {name}:\n{traceback.format_exc()}{box.why()}", flush=True)
                box.start("pod", "rm", "-f", "--all").communicate(timeout=boxes.PATIENCE_S)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
