#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/api/node.yaml and husk-node are the same: each request of the document is made, with each of its parameters,
and answered as it says; the agent's tables have no path and no parameter that it does not have."""
import itertools
import json
import re
import socket
import struct
import sys

from native_pod import PATIENCE_S, main, require
from node_agent import CONTRACT, HERE, Node, UnixConnection, manifest, ticker, until

SOURCES = HERE.parents[2] / "cli/node"
METHODS = ("GET", "PUT", "PATCH", "DELETE", "POST")
SERVE = ("while :; do nc -l -p 8080 -e cat 2>/dev/null || sleep 0.1; done & echo up; read word; echo \"got $word\"; "
         "trap 'exit 0' TERM; while :; do sleep 0.05; done")


def parameters_of(template, operation):
    """Names of an operation's own and of its path's, but for that in the path."""
    path = CONTRACT.raw["paths"][template]
    listed = [CONTRACT.resolve(one) for one in path.get("parameters", []) + operation.get("parameters", [])]
    return {one["name"]: one["schema"] for one in listed if one["in"] == "query"}


# ---- the tables of the agent ----


def routes_are_described(_):
    text = (SOURCES / "route.c").read_text()
    routes = {(method, path.replace("*", "{name}"))
              for method, path in re.findall(r'\{"([A-Z]+)", "(/[^"]*)", VERB_\w+\}', text)}
    require(len(routes) == text.count(", VERB_"), "a route is written otherwise")
    described = {(verb, template) for verb, template, _ in CONTRACT.operations()}
    require(routes == described, f"not in both: {routes ^ described}")


def parameters_are_described(host):
    """Every name that any request takes, for every request. There is no such pod: nothing is done."""
    text = (SOURCES / "parameters.c").read_text()
    names = set(re.findall(r'^    \{"(\w+)", ', text, re.M)) | set(re.findall(r'strcmp\(name, "(\w+)"\)', text))
    require({"command", "gracePeriodSeconds", "port"} <= names, f"names that were found: {names}")
    described = set()
    with Node(host) as node:
        for verb, template, operation in CONTRACT.operations():
            own = parameters_of(template, operation)
            described |= set(own)
            for name in names - set(own):
                code, said = node.request(verb, f"{template.format(name='nobody')}?{name}=1")
                require(code == 400 and f"{name}: is no parameter" in said, f"{verb} {template}: {name}: {code} {said}")
            for name, schema in own.items():
                if schema["type"] not in ("integer", "boolean"):
                    continue
                for value in (str(schema.get("maximum", 0) + 1), "x", "-1"):
                    if schema["type"] == "boolean" and value == "1":
                        continue
                    code, said = node.request(verb, f"{template.format(name='nobody')}?{name}={value}")
                    require(code in (400, 413, 500) and name in said or schema.get("maximum") == (1 << 63) - 1,
                            f"{verb} {template}: {name}={value}: {code} {said}")
    require(described == names, f"not in both: {described ^ names}")


def other_methods(host):
    with Node(host) as node:
        for template, method in itertools.product(CONTRACT.raw["paths"], METHODS):
            if method.lower() in CONTRACT.raw["paths"][template]:
                continue
            code, said = node.request(method, template.format(name="nobody"))
            require(code == 405 and json.loads(said)["reason"] == "MethodNotAllowed", f"{method} {template}: {code}")
        for path in ("/", "/pod", "/pods/", "/pods/x/", "/pods/x/logs", "/pods/x/log/x", "/pods/_/log", "/healthz/"):
            code, said = node.request("GET", path)
            require(code == 404, f"{path}: {code} {said}")


# ---- each request ----


class Upgraded:
    """A connection that has become something else. The request has to be one of the document."""

    def __init__(self, node, path, protocol):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(node.socket))
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
                            .encode())
        self.got = b""
        while b"\r\n\r\n" not in self.got:
            self.more()
        head, self.got = self.got.split(b"\r\n\r\n", 1)
        require(head.startswith(b"HTTP/1.1 101 ") and f"upgrade: {protocol}".encode() in head.lower(), head)
        template, operation = CONTRACT.find("POST", path)
        require("101" in operation["responses"], f"{path}: is not described")
        CONTRACT.seen.add(("POST", template, "101"))

    def more(self):
        part = self.socket.recv(65536)
        require(part, f"the connection has ended: {self.got}")
        self.got += part

    def send(self, channel, data):
        self.socket.sendall(struct.pack(">BI", channel, len(data)) + data)

    def frame(self):
        while len(self.got) < 5 or len(self.got) < 5 + struct.unpack(">I", self.got[1:5])[0]:
            self.more()
        end = 5 + struct.unpack(">I", self.got[1:5])[0]
        frame, self.got = (self.got[0], self.got[5:end]), self.got[end:]
        return frame

    def until(self, channel, text):
        said = b""
        while text not in said:
            which, data = self.frame()
            said += data if which == channel else b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def first_lines(node, path, count):
    """Of an answer that does not end."""
    connection = UnixConnection(str(node.socket))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        require(answer.status == 200, f"{path}: {answer.status}")
        return [answer.readline() for _ in range(count)]
    finally:
        connection.close()


def follows_events(node):
    node.write("kept.json", manifest("kept"))
    node.running("kept")
    require(node.request("POST", "/pods/kept/stop")[0] == 409, "a manifest keeps it")
    schema = CONTRACT.schemas["components"]["schemas"]["WatchEvent"]
    for line in first_lines(node, "/events?resourceVersion=0&follow=true", 3):
        require(not (wrong := CONTRACT.validate(schema, json.loads(line))), f"{wrong}: {line}")


def tells_what_events_are_gone(node):
    """A number of the run before is no number of this one."""
    version = json.loads(node.get("/events"))["metadata"]["resourceVersion"]
    node.get(f"/events?resourceVersion={version}")
    node.kill()
    node.start()
    for path in (f"/events?resourceVersion={version}", f"/events?resourceVersion={version}&follow=true"):
        code, said = node.request("GET", path)
        require((code, json.loads(said)["reason"]) == (410, "Expired"), said)
    require(len(json.loads(node.get("/events"))["items"]) >= 1, "events of the new run")


def runs_a_command(node):
    with Upgraded(node, "/pods/web/exec?command=sh&command=-c&command=read+x;echo+$x;exit+3&container=main&stdin=true",
                  "husk-frames") as session:
        session.send(0, b"word\n")
        session.until(1, b"word\n")
        while (frame := session.frame())[0] != 3:
            pass
        status = json.loads(frame[1])
        require((status["reason"], status["details"]["causes"]) ==
                ("NonZeroExitCode", [{"reason": "ExitCode", "message": "3"}]), status)
    with Upgraded(node, "/pods/web/exec?command=stty&command=size&tty=true&columns=90&rows=20", "husk-frames") as session:
        session.until(1, b"20 90")


def takes_part(node):
    with Upgraded(node, "/pods/web/attach?container=main&stdin=true", "husk-frames") as session:
        session.send(0, b"hello\n")
        session.until(1, b"got hello\n")


def forwards(node):
    def tried():
        with Upgraded(node, "/pods/web/portforward?port=8080&address=127.0.0.1", "tcp") as connection:
            connection.socket.sendall(b"there and back")
            while len(connection.got) < 14:
                connection.more()
            return connection.got == b"there and back"
    until(lambda: node.request("POST", "/pods/web/portforward?port=1")[0] == 426, "it wants to be upgraded")
    require(tried(), "what came back")


def every_request(host):
    with Node(host) as node:
        for path in ("/healthz", "/version", "/status", "/metrics", "/pods"):
            until(lambda at=path: node.request("GET", at)[0] == 200, path, node.why)
        code, said = node.request("POST", "/pods?network=none&lenient=true", json.dumps(
            manifest("web", ticker(command=SERVE, stdin=True), labels={"app": "web"})))
        require(code == 200 and [pod["metadata"]["name"] for pod in json.loads(said)["items"]] == ["web"], said)
        node.running("web")
        until(lambda: node.get("/pods/web/log?container=main&tailLines=5&sinceSeconds=60&timestamps=true").endswith(
            " up\n"), "its log", node.why)
        require(first_lines(node, "/pods/web/log?follow=true", 1) == [b"up\n"], "the log that is followed")
        require(node.request("GET", "/pods/web/log?previous=true")[0] in (404, 409, 422), "a run before the first")
        require([one["name"] for one in json.loads(node.get("/pods/web/stats"))["containers"]] == ["main"], "stats")
        require(len(json.loads(node.get("/pods?labelSelector=app%3Dweb"))["items"]) == 1, "the selector")
        require(json.loads(node.get("/pods/web?namespace=default"))["kind"] == "Pod", "get")
        require(len(json.loads(node.get("/events?resourceVersion=0"))["items"]) >= 1, "events")
        runs_a_command(node)
        takes_part(node)
        forwards(node)
        require(node.request("POST", "/pods/web/start")[0] == 409, "it runs")
        require(node.request("POST", "/pods/web/stop?gracePeriodSeconds=1")[0] == 202, "stop")
        until(lambda: node.pod("web")["status"]["phase"] in ("Succeeded", "Failed"), "its end", node.why)
        # Its supervisor may still be ending.
        until(lambda: node.request("GET", "/pods/web/stats")[0] == 409, "it does not run", node.why)
        until(lambda: node.request("POST", "/pods/web/start")[0] == 202, "start", node.why)
        node.running("web")
        code, said = node.request("DELETE", "/pods/web?gracePeriodSeconds=0")
        require(code == 200 and json.loads(said)["status"] == "Success", said)
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/start"), ("POST", "/stop"), ("GET", "/stats"),
                             ("GET", "/log")):
            require(node.request(method, f"/pods/web{path}")[0] == 404, f"{method} {path} of no pod")
        for path in ("/exec?command=x", "/attach", "/portforward?port=1"):
            require(node.request("POST", f"/pods/web{path}")[0] == 426, f"{path} without Upgrade")
        require(node.request("POST", "/pods", "{")[0] == 422, "a broken manifest")
        require(node.request("GET", "/pods?labelSelector=%3D")[0] in (400, 422), "a broken selector")
        follows_events(node)
        tells_what_events_are_gone(node)


def all_was_seen(_):
    """No answer of the document was left out by the cases before, but for failures of what cannot fail."""
    require(not CONTRACT.unseen(), f"never seen: {CONTRACT.unseen()}")


CASES = [routes_are_described, parameters_are_described, other_methods, every_request, all_was_seen]

if __name__ == "__main__":
    sys.exit(main(CASES))
