# SPDX-License-Identifier: Apache-2.0
"""What the tests of husk-node share: the agent over a directory of manifests, with real supervisors and the real agent
of the guest on this host. Every answer that it gives over HTTP is held against docs/api/node.yaml."""
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

from native_pod import Failure, NATIVE, PATIENCE_S, container, require

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "api"))

# pylint: disable=wrong-import-position
from contract import Breach, Contract

CONTRACT = Contract(HERE.parents[2] / "docs/api/node.yaml", unknown=(404, 405), failure="Failure")
NODE = os.environ.get("HUSK_NODE", "husk-node")
TICKER = "trap 'exit 0' TERM; n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done"


def until(function, what, why=lambda: ""):
    deadline = time.monotonic() + PATIENCE_S
    while not (value := function()):
        require(time.monotonic() < deadline, f"in vain: {what}\n{why()}")
        time.sleep(0.02)
    return value


def ticker(name="main", command=TICKER, **more):
    return {**container(name, command), "imagePullPolicy": "Never", **more}


def manifest(name, *containers, labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **({"labels": labels} if labels else {})},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": list(containers) or [ticker()], **spec}}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self.path)


class Answer:
    """As contract.py takes it."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        self.text = self.body.decode()


class Node:
    """The agent over a directory of manifests. A context manager, which retires all pods by emptying the directory."""

    def __init__(self, host):
        host.count += 1
        self.host = host
        self.manifests = host.directory / f"manifests{host.count}"
        self.manifests.mkdir()
        self.socket = host.directory / f"node{host.count}.sock"
        self.said = host.directory / f"node{host.count}.events"
        self.process = None
        self.start()

    def start(self):
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [NODE, "--manifests", self.manifests, "--listen", self.socket, "--network", "none",
                 "--back-off", "50,200", "--resync", "1"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                env={**self.host.environment, "HUSK_POD": NATIVE})
        until(self.serves, "an agent that serves", self.why)

    def serves(self):
        require(self.process.poll() is None, f"the agent has ended with {self.process.returncode}\n{self.why()}")
        try:
            return self.request("GET", "/version")[0] == 200
        except (ConnectionError, FileNotFoundError):
            return False

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        require(status == 0, f"the agent ended with {status}\n{self.why()}")
        require(not self.socket.exists(), "its socket is left")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            print(self.why())
        for path in self.manifests.iterdir():
            path.unlink()
        if self.process.poll() is not None:
            self.start()
        for name in self.host.names() if exc[0] else ():  # those of no manifest; else they would hide what was wrong
            self.request("DELETE", f"/pods/{name}?gracePeriodSeconds=0")
        until(lambda: not self.host.names(), "the end of all pods", self.why)
        self.stop()
        require("Sanitizer" not in self.said.read_text(), self.said.read_text())

    def why(self):
        said = "".join(f"{event['firstTimestamp']} {event['involvedObject']['name']}: {event['reason']}: "
                       f"{event['message']}\n" for event in self.events(None)[-30:])
        said += "".join(line + "\n" for line in self.said.read_text().splitlines() if line[:1] != "{")[-2000:]
        for path in self.host.pods.glob("*/errors") if self.host.pods.exists() else ():
            said += f"{path}: {path.read_text()[-2000:]}"
        return said

    def events(self, reason, name=None):
        """What the agent has said with this reason (None: any), in all its lives."""
        lines = [json.loads(line) for line in self.said.read_text().splitlines(keepends=True)
                 if line[:1] == "{" and line[-1:] == "\n"]
        return [line for line in lines
                if reason in (None, line["reason"]) and name in (None, line["involvedObject"]["name"])]

    def request(self, method, path, body=None):
        connection = UnixConnection(str(self.socket))
        try:
            connection.request(method, path, body)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        try:
            CONTRACT.check(method, path, answer)
        except Breach as breach:
            raise Failure(str(breach)) from None
        return answer.status, answer.text

    def get(self, path):
        status, text = self.request("GET", path)
        require(status == 200, f"{path}: {status} {text}")
        return text

    def write(self, name, *objects):
        """Puts a manifest in place in one step."""
        path = self.manifests / name
        new = self.manifests / f".{name}.new"
        new.write_text("\n---\n".join(one if isinstance(one, str) else json.dumps(one) for one in objects))
        new.rename(path)
        return path

    def pod(self, name):
        status, text = self.request("GET", f"/pods/{name}")
        return json.loads(text) if status == 200 else None

    def problems(self):
        """The reasons of all problems there are, once a round has been done."""
        def look():
            code, text = self.request("GET", "/status")
            require(code in (200, 503), f"/status: {code} {text}")
            return json.loads(text) if code == 200 else None
        status = until(look, "a first round", self.why)
        of = [status["problems"]]
        for file in status["files"]:
            of += [file["problems"], *(pod["problems"] for pod in file["pods"])]
        return [problem["reason"] for problems in of for problem in problems]

    def running(self, name, test=lambda pod: True):
        """The pod, once all of it runs."""
        def look():
            pod = self.pod(name)
            return pod if pod and pod["status"]["phase"] == "Running" and test(pod) and \
                all("running" in one["state"] for one in pod["status"]["containerStatuses"]) else None
        return until(look, f"{name} runs", self.why)

    def gone(self, name):
        until(lambda: self.pod(name) is None and name not in self.host.names(), f"{name} is gone", self.why)

    def state(self, name):
        return json.loads(self.host.native("pod-state", self.host.pods, name).stdout)

    def until_event(self, reason, name=None, count=1):
        until(lambda: len(self.events(reason, name)) >= count, f"{reason} of {name}", self.why)


def uid(pod):
    return pod["metadata"]["uid"]
