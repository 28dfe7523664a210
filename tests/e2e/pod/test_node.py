#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk-node with real supervisors and the real agent on this host: manifests that come, change, break and go; the
agent that is started anew; and kills of everything at random moments (HUSK_NODE_ROUNDS of them, 50 when it is not
set), after each of which there is again what the manifests say."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

from native_pod import main, require
from node_agent import Node, TICKER, manifest, ticker, uid, until

# ---- manifests ----


def added_and_removed(host):
    with Node(host) as node:
        node.write("web.json", manifest("web"), manifest("two", ticker("a"), ticker("b")))
        node.running("web")
        node.running("two")
        until(lambda: "line 3\n" in node.get("/pods/web/log"), "its log", node.why)
        (node.manifests / "web.json").unlink()
        node.gone("web")
        node.gone("two")
        node.until_event("Removed", "web")
        require([len(node.events(reason, "web")) for reason in ("Created", "Started", "Stopping", "Removed")] ==
                [1, 1, 1, 1], node.why())


def wrong_options(host):
    """What no pod could be made with is said at the start, in one line."""
    for status, words, said in ((119, ("--network", "brigde"), '--network: is wrong: brigde: "brigde" is none of'),
                                (119, ("--network", "cni:../x"), "--network"), (119, ("--networks", "none"), "--networks"),
                                (125, ("--guest-kernel", "/no/such"), "--guest-kernel: cannot be used: /no/such: No such file")):
        done = subprocess.run([os.environ["HUSK"], "node", "--manifests", str(host.directory / "none"), *words],
                              check=False, capture_output=True, text=True, timeout=60)
        require(done.returncode == status and done.stderr.count("\n") == 1 and said in done.stderr, f"{words}: {done}")


def changed_in_place(host):
    with Node(host) as node:
        node.write("web.json", manifest("web", labels={"tier": "old"}))
        before = node.running("web")
        node.write("web.json", manifest("web", labels={"tier": "new"}))
        pod = node.running("web", lambda pod: pod["metadata"]["labels"] == {"tier": "new"})
        require(uid(pod) == uid(before), "it is another pod")
        require(pod["status"]["containerStatuses"] == before["status"]["containerStatuses"], "its containers changed")
        node.until_event("Changed", "web")
        event = node.events("Changed", "web")[0]
        require(event["message"].endswith("web.json: metadata.labels[tier]"), event)
        require(not node.events("Replacing"), node.why())


def changed_into_another(host):
    with Node(host) as node:
        node.write("web.json", manifest("web"))
        before = node.running("web")
        node.write("web.json", manifest("web", ticker(command="echo other; exec sleep 1000"),
                                        terminationGracePeriodSeconds=0))
        node.running("web", lambda pod: uid(pod) != uid(before))
        until(lambda: node.get("/pods/web/log") == "other\n", "its log", node.why)
        require([event["message"] for event in node.events("Replacing", "web")] ==
                ["spec.containers[0].command: cannot be changed while the pod runs"], node.why())
        require(len(node.events("Created", "web")) == 2, node.why())


def changed_config(host):
    def config(word):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"WORD": word}}

    show = ticker(command="echo $WORD; " + TICKER, envFrom=[{"configMapRef": {"name": "words"}}])
    with Node(host) as node:
        node.write("web.json", manifest("web", show))
        node.until_event("FailedCreate", "web")  # there are no words yet
        require(not host.names(), host.names())
        node.write("words.json", config("one"))
        before = node.running("web")
        until(lambda: "one\n" in node.get("/pods/web/log"), "its log", node.why)
        node.write("words.json", config("two"))
        until(lambda: node.events("Changed", "web") or node.events("Replacing", "web"), "a change", node.why)
        after = node.running("web")
        if uid(after) != uid(before):
            until(lambda: "two\n" in node.get("/pods/web/log"), "its log", node.why)
        require(not node.problems(), node.problems())


def broken(host):
    with Node(host) as node:
        node.write("web.json", manifest("web"))
        before = node.running("web")
        node.write("web.json", "{")
        node.until_event("FailedRead", "web.json")
        require(node.problems() == ["FailedRead"], node.problems())
        os.kill(node.state("web")["supervisor"]["pid"], signal.SIGKILL)  # and still it is kept
        node.until_event("Restarted", "web")
        require(uid(node.running("web")) == uid(before), "it is another pod")
        node.write("web.json", "")
        time.sleep(1.5)  # more than a round: nothing is to happen
        require(uid(node.running("web")) == uid(before), "an empty file has removed it")
        node.write("web.json", manifest("web"))
        until(lambda: not node.problems(), "no problem", node.why)
        require(uid(node.running("web")) == uid(before), "it is another pod")


def the_directory_is_gone(host):
    with Node(host) as node:
        node.write("web.json", manifest("web"))
        before = node.running("web")
        away = node.manifests.with_name("away")
        node.manifests.rename(away)
        until(lambda: "FailedRead" in node.problems(), "the directory is missed", node.why)
        require(uid(node.running("web")) == uid(before), "it is another pod")
        away.rename(node.manifests)
        until(lambda: not node.problems(), "no problem", node.why)
        require(uid(node.running("web")) == uid(before), "it is another pod")


def not_of_a_manifest(host):
    with Node(host) as node:
        status, text = node.request("POST", "/pods", json.dumps(manifest("mine")))
        require(status in (200, 201), f"{status} {text}")
        before = node.running("mine")
        node.write("mine.json", manifest("mine"))
        node.until_event("NameInUse", "mine")
        (node.manifests / "mine.json").unlink()
        until(lambda: not node.problems(), "no problem", node.why)
        require(uid(node.running("mine")) == uid(before), "it is another pod")
        status, text = node.request("DELETE", "/pods/mine?gracePeriodSeconds=0")
        require(status == 200, f"{status} {text}")
        node.gone("mine")


def ends_by_itself(host):
    with Node(host) as node:
        node.write("jobs.json", manifest("once", ticker(command="echo done"), restartPolicy="Never"),
                   manifest("fails", ticker(command="exit 3"), restartPolicy="Never"))
        for name, phase in (("once", "Succeeded"), ("fails", "Failed")):
            until(lambda n=name, p=phase: (pod := node.pod(n)) and pod["status"]["phase"] == p, phase, node.why)
        time.sleep(1.5)  # more than a round: nothing is to happen
        require(not node.events("Restarted") and node.get("/pods/once/log") == "done\n", node.why())


# ---- another agent ----


def the_agent_is_started_anew(host):
    with Node(host) as node:
        for end in (node.stop, node.kill):
            node.write("a.json", manifest("stays"), manifest("goes"))
            node.write("b.json", manifest("changes", labels={"n": "1"}))
            before = {name: node.running(name) for name in ("stays", "goes", "changes")}
            end()
            require(all(node.state(name)["alive"] for name in before), "a pod has ended with the agent")
            node.write("a.json", manifest("stays"))
            node.write("b.json", manifest("changes", labels={"n": "2"}))
            node.start()
            node.gone("goes")
            after = node.running("changes", lambda pod: pod["metadata"]["labels"] == {"n": "2"})
            require(uid(after) == uid(before["changes"]), "it is another pod")
            require(node.running("stays")["status"]["containerStatuses"] ==
                    before["stays"]["status"]["containerStatuses"], "a pod that stays was touched")


# ---- kills ----


class LogReader(threading.Thread):
    """Reads the logs of all pods again and again: a line that it has seen must stay until the pod is removed."""

    def __init__(self, pods):
        super().__init__(daemon=True)
        self.pods, self.seen, self.lost = pods, {}, []
        self.ending = threading.Event()

    def uid_of(self, path):
        """Of the pod that a log is in: another of the same name has logs of its own."""
        try:
            return json.loads((path.parents[2] / "spec.json").read_text())["uid"]
        except (FileNotFoundError, NotADirectoryError):
            return None

    def paths(self):
        try:
            return list(self.pods.glob("*/logs/*/*.log"))
        except FileNotFoundError:
            return []  # a pod was removed meanwhile

    def look(self):
        for path in self.paths():
            before = self.uid_of(path)
            try:
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if before is None or self.uid_of(path) != before:
                continue
            key = (before, path.parent.name, path.name)
            lines = content[:content.rfind(b"\n") + 1]
            if not lines.startswith(self.seen.get(key, b"")):
                self.lost.append(f"{path}: {self.seen[key][-200:]} became {lines[-200:]}")
            self.seen[key] = lines

    def gaps(self):
        """What is wrong with the logs of tickers: each has to begin with the first line and to leave none out."""
        wrong = []
        for (_, name, file), content in self.seen.items():
            numbers = [int(number) for number in re.findall(rb"^\S+ stdout F line (\d+)$", content, re.M)]
            if numbers != list(range(1, len(numbers) + 1)):
                wrong.append(f"{name} {file}: {content[-300:]}")
        return wrong

    def run(self):
        while not self.ending.wait(0.005):
            self.look()

    def __exit__(self, *_):
        self.ending.set()
        self.join()

    def __enter__(self):
        self.start()
        return self


class Killing:
    """What is wanted while things are killed, and what was killed."""

    ALWAYS = ("web", "pair", "late")

    def __init__(self, node, chance):
        self.node, self.chance, self.generation = node, chance, 0
        self.machines = set()  # whose machine was killed since its supervisor was: a second time is waited for
        node.write("web.json", manifest("web"))
        node.write("pair.json", manifest("pair", ticker("a"), ticker("b"), initContainers=[ticker("i", "echo init")],
                                         volumes=[{"name": "shared", "emptyDir": {}}]))
        node.write("once.json", manifest("once", ticker(command="echo done"), restartPolicy="Never"))
        self.change_late()
        self.check()

    def change_late(self):
        """A pod that is replaced."""
        self.generation += 1
        self.node.write("late.json", manifest("late", ticker(command=f"echo generation {self.generation}; {TICKER}"),
                                              labels={"generation": str(self.generation)}))

    def is_wanted_late(self, pod):
        return pod["metadata"]["labels"] == {"generation": str(self.generation)}

    def check(self):
        """The observed state is the desired one."""
        node = self.node
        for name in self.ALWAYS:
            node.running(name, self.is_wanted_late if name == "late" else lambda pod: True)
        until(lambda: (pod := node.pod("once")) and pod["status"]["phase"] == "Succeeded", "once has ended", node.why)
        until(lambda: not node.problems(), "no problem", lambda: f"{node.problems()}\n{node.why()}")
        until(lambda: node.host.names() == sorted((*self.ALWAYS, "once")), "these pods, and nothing half-made",
              lambda: f"{node.host.names()}\n{node.why()}")

    def kill_pid(self, pid):
        require(pid > 0, f"no process: {pid}")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was killed with its supervisor

    def supervisor_of(self, name):
        """None when there is none. One that has just begun has not told yet which process it is."""
        def look():
            done = self.node.host.native("pod-state", self.node.host.pods, name, check=False)
            state = json.loads(done.stdout) if done.returncode == 0 else {"alive": False}
            return (state["supervisor"]["pid"],) if state["alive"] else (None,)

        return until(lambda: (found := look()) and found[0] != 0 and found, f"a supervisor of {name}", self.node.why)[0]

    def one(self):
        """Kills something at some moment; what, in a word."""
        what = self.chance.choice(("agent", "machine", "supervisor", "change, agent", "change, supervisor"))
        name = self.chance.choice(self.ALWAYS)
        if what == "machine" and name in self.machines:
            what = "supervisor"
        if "change" in what:
            self.change_late()
            name = "late"
        time.sleep(self.chance.random() * 0.6)
        if "agent" in what:
            self.node.kill()
            time.sleep(self.chance.random() * 0.2)
            self.node.start()
        elif what == "machine":
            self.machines.add(name)
            self.kill_pid(until(lambda: self.node.state(name)["machine_pid"], f"a machine of {name}", self.node.why))
        else:
            self.machines.discard(name)
            if pid := self.supervisor_of(name):
                self.kill_pid(pid)
        return f"{what} of {name}"


def mounts_of(host):
    """Mounts under the host's directory, of any process."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/mounts"):
        try:
            found |= {line for line in path.read_text().splitlines() if str(host.directory) in line}
        except OSError:
            pass
    return found


def killed_at_random(host):
    rounds = int(os.environ.get("HUSK_NODE_ROUNDS", "50"))
    seed = int(os.environ.get("HUSK_TEST_SEED", "0")) or random.randrange(1 << 32)
    print(f"HUSK_TEST_SEED={seed} HUSK_NODE_ROUNDS={rounds}", flush=True)
    with LogReader(host.pods) as reader:
        with Node(host) as node:
            killing = Killing(node, random.Random(seed))
            for count in range(rounds):
                what = killing.one()
                print(f"round {count}: {what}", flush=True)
                killing.check()
                require(reader.is_alive() and not reader.lost, reader.lost[:3])
            once = node.get("/pods/once/log")
            require(once == "done\n", once)
            require(sum(bool(lines) for lines in reader.seen.values()) >= 5, f"logs that were read: {reader.seen}")
    require(not reader.lost, reader.lost[:3])
    require(not reader.gaps(), reader.gaps()[:3])
    require(sum(b" stdout F line 2\n" in lines for lines in reader.seen.values()) >= 5, "too few lines were read")
    require(not mounts_of(host), f"mounts: {mounts_of(host)}")


CASES = [wrong_options, added_and_removed, changed_in_place, changed_into_another, changed_config, broken, the_directory_is_gone,
         not_of_a_manifest, ends_by_itself, the_agent_is_started_anew, killed_at_random]

if __name__ == "__main__":
    sys.exit(main(CASES))
