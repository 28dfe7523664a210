#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`husk node` with real machines on husk's bridge: manifests that come, change, break and go; kills of the agent, of
monitors and of supervisors, in an order that HUSK_TEST_SEED repeats; and the host afterwards is as it was before.
What needs no machine is in tests/e2e/pod.

usage: node.py HUSK
"""
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import traceback

# pylint: disable=wrong-import-position
import pod as pods
from pod import answers, boxes, processes
from e2e import Failure, require
from husktest import SKIPPED, Skip, any_kernel

KILLS = ("agent", "monitor", "supervisor")


def manifest(name, generation=1, label="a"):
    serve = f"echo generation {generation} > /tmp/index.html; exec busybox httpd -f -p 80 -h /tmp"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"label": label}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                {"name": "web", "image": "busybox", "imagePullPolicy": "Never", "command": ["sh", "-c", serve],
                 "ports": [{"containerPort": 80}]}]}}


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=boxes.PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(boxes.PATIENCE_S)
        self.sock.connect(self.path)


class Node:
    """The agent, and what its manifests want: {name: (generation, label)}."""

    def __init__(self, box):
        self.box, self.wanted = box, {}
        self.manifests, self.socket, self.said = box.top / "manifests", box.top / "node.sock", box.top / "said"
        self.manifests.mkdir()
        self.process = None
        self.start()

    def start(self):
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [os.environ["HUSK"], "node", "--manifests", self.manifests, "--listen", self.socket, "--network",
                 "bridge", "--back-off", "50,200", "--resync", "1"], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env=self.box.environment)

    def get(self, path):
        """JSON, or None while there is nobody, or nothing to say."""
        connection = Local(str(self.socket))
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return json.loads(answer.read()) if answer.status == 200 else None
        except (ConnectionError, FileNotFoundError):
            return None
        finally:
            connection.close()

    def write(self, name, text):
        new = self.manifests / f".{name}"
        new.write_text(text)
        new.rename(self.manifests / f"{name}.json")

    def want(self, name, generation=1, label="a"):
        self.wanted[name] = (generation, label)
        self.write(name, json.dumps(manifest(name, *self.wanted[name])))

    def remove(self, name):
        del self.wanted[name]
        (self.manifests / f"{name}.json").unlink()

    def seen(self):
        """{name: pod} of those that are as they should be, or None when something is otherwise."""
        status, listed = self.get("/status"), self.get("/pods")
        if not status or listed is None or status["problems"] or any(
                file["problems"] or any(pod["problems"] for pod in file["pods"]) for file in status["files"]):
            return None
        found = {pod["metadata"]["name"]: pod for pod in listed["items"]}
        for name, pod in found.items():
            generation, label = self.wanted.get(name, (0, ""))
            running = all("running" in one["state"] for one in pod["status"].get("containerStatuses", ()))
            if not running or pod["status"]["phase"] != "Running" or pod["metadata"]["labels"]["label"] != label or \
                    f"generation {generation} " not in json.dumps(pod["spec"]) or not pod["status"].get("podIP"):
                return None
        return found if set(found) == set(self.wanted) else None

    def works(self):
        found = self.seen()
        return found if found and all(
            answers(80, f"generation {generation}\n".encode(), found[name]["status"]["podIP"])
            for name, (generation, _) in self.wanted.items()) else None

    def settle(self):
        """What is there is what is wanted, and it answers on the network."""
        found = []
        self.box.wait_for(f"what is wanted: {self.wanted}", lambda: found.append(self.works()) or found[-1])
        return found[-1]

    def pids(self, name):
        """Of its supervisor and of its machine's monitor; 0 or None: there is none."""
        try:
            state = json.loads((self.box.pods / name / "state.json").read_text().rstrip("\0 \n"))
        except FileNotFoundError:
            return {"supervisor": 0, "monitor": 0}
        return {"supervisor": (state["supervisor"] or {}).get("pid"), "monitor": state["machine_pid"]}

    def kill(self, what, chance):
        """Kills it, and waits until that has been noticed."""
        name = chance.choice(sorted(self.wanted))
        print(f"killed: {what}{'' if what == 'agent' else ' of ' + name}", flush=True)
        if what == "agent":
            self.process.kill()
            self.process.wait()
            self.want("web", self.wanted["web"][0], self.wanted["web"][1] + "a")  # while there is none
            self.start()
            return
        pid = self.pids(name)[what]
        os.kill(pid, signal.SIGKILL)
        self.box.wait_for(f"another {what} of {name}", lambda: self.pids(name)[what] not in (0, None, pid))


def words_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=boxes.PATIENCE_S).stdout


def host():
    """Everything of this machine that pods could leave behind."""
    files = [str(path) for top in ("/run/husk", "/run/netns", "/var/lib/husk", "/var/lib/cni", "/srv")
             for path in pathlib.Path(top).rglob("*") if not path.is_dir()]
    return {"links": sorted(line.split(": ")[1] for line in words_of("ip", "-o", "link").splitlines()),
            "namespaces": sorted(words_of("ip", "netns").split()),
            "tables": sorted(words_of("nft", "list", "tables").splitlines()),
            "groups": sorted(where for where, _, _ in os.walk("/sys/fs/cgroup") if "husk" in where),
            "mounts": sorted(pathlib.Path("/proc/mounts").read_text().splitlines()),
            "files": sorted(files), "processes": processes()}


def kept(box):
    before = host()
    seed = int(os.environ.get("HUSK_TEST_SEED", "0")) or random.randrange(1 << 32)
    print(f"HUSK_TEST_SEED={seed}", flush=True)
    chance = random.Random(seed)
    node = Node(box)
    node.want("web")
    node.want("other")
    first = node.settle()
    node.want("web", 1, "b")  # changed in place
    require(node.settle()["web"]["metadata"]["uid"] == first["web"]["metadata"]["uid"], "it is another pod")
    node.write("other", "{")  # broken
    box.wait_for("the broken file", lambda: "FailedRead" in json.dumps(node.get("/status")))
    node.want("other")
    require(node.settle()["other"]["metadata"]["uid"] == first["other"]["metadata"]["uid"], "it is another pod")
    for what in chance.sample(KILLS, len(KILLS)):
        node.kill(what, chance)
        node.settle()
    node.want("web", 2, "a")  # changed into another
    require(node.settle()["web"]["metadata"]["uid"] != first["web"]["metadata"]["uid"], "it is the same pod")
    node.remove("other")
    node.settle()
    node.remove("web")
    box.wait_for("no pod", lambda: node.get("/pods") and not node.get("/pods")["items"])
    node.process.terminate()
    require(node.process.wait(boxes.PATIENCE_S) == 0, "the agent's end")
    box.wait_for(f"the end of {processes()}", lambda: not processes())
    after = host()
    require(before == after, {what: (before[what], after[what]) for what in before if before[what] != after[what]})
    left = [path.name for path in box.pods.iterdir() if path.is_dir()]
    require(not left, left)


def main():
    try:
        any_kernel()
    except Skip as reason:
        print(f"skipped: node: {reason}")
        return SKIPPED
    if not pathlib.Path("/bin/busybox").exists():
        print("skipped: node: needs busybox-static")
        return SKIPPED
    with pods.Pods() as box:
        try:
            kept(box)
            print("ok: pods are kept", flush=True)
        except (Failure, subprocess.SubprocessError, OSError, KeyError, ValueError):
            print(f"FAILED: pods are kept:\n{traceback.format_exc()}{box.why()}", flush=True)
            said = box.top / "said"
            for line in said.read_text().splitlines()[-40:] if said.exists() else ():
                event = json.loads(line) if line.startswith("{") else {"reason": line}
                print(event["reason"], event.get("involvedObject", {}).get("name"), event.get("message"), flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
