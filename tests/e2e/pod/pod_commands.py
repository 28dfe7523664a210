# SPDX-License-Identifier: Apache-2.0
"""The verbs of `husk pod`, each case with a box (podbox.py) whose supervisors may be of any kind."""
import base64
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import tarfile

# pylint: disable=wrong-import-order
import podbox
import images
from box import Terminal
from e2e import require
from podbox import config_map, container, deployment, pod, sleeper

PATIENCE_S = podbox.PATIENCE_S


def all_cases(wanted):
    for name, function in list(globals().items()):
        if name.startswith("case_") and (not wanted or name[5:] in wanted):
            yield name[5:], function


# ---- bad input: one line that says what and where, and nothing is left ----

def refuse(box, text, *documents, verb="run", options=(), status=125):
    box.refuse(text, "pod", verb, *options, box.file(*documents), status=status)


def changed(document, path, value):
    """A copy with a member set."""
    document = json.loads(json.dumps(document))
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return document


def case_no_yaml(box):
    for text in ("a: [", "a: b: c", "\tx: y", "a: &a [*a]", "{", "%YAML 9.9\n---\na: 1", "a: !!python/object:os x",
                 "a: 'x", "? ? ?", "\x00"):
        refuse(box, "manifest.yaml", text)
    refuse(box, "manifest.yaml", "[]")
    refuse(box, "manifest.yaml", "hello")
    refuse(box, "no pod", config_map("c", a="b"))
    refuse(box, "manifest.yaml", "apiVersion: v1\nkind: Pod\nkind: Pod\n")


def case_bombs(box):
    levels = "\n".join(f"{chr(98 + i)}: &{chr(98 + i)} [" + ",".join([f"*{chr(97 + i)}"] * 10) + "]" for i in range(9))
    refuse(box, "manifest.yaml", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + levels)
    refuse(box, "manifest.yaml", "[" * 100000)
    refuse(box, "manifest.yaml", "a: " + "{a: " * 5000)
    path = box.top / "big.yaml"
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    box.refuse("big.yaml", "pod", "run", path, status=125)
    path.unlink()


def case_not_utf8(box):
    path = box.top / "manifest.yaml"
    path.write_bytes(b"apiVersion: v1\nkind: Pod\nmetadata: {name: \xff\xfe}\n")
    box.refuse("manifest.yaml", "pod", "run", path, status=125)


def case_fields(box):
    good = sleeper()
    main = ("spec", "containers", 0)
    for path, value, text in (
            (("spec", "nonsense"), 1, "spec.nonsense"),
            (("metadata", "name"), "Web_1", "metadata.name"),
            (("metadata", "name"), "x" * 64, "metadata.name"),
            (("spec", "containers"), [], "spec.containers"),
            ((*main, "image"), 7, "spec.containers[0].image"),
            ((*main, "livenessProbe"), {"grpc": {"port": 0}}, "spec.containers[0].livenessProbe.grpc.port"),
            ((*main, "ports"), [{"containerPort": 70000}], "spec.containers[0].ports[0].containerPort"),
            ((*main, "resources"), {"limits": {"memory": "much"}}, "spec.containers[0].resources.limits"),
            ((*main, "volumeMounts"), [{"name": "none", "mountPath": "/x"}], "spec.containers[0].volumeMounts[0]"),
            (("spec", "restartPolicy"), "Sometimes", "spec.restartPolicy"),
            (("spec", "hostNetwork"), True, "spec.hostNetwork"),
            (("kind",), "Job", "kind"),
            (("apiVersion",), "v2", "apiVersion")):
        refuse(box, text, changed(good, path, value))
    two = pod("web", container("a", "true"), container("a", "true"))
    refuse(box, "spec.containers[1].name", two)


def case_lenient(box):
    text = changed(sleeper(), ("spec", "nonsense"), 1)
    require(box.pod("create", "--lenient", box.file(text), errors="spec.nonsense") == "web\n", "created")
    box.pod("rm", "web")


def case_dry_run(box):
    for verb in ("run", "create", "apply"):
        require(box.pod(verb, "--dry-run", box.file(sleeper("a"), sleeper("b"))) ==
                "pod/a valid (dry run)\npod/b valid (dry run)\n", verb)
        box.refuse("spec.nonsense", "pod", verb, "--dry-run", box.file(changed(sleeper(), ("spec", "nonsense"), 1)),
                   status=125)
    wants = sleeper(volumes=[{"name": "v", "secret": {"secretName": "gone"}}])
    box.refuse("gone", "pod", "run", "--dry-run", box.file(wants), status=125)
    elsewhere = box.file(changed(sleeper(), ("spec", "containers", 0, "image"), "nowhere.invalid/x"), name="elsewhere")
    for option, value in (("--network", "wifi"), ("--guest-kernel", "/no/kernel"), ("-p", "80:80/icmp")):
        box.refuse(value, "pod", "run", "--dry-run", option, value, box.file(sleeper()), status=125)
        # Nothing is pulled for a pod that cannot be.
        box.refuse(value, "pod", "run", option, value, elsewhere, status=125)
    require(box.pod("ps", "-A", "-o", "name") == "", "something was made")


def case_missing_objects(box):
    main = ("spec", "containers", 0)
    for source, text in (({"configMapKeyRef": {"name": "settings", "key": "a"}}, "settings"),
                         ({"secretKeyRef": {"name": "password", "key": "a"}}, "password")):
        refuse(box, text, changed(sleeper(), (*main, "env"), [{"name": "A", "valueFrom": source}]))
    wants = changed(sleeper(), (*main, "env"),
                    [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "missing"}}}])
    refuse(box, "missing", wants, config_map("settings", a="b"))
    refuse(box, "gone", changed(sleeper(volumes=[{"name": "v", "configMap": {"name": "gone"}}]), (*main, "tty"), False))


def case_impossible(box):
    main = ("spec", "containers", 0)
    refuse(box, "web", changed(sleeper(), (*main, "resources"), {"requests": {"memory": "900Ti"}}))
    refuse(box, "web", changed(sleeper(), (*main, "resources"), {"requests": {"cpu": "100000"}}))
    refuse(box, "resources", changed(sleeper(), (*main, "resources"),
                                     {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}))
    refuse(box, "nothing-like-it", changed(sleeper(), (*main, "image"), "nothing-like-it"))
    refuse(box, "nowhere", sleeper(), options=("--network", "cni:nowhere"))
    refuse(box, "wifi", sleeper(), options=("--network", "wifi"))
    refuse(box, "/no/kernel", sleeper(), options=("--guest-kernel", "/no/kernel"))
    for port in ("80", "a:80", "0:80", "80:80/icmp"):
        refuse(box, port, sleeper(), options=("-p", port))


def case_name_in_use(box):
    box.pod("create", box.file(sleeper("a")))
    # The second of two is taken: the first is not left.
    refuse(box, "a: is the name of another pod", sleeper("b"), sleeper("a"))
    refuse(box, "manifest.yaml", sleeper("b"), sleeper("b"))
    box.refuse("manifest", "pod", "run", box.file(sleeper("c")), box.file(sleeper("c"), name="manifest2.yaml"))
    box.pod("rm", "a")


def case_usage(box):
    for words in (("pod",), ("pod", "fly"), ("pod", "run"), ("pod", "run", "--fly", "x"), ("pod", "stop"),
                  ("pod", "stop", "a", "--all"), ("pod", "ps", "x"), ("pod", "ps", "-o", "xml"), ("pod", "logs"),
                  ("pod", "logs", "a", "b", "-c", "c"), ("pod", "cp", "a", "b"), ("pod", "run", "-d", "-a", "x"),
                  ("pod", "port-forward", "a"), ("pod", "port-forward", "a", "0"), ("pod", "port-forward", "a", "x:1")):
        box.refuse("(see: husk help pod", *words, status=119)
    box.refuse("(see: husk help pod exec)", "pod", "exec", "a", status=125)
    box.refuse("/no/such", "pod", "run", "/no/such")
    for words in (("start", "x"), ("stop", "x"), ("rm", "x"), ("logs", "x"), ("exec", "x", "true"), ("attach", "x"),
                  ("inspect", "x"), ("top", "x"), ("wait", "x"), ("stats", "--no-stream", "x"), ("cp", "x:/a", "b"),
                  ("port-forward", "x", "80")):
        box.refuse("x: is no pod", "pod", *words)
    box.refuse("is no name of a pod", "pod", "inspect", "../../etc")
    box.refuse("selector", "pod", "ps", "-l", "a in (b")
    for verb in ("run", "ps", "exec", "port-forward"):
        require(box.husk("help", "pod", verb).startswith(f"husk pod {verb}"), verb)
    require("port-forward" in box.husk("help", "pod"), "help pod")


# ---- lives ----

def case_life(box):
    require(box.run_pod(sleeper()) == "web\n", "run prints names")
    lines = box.pod("ps").splitlines()
    require(lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"], lines)
    require(lines[1].split()[:4] == ["web", "1/1", "Running", "0"], lines)
    box.refuse("web: runs", "pod", "rm", "web")
    box.refuse("name of another pod", "pod", "run", box.file(sleeper()))
    box.refuse("web", "pod", "start", "web")
    require(box.pod("stop", "web") == "web\n", "stop")
    require(box.status("web")["phase"] in ("Succeeded", "Failed"), box.status("web"))
    require(box.pod("start", "web") == "web\n", "start")
    box.pod("wait", "--ready", "web")
    require(box.pod("rm", "-f", "web") == "web\n", "rm -f")
    require(box.names() == [], box.names())
    require(box.pod("rm", "-f", "web") == "", "rm -f of nothing")


def case_create(box):
    require(box.pod("create", "-", data=json.dumps(sleeper()).encode()) == "web\n", "create")
    require(box.pod("ps").splitlines()[1].split()[1:3] == ["0/1", "Pending"], box.pod("ps"))
    require(box.pod("stop", "web") == "web\n", "a pod that does not run is no error")
    box.pod("start", "web")
    box.pod("wait", "--ready", "web")
    box.pod("rm", "-f", "web")


def network_record(box, name, plugins, script):
    """As if the pod had a network of this plugin; its record."""
    plugins.mkdir(exist_ok=True)
    (plugins / "plugin").write_text("#!/bin/sh\n" + script, encoding="utf-8")
    (plugins / "plugin").chmod(0o755)
    box.environment["CNI_PATH"] = str(plugins)
    uid = json.loads((box.state / name / "spec.json").read_text())["uid"]
    text = json.dumps({"version": 1, "id": uid, "mode": "cni:mynet", "directory": str(box.state / name), "cni": {
        "list": {"cniVersion": "1.0.0", "name": "mynet", "plugins": [{"type": "plugin"}]}, "args": "", "runtime": {}}})
    (box.state / name / "network.json").write_text(text, encoding="utf-8")
    copy = pathlib.Path("/run/husk/network/pods") / f"{uid}.json"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text, encoding="utf-8")
    return copy


def case_network_that_clings(box):
    """A plugin that never takes back keeps a pod, until it is removed by force."""
    box.pod("create", box.file(sleeper("kept")))
    copy = network_record(box, "kept", box.top / "plugins", """echo '{"code": 100, "msg": "never"}'\nexit 1\n""")
    box.pod("rm", "kept", status=125,
            errors=r"husk: kept: still has its network; removed by force .*: plugin: the CNI plugin failed: never\n$")
    box.pod("rm", "--force", "kept",
            errors="^husk: kept: some of its network is left on the host: plugin: the CNI plugin failed: never\n$")
    require(box.names() == [] and not copy.exists(), box.names())
    # The same of one that runs.
    box.run_pod(sleeper("runs"), options=["-d"])
    copy = network_record(box, "runs", box.top / "plugins", """echo '{"code": 100, "msg": "never"}'\nexit 1\n""")
    box.pod("rm", "runs", status=125, errors="runs: runs: stop it first")
    box.pod("rm", "-f", "runs",
            errors="^husk: runs: some of its network is left on the host: plugin: the CNI plugin failed: never\n$")
    require(box.names() == [] and not copy.exists(), box.names())
    del box.environment["CNI_PATH"]


def case_network_of_nobody(box):
    """The network of a pod whose directory is gone is taken back by whoever looks; no other's is."""
    plugins, asked = box.top / "plugins", box.top / "asked"
    for name in ("stays", "goes"):
        box.pod("create", box.file(sleeper(name)))
    stays = network_record(box, "stays", plugins, f"echo $CNI_COMMAND $CNI_CONTAINERID >> {asked}\n")
    goes = network_record(box, "goes", plugins, f"echo $CNI_COMMAND $CNI_CONTAINERID >> {asked}\n")
    (box.state / "stays" / "network.json").unlink()
    shutil.rmtree(box.state / "goes")
    box.pod("ps")
    require(asked.read_text() == f"DEL {goes.stem}\n", asked.read_text())
    require(stays.exists() and not goes.exists(), "the wrong one is taken back")
    stays.unlink()
    del box.environment["CNI_PATH"]
    box.pod("rm", "stays")


def case_ends(box):
    end = pod("job", container("main", "sh", "-c", "echo out; echo err >&2; exit 3"), restartPolicy="Never")
    require(box.run_pod(end) == "job\n", "run")
    require(box.pod("wait", "job", status=3) == "job\n", "wait")
    require(box.pod("ps").splitlines()[1].split()[1:3] == ["0/1", "Error"], box.pod("ps"))
    box.pod("rm", "job")
    out = box.run_pod(end, options=("-a",), status=3, errors="^err\n$")
    require(out == "out\n", out)
    box.pod("rm", "job")
    box.run_pod(pod("job", container("main", "true"), restartPolicy="Never"), options=("-a", "--rm"))
    box.wait_for("its removal", lambda: box.names() == [])


def case_pull_secrets(box):
    """The command leaves the images of such a pod to the supervisor, which has the credentials."""
    wanted = "Basic " + base64.b64encode(b"alice:word").decode()

    def guard(handler):
        if handler.headers.get("Authorization") == wanted:
            return False
        handler.answer(401, b"{}", WWW_Authenticate='Basic realm="test"')
        return True

    box.environment.setdefault("HUSK_OCI", str(pathlib.Path(box.command()[0]).with_name("husk-oci")))
    with images.Liar(images.Image(podbox.box.layers()), guard) as registry:
        config = json.dumps({"auths": {registry.host: {"auth": wanted.split()[1]}}})
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                  "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}}
        main = container("main", "echo", "pulled", image=registry.name, imagePullPolicy="IfNotPresent")
        one = pod("job", main, restartPolicy="Never", imagePullSecrets=[{"name": "s"}])
        require(box.run_pod(one, secret, options=("-a",)) == "pulled\n", "its output")
    box.pod("rm", "job")


def case_attached_signal(box):
    with box.start("pod", "run", "-a", box.file(sleeper())) as process:
        require(process.stdout.readline() == b"up\n", "its first line")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    require(process.returncode == 0 and not err, (process.returncode, err))
    require(box.status("web")["phase"] in ("Succeeded", "Failed"), box.status("web"))
    box.pod("rm", "web")


def case_init_fails(box):
    bad = sleeper(initContainers=[container("first", "sh", "-c", "echo no; exit 4")], restartPolicy="Never")
    with box.start("pod", "run", box.file(bad)) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    require(process.returncode == 125 and not out, (process.returncode, out, err))
    require(re.fullmatch(rb"husk: web: does not come up: container first: Error: it has ended with 4\n", err), err)
    require(box.pod("logs", "web", "first") == "no\n", "its log is kept")
    box.pod("rm", "-f", "web")


def case_detached_failure(box):
    """What fails is tried again, and told by ps."""
    never = changed(sleeper(), ("spec", "containers", 0, "image"), "nothing-like-it")
    box.run_pod(never, options=("-d",))
    box.wait_for("the reason", lambda: re.search("ErrImage|ImagePull", box.pod("ps")))
    box.pod("rm", "-f", "web")


# ---- lists ----

def case_lists(box):
    box.pod("create", box.file(sleeper("a", {"labels": {"app": "web", "env": "test"}}),
                               sleeper("b", {"labels": {"app": "web"}}),
                               sleeper("c", {"namespace": "other"})))
    def names(*words):
        return box.pod("ps", "-o", "name", *words).split()
    require(names() == ["pod/a", "pod/b"], names())
    require(names("-A") == ["pod/a", "pod/b", "pod/other/c"], names("-A"))
    require(names("-n", "other") == ["pod/other/c"], "of a namespace")
    for selector, wanted in (("app=web,env!=test", ["pod/b"]), ("env in (test, prod)", ["pod/a"]), ("!env", ["pod/b"]),
                             ("env", ["pod/a"]), ("app notin (web)", [])):
        require(names("-l", selector) == wanted, (selector, names("-l", selector)))
    require(box.pod("ps", "-A").splitlines()[0].startswith("NAMESPACE"), "all namespaces")
    found = json.loads(box.pod("ps", "-o", "json"))
    require(found["kind"] == "PodList" and len(found["items"]) == 2, found)
    require("  name: a" in box.pod("ps", "-o", "yaml"), "yaml")
    one = json.loads(box.pod("inspect", "other/c"))
    require(one["metadata"]["namespace"] == "other" and one["spec"]["restartPolicy"] == "Always", one)
    require(json.loads(box.pod("inspect", one["metadata"]["uid"][:8]))["metadata"]["name"] == "c", "by uid")
    require(json.loads(box.pod("inspect", "a", "b"))["kind"] == "PodList", "several")
    require("kind: Pod\n" in box.pod("inspect", "-o", "yaml", "-n", "other", "c"), "yaml of one")
    require(box.pod("rm", "-l", "app=web").split() == ["a", "b"], "rm -l")
    require(box.pod("rm", "-A", "--all").split() == ["other/c"], "rm --all")


def case_watch(box):
    box.pod("create", box.file(sleeper()))
    with box.start("pod", "ps", "-w") as process:
        try:
            require(b"NAME" in process.stdout.readline() and b"Pending" in process.stdout.readline(), "the first list")
            box.pod("start", "web")
            while b"Running" not in process.stdout.readline():
                pass
        finally:
            process.kill()
    box.pod("rm", "-f", "web")


# ---- apply ----

def case_apply(box):
    first = sleeper("web", {"labels": {"v": "1"}})
    require(box.pod("apply", box.file(first)) == "pod/web created\n", "created")
    box.pod("wait", "--ready", "web")
    require(box.pod("apply", box.file(first)) == "pod/web unchanged\n", "unchanged")
    second = changed(first, ("metadata", "labels"), {"v": "2"})
    out = box.pod("apply", "-f", box.file(second))
    require(re.fullmatch(r"pod/web configured \(metadata\.labels.*\)\n", out), out)
    require(box.get("web")["metadata"]["labels"] == {"v": "2"}, "its labels")
    third = changed(second, ("spec", "containers", 0, "command"), ["sleep", "1000"])
    uid = box.get("web")["metadata"]["uid"]
    box.refuse("spec.containers[0].command", "pod", "apply", box.file(third))
    require(box.get("web")["metadata"]["uid"] == uid, "it was not touched")
    require(box.pod("apply", "--force", box.file(third)) == "pod/web replaced\n", "replaced")
    require(box.get("web")["metadata"]["uid"] != uid, "it is another")
    box.pod("rm", "-f", "web")


def case_deployment(box):
    def apply(replicas):
        return box.pod("apply", box.file(deployment("app", replicas, sleeper())))
    require(apply(3) == "".join(f"pod/app-{i} created\n" for i in range(3)), "three")
    box.pod("wait", "--ready", "-l", "app=app")
    require(apply(1) == "pod/app-0 unchanged\npod/app-1 removed\npod/app-2 removed\n", "down")
    require(apply(2) == "pod/app-0 unchanged\npod/app-1 created\n", "up")
    require(apply(0) == "pod/app-0 removed\npod/app-1 removed\n", "none")
    require(box.names() == [], box.names())


def case_config_in_place(box):
    main = container("main", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done",
                     volumeMounts=[{"name": "c", "mountPath": "/c"}])
    one = pod("web", main, volumes=[{"name": "c", "configMap": {"name": "settings"}}])
    box.run_pod(one, config_map("settings", a="old"))
    require(box.pod("exec", "web", "cat", "/c/a") == "old", "before")
    out = box.pod("apply", box.file(one, config_map("settings", a="new")))
    require("configMaps" in out, out)
    box.wait_for("the new text", lambda: box.pod("exec", "web", "cat", "/c/a") == "new")
    box.pod("rm", "-f", "web")


# ---- inside ----

def case_logs(box):
    talk = pod("web", container("a", "sh", "-c", "i=0; while [ $i -lt 20 ]; do echo a$i; i=$((i+1)); done; exit 1"),
               container("b", "sh", "-c", "echo b >&2; exec sleep 1000"), restartPolicy="OnFailure",
               initContainers=[container("first", "echo", "init")])
    box.run_pod(talk)
    lines = [f"a{i}" for i in range(20)]
    box.wait_for("a restart", lambda: box.status("web")["containerStatuses"][0]["restartCount"] >= 1)
    require(box.pod("logs", "-p", "web").split() == lines, "previous")
    box.wait_for("all of the latest", lambda: box.pod("logs", "web").split() == lines)
    require(box.pod("logs", "--tail", "2", "web").split() == ["a18", "a19"], "tail")
    require(box.pod("logs", "--since", "2999-01-01", "web") == "", "since")
    require(box.pod("logs", "web", "first") == "init\n", "init")
    require(box.pod("logs", "-c", "b", "web", errors="^b\n$") == "", "standard error")
    stamped = box.pod("logs", "-t", "--prefix", "web", "first")
    require(re.fullmatch(r"\[web/first\] \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z init\n", stamped), stamped)
    every = box.pod("logs", "--all-containers", "web", errors="b")
    require(every.split()[:2] == ["init", "a0"], every)
    box.refuse("c: is no container of the pod: web has first, a, b", "pod", "logs", "web", "c")
    box.refuse("b: has no earlier log", "pod", "logs", "-p", "web", "b")
    box.pod("rm", "-f", "web")


def case_follow(box):
    slow = pod("web", container("main", "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done"),
               restartPolicy="Never")
    box.run_pod(slow)
    require(box.pod("logs", "-f", "web").split() == ["1", "2", "3", "4", "5"], "logs -f")
    box.pod("rm", "-f", "web")


def case_exec(box):
    box.run_pod(sleeper())
    require(box.pod("exec", "web", "echo", "-n", "x") == "x", "options after the command are its own")
    require(box.pod("exec", "web", "-c", "main", "--", "echo", "y") == "y\n", "as kubectl")
    require(box.pod("exec", "-i", "web", "cat", data=b"in") == "in", "standard input")
    require(box.pod("exec", "web", "sh", "-c", "echo e >&2; exit 7", status=7, errors="^e\n$") == "", "status")
    box.pod("exec", "web", "/no/such", status=127, errors="no/such")
    box.pod("exec", "web", "/etc/not-executable", status=126, errors="not-executable")
    box.refuse("other: is no container", "pod", "exec", "-c", "other", "web", "true")
    box.pod("exec", "web", "sh", "-c", "kill -9 $$", status=137)
    with Terminal(box, "pod", "exec", "-it", "web", "sh", columns=100, rows=30) as terminal:
        terminal.send("stty size\n")
        terminal.expect("30 100")
        terminal.send("exit 5\n")
        terminal.finish(5)
    box.pod("stop", "web")
    box.refuse("web: does not run", "pod", "exec", "web", "true")
    box.pod("rm", "web")


def case_attach(box):
    reader = pod("web", container("main", "sh", "-c", "read x; echo got $x; exit 6", stdin=True, stdinOnce=True),
                 restartPolicy="Never")
    box.run_pod(reader)
    require(box.pod("attach", "web", data=b"words\n", status=6) == "got words\n", "attach")
    box.pod("rm", "-f", "web")
    box.run_pod(pod("web", container("main", "sh", stdin=True, tty=True)))
    with Terminal(box, "pod", "attach", "web") as terminal:
        terminal.send("echo $((6*7))\n")
        terminal.expect("42")
        terminal.send("\x10\x11")
        terminal.expect("detached")
        terminal.finish(0)
    box.pod("rm", "-f", "web")


def case_copy(box):
    box.run_pod(sleeper())
    source = box.top / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_bytes(os.urandom(300000))
    box.pod("cp", source, "web:/tmp")
    box.pod("cp", source / "file", "web:main:/tmp/copy")
    require(box.pod("exec", "web", "sh", "-c", "ls /tmp /tmp/source").split() ==
            ["/tmp:", "copy", "source", "/tmp/source:", "below", "file"], "what came in")
    box.pod("cp", "web:/tmp/source", box.top / "back")
    require((box.top / "back/file").read_bytes() == (source / "file").read_bytes(), "what came back")
    with box.start("pod", "cp", "web:/tmp/copy", "-") as process:
        archive, _ = process.communicate(timeout=PATIENCE_S)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        require(tar.getnames() == ["copy"], tar.getnames())
    box.refuse("/no/such", "pod", "cp", "web:/no/such", box.top)
    box.refuse("other: is no container", "pod", "cp", "web:other:/tmp", box.top)
    box.pod("rm", "-f", "web")


def case_usage_of_pods(box):
    box.run_pod(sleeper())
    lines = box.pod("stats", "--no-stream").splitlines()
    require(lines[0].split()[:3] == ["POD", "CONTAINER", "CPU"] and lines[1].split()[:2] == ["web", "main"], lines)
    counted = json.loads(box.pod("stats", "--no-stream", "--format", "json", "web"))
    require(counted["pod"] == "web" and "cpu_usec" in counted["containers"][0]["stats"], counted)
    lines = box.pod("top", "web").splitlines()
    require(lines[0].split() == ["PID", "USER", "STATE", "CPU", "AGE", "MEMORY", "COMMAND"] and len(lines) > 1, lines)
    box.pod("rm", "-f", "web")


def echoes(port):
    """Whether what listens there sends back what it gets."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(b"hello")
            return connection.recv(5, socket.MSG_WAITALL) == b"hello"
    except ConnectionError:  # until it listens, connections break
        return False


def case_port_forward(box):
    # Where there is no machine nobody has brought the pod's loopback up.
    echo = container("main", "sh", "-c", "busybox ifconfig lo up; exec busybox nc -ll -p 8080 -e cat",
                     securityContext={"capabilities": {"add": ["NET_ADMIN"]}})
    box.run_pod(pod("web", echo))
    with box.start("pod", "port-forward", "web", ":8080") as process:
        try:
            local = int(re.search(rb"127\.0\.0\.1:(\d+) -> 8080", process.stdout.readline()).group(1))
            box.wait_for("an echo", lambda: echoes(local))
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    require(process.returncode == 0, process.returncode)
    box.pod("rm", "-f", "web")
