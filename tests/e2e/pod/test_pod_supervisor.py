#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a pod under its supervisor, with the real agent on this host: the order of containers, restarts,
probes and hooks, messages, stops, what clients ask, a machine and a supervisor that are killed."""
import base64
import io
import json
import os
import random
import shutil
import signal
import socket
import sys
import tarfile
import time

from native_pod import Failure, Pod, Refused, container, groups, has_ended, images, main, probe, require

SLEEP = "sleep 1000"
POLITE = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"


def refused(code, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except Refused as error:
        require(error.code == code, f"refused with {error}, not {code}")
        return error
    raise Failure(f"was not refused with {code}")


def ended(pod, name, status):
    return pod.of(name, status)["state"]["terminated"]


# ---- the order of containers ----


def two_run_and_exit(host):
    with Pod(host, container("a", "echo one; exit 0"), container("b", "echo two >&2; exit 0")) as pod:
        status = pod.end()
        require(status["phase"] == "Succeeded", status)
        for name in "ab":
            one = ended(pod, name, status)
            require((one["exitCode"], one["reason"]) == (0, "Completed"), one)
        require(pod.log("a") == [("stdout", "F", "one")], pod.log("a"))
        require(pod.log("b") == [("stderr", "F", "two")], pod.log("b"))
        require(pod.seen()["status"] == status, "the record says something else")


def one_fails(host):
    with Pod(host, container("a", "exit 0"), container("b", "exit 7")) as pod:
        status = pod.end()
        require(status["phase"] == "Failed", status)
        require((ended(pod, "b", status)["exitCode"], ended(pod, "b", status)["reason"]) == (7, "Error"), status)


def inits_in_order(host):
    shared = [{"name": "shared", "mountPath": "/shared"}]
    inits = [container(f"i{n}", f"echo {n} >> /shared/order", volumeMounts=shared) for n in range(3)]
    with Pod(host, container("a", "cat /shared/order", volumeMounts=shared), inits=inits,
             volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        status = pod.end()
        require(status["phase"] == "Succeeded", status)
        require(pod.text("a") == "0\n1\n2\n", pod.text("a"))


def an_init_that_fails(host):
    with Pod(host, container("a", "echo never"), inits=[container("i", "exit 3")]) as pod:
        status = pod.end()
        require(status["phase"] == "Failed", status)
        require(ended(pod, "i", status)["exitCode"] == 3, status)
        require("waiting" in pod.of("a", status)["state"], status)


def an_init_is_tried_again(host):
    with Pod(host, container("a", "echo done"), policy="OnFailure",
             inits=[container("i", "test -e /shared/x || { touch /shared/x; exit 1; }",
                              volumeMounts=[{"name": "shared", "mountPath": "/shared"}])],
             volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        status = pod.end()
        require(status["phase"] == "Succeeded", status)
        require(pod.of("i", status)["restartCount"] == 1, status)


def sidecars(host):
    """They start before the others, and end after them, in reverse order."""
    shared = [{"name": "shared", "mountPath": "/shared"}]

    def sidecar(name):
        return container(name, f"trap 'echo {name} >> /shared/ends; exit 0' TERM; touch /shared/{name}; "
                         "while :; do sleep 0.05; done", restartPolicy="Always", volumeMounts=shared,
                         startupProbe=probe(exec={"command": ["test", "-e", f"/shared/{name}"]}, failureThreshold=30))

    watcher = container("w", "trap 'sleep 1; cat /shared/ends; exit 0' TERM; while :; do sleep 0.05; done",
                        restartPolicy="Always", volumeMounts=shared)
    with Pod(host, container("a", "ls /shared; echo a > /shared/ends", volumeMounts=shared),
             inits=[watcher, sidecar("s1"), sidecar("s2")], volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        status = pod.end()
        require(status["phase"] == "Succeeded", status)
        require(pod.text("a") == "s1\ns2\n", pod.text("a"))
        require(pod.text("w") == "a\ns2\ns1\n", pod.text("w"))


# ---- restarts ----


def restarted(host):
    with Pod(host, container("a", "echo run; exit 1"), container("b", SLEEP), policy="Always", grace=1) as pod:
        status = pod.until_status(lambda s: pod.of("a", s)["state"].get("waiting", {}).get("reason") ==
                                  "CrashLoopBackOff", "back-off")
        one = pod.of("a", status)
        require(one["restartCount"] == 1 and one["lastState"]["terminated"]["exitCode"] == 1, one)
        last = one["lastState"]["terminated"]["containerID"]
        require(last == f"husk://{pod.record['uid']}/a/1" == one["containerID"], one)
        require(pod.text("a", 0) == pod.text("a", 1) == "run\n", "logs of two runs")
        require("running" in pod.of("b", status)["state"], "b was restarted, too")
        status = pod.stop()
        require(status["phase"] == "Failed", status)
        require((ended(pod, "a", status)["exitCode"], ended(pod, "a", status)["containerID"]) == (1, last), status)
        require(ended(pod, "b", status)["exitCode"] == 137, status)


def stopped_after_a_restart(host):
    """The end that the stop brings is no reason for a back-off, nor one that went before."""
    once = container("a", f"test -e /shared/x || {{ touch /shared/x; exit 4; }}; {POLITE}",
                     volumeMounts=[{"name": "shared", "mountPath": "/shared"}])
    with Pod(host, once, policy="Always", volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        pod.until_status(lambda s: pod.of("a", s)["restartCount"] == 1 and "running" in pod.of("a", s)["state"],
                         "its second run")
        pod.until(lambda: "ready" in pod.text("a", 1), "ready")
        status = pod.stop()
        require(ended(pod, "a", status)["exitCode"] == 9, status)
        require(pod.of("a", status)["lastState"]["terminated"]["exitCode"] == 4, status)


def on_failure(host):
    with Pod(host, container("a", "test -e /shared/x && exit 0; touch /shared/x; exit 5",
                             volumeMounts=[{"name": "shared", "mountPath": "/shared"}]), policy="OnFailure",
             volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        status = pod.end()
        require(status["phase"] == "Succeeded" and pod.of("a", status)["restartCount"] == 1, status)
        require(pod.of("a", status)["lastState"]["terminated"]["exitCode"] == 5, status)


def what_cannot_be_executed(host):
    broken = container("a", "")
    broken["command"] = ["/no/such"]
    with Pod(host, broken) as pod:
        status = pod.end()
        one = ended(pod, "a", status)
        require((one["exitCode"], one["reason"], status["phase"]) == (127, "StartError", "Failed"), status)


# ---- images ----


def images_that_are_not_there(host):
    never = {**container("a", "exit 0"), "image": "nowhere.example/none:1", "imagePullPolicy": "Never"}
    with Pod(host, never) as pod:
        status = pod.until_status(lambda s: pod.of("a", s)["state"].get("waiting", {}).get("reason") ==
                                  "ErrImageNeverPull", "ErrImageNeverPull")
        require(status["phase"] == "Pending", status)
        require(pod.stop()["phase"] == "Failed", "phase")


def a_pull_that_fails(host):
    one = {**container("a", "exit 0"), "image": "127.0.0.1:1/none:1"}
    with Pod(host, one) as pod:
        status = pod.until_status(lambda s: pod.of("a", s)["state"].get("waiting", {}).get("reason") ==
                                  "ErrImagePull", "ErrImagePull")
        require(pod.of("a", status)["state"]["waiting"]["message"], status)
        pod.until_status(lambda s: pod.of("a", s)["state"]["waiting"]["reason"] == "ImagePullBackOff", "back-off")
        pod.stop()


def image_pull_secrets(host):
    """A registry that lets in only who brings the pod's own credentials, which are in no file of the pod but its
    record."""
    wanted = "Basic " + base64.b64encode(b"alice:the secret").decode()
    host.environment["HUSK_OCI"] = os.path.join(os.path.dirname(os.environ["HUSK"]), "husk-oci")

    def guard(handler):
        if handler.headers.get("Authorization") == wanted:
            return False
        handler.answer(401, b"{}", WWW_Authenticate='Basic realm="test"')
        return True

    image = images.Image([images.tar_of([("file", b"x")])])
    with images.Liar(image, guard) as registry:
        config = {"auths": {registry.host: {"username": "alice", "password": "the secret"}}}
        data = {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()}
        one = {**container("a", "echo pulled"), "image": registry.name}
        with Pod(host, one, imagePullSecrets=[{"name": "gone"}]) as pod:
            status = pod.until_status(lambda s: pod.of("a", s)["state"].get("waiting", {}).get("reason") ==
                                      "ErrImagePull", "ErrImagePull")
            require("password" in pod.of("a", status)["state"]["waiting"]["message"], status)
            require("gone" in pod.errors(), "nothing is said of the secret")
            pod.stop()
        with Pod(host, one, imagePullSecrets=[{"name": "gone"}, {"name": "s"}],
                 objects={"configMaps": {}, "secrets": {"s": {"data": data}}}) as pod:
            require(pod.end()["phase"] == "Succeeded" and pod.text("a") == "pulled\n", pod.status())
            require("the secret" not in pod.errors() and "the secret" not in json.dumps(pod.seen()), "it is told")


# ---- probes and hooks ----


def readiness_gates(host):
    gated = container("a", f"{POLITE}", readinessProbe=probe(exec={"command": ["test", "-e", "/tmp/ready"]}))
    with Pod(host, gated, policy="Always") as pod:
        pod.running("a")
        require(not pod.of("a")["ready"], "ready at once")
        waiter = pod.connect()
        number = waiter.begin("wait", **{"for": "ready"})
        pod.exec("a", "touch /tmp/ready")
        conditions = {one["type"]: one["status"] for one in waiter.finish(number)["status"]["conditions"]}
        require(conditions["Ready"] == conditions["ContainersReady"] == "True", conditions)
        pod.exec("a", "rm /tmp/ready")
        pod.until_status(lambda s: not pod.of("a", s)["ready"], "not ready any more")
        waiter.close()
        require(pod.stop()["phase"] == "Failed", "its status was 9")


def liveness_restarts(host):
    lively = container("a", "test -e /shared/once || { touch /shared/once /tmp/x; }; " + SLEEP,
                       livenessProbe=probe(exec={"command": ["test", "!", "-e", "/tmp/x"]}, failureThreshold=1),
                       volumeMounts=[{"name": "shared", "mountPath": "/shared"}])
    with Pod(host, lively, policy="Always", grace=1, volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        status = pod.until_status(lambda s: pod.of("a", s)["restartCount"] == 1 and pod.of("a", s)["ready"],
                                  "a restart")
        require(pod.of("a", status)["lastState"]["terminated"]["exitCode"] == 137, status)
        pod.stop(grace_ms=0)


def tcp_and_http_probes(host):
    """Answers of a shell, which listens anew after each: a port for each probe, that none comes just after another."""
    server = ("answer() { printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n'; }; "
              "while :; do answer | /bin/busybox nc -l -p 8081 >/dev/null; done & "
              "while :; do answer | /bin/busybox nc -l -p 8080 >/dev/null; done")
    one = container("a", server, ports=[{"name": "web", "containerPort": 8080, "protocol": "TCP"}],
                    readinessProbe=probe(httpGet={"path": "/", "port": "web", "scheme": "HTTP"}))
    other = container("b", SLEEP, startupProbe=probe(tcpSocket={"port": 8081}, failureThreshold=30))
    with Pod(host, one, other, grace=1) as pod:
        pod.until_status(lambda s: pod.of("a", s)["ready"] and pod.of("b", s)["started"], "both probes")
        pod.stop(grace_ms=0)


def hooks(host):
    shared = [{"name": "shared", "mountPath": "/shared"}]
    one = container("a", "trap 'cat /shared/hooks; exit 0' TERM; while :; do sleep 0.05; done", volumeMounts=shared,
                    lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo post >> /shared/hooks"]}},
                               "preStop": {"exec": {"command": ["sh", "-c", "echo pre >> /shared/hooks"]}}})
    with Pod(host, one, volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        pod.until_status(lambda s: pod.of("a", s)["ready"], "ready")
        status = pod.stop()
        require(status["phase"] == "Succeeded", status)
        require(pod.text("a") == "post\npre\n", pod.text("a"))


def a_hook_that_fails(host):
    one = container("a", SLEEP, lifecycle={"postStart": {"exec": {"command": ["false"]}}})
    with Pod(host, one, grace=1) as pod:
        status = pod.end()
        require(status["phase"] == "Failed" and ended(pod, "a", status)["exitCode"] == 137, status)


def a_probe_with_its_own_grace(host):
    """The pod's grace is longer than the test may take."""
    deaf = container("a", DEAF, livenessProbe=probe(exec={"command": ["false"]}, failureThreshold=1,
                                                    terminationGracePeriodSeconds=1))
    with Pod(host, deaf, grace=3600) as pod:
        status = pod.end()
        require(ended(pod, "a", status)["exitCode"] == 137 and status["phase"] == "Failed", status)


def a_stop_signal_of_the_pod(host):
    one = container("a", "trap 'exit 21' USR1; trap 'exit 22' TERM; echo ready; while :; do sleep 0.05; done",
                    lifecycle={"stopSignal": "SIGUSR1"})
    with Pod(host, one, grace=60, os={"name": "linux"}) as pod:
        pod.running("a")
        pod.until(lambda: "ready" in pod.text("a"), "ready")
        require(pod.of("a")["stopSignal"] == "SIGUSR1", pod.of("a"))
        require(ended(pod, "a", pod.stop())["exitCode"] == 21, "the exit of another signal")


def a_hook_that_takes_all_the_time(host):
    """It is given up, and the signal comes all the same."""
    one = container("a", POLITE, lifecycle={"preStop": {"exec": {"command": ["sleep", "1000"]}}})
    with Pod(host, one, grace=1) as pod:
        pod.running("a")
        pod.until(lambda: "ready" in pod.text("a"), "ready")
        require(ended(pod, "a", pod.stop())["exitCode"] == 9, "it had no signal")
        require(pod.text("a") == "ready\nbye\n", pod.text("a"))


def sidecars_after_a_deaf_container(host):
    """What the others took all the grace of: sidecars are asked all the same, and their hooks came with the end."""
    shared = [{"name": "shared", "mountPath": "/shared"}]
    side = container("s", "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
                     restartPolicy="Always", volumeMounts=shared,
                     lifecycle={"preStop": {"exec": {"command": ["touch", "/shared/hook"]}}})
    deaf = container("a", "trap '' TERM; echo ready; while :; do test -e /shared/hook && echo hook; sleep 0.1; done",
                     volumeMounts=shared)
    with Pod(host, deaf, inits=[side], grace=1, volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        pod.running("a", "s")
        pod.until(lambda: "ready" in pod.text("a") and "ready" in pod.text("s"), "both are ready")
        status = pod.stop()
        require(ended(pod, "a", status)["exitCode"] == 137, status)
        require("hook" in pod.text("a"), "the sidecar's hook waited for the others")
        require(ended(pod, "s", status)["exitCode"] == 0 and "asked" in pod.text("s"), status)


def a_sidecar_that_cannot_be_killed(host):
    """Main containers have ended, and the guest does nothing any more: the machine is turned off."""
    deaf = container("s", DEAF, restartPolicy="Always")
    with Pod(host, container("a", "sleep 1"), inits=[deaf], grace=5) as pod:
        pod.until_status(lambda s: "terminated" in pod.of("a", s)["state"], "the end of a")
        machine = pod.seen()["machine_pid"]
        with open(f"/proc/{machine}/task/{machine}/children", encoding="ascii") as file:
            agent = int(file.read())
        os.kill(agent, signal.SIGSTOP)
        status = pod.end()
        require(status["phase"] == "Succeeded" and ended(pod, "s", status)["exitCode"] == 137, status)


# ---- messages ----


def termination_messages(host):
    with Pod(host, container("file", "echo -n told > /dev/termination-log; exit 3"),
             container("log", "echo first; echo last; exit 1", terminationMessagePolicy="FallbackToLogsOnError"),
             container("fine", "echo no; exit 0", terminationMessagePolicy="FallbackToLogsOnError")) as pod:
        status = pod.end()
        require(ended(pod, "file", status)["message"] == "told", status)
        require(ended(pod, "log", status)["message"] == "first\nlast\n", status)
        require("message" not in ended(pod, "fine", status), status)


def long_messages(host):
    """Cut at 4096 bytes, but in no character; and no record is too long for what JSON makes of control characters."""
    letters = "a" + "\u00e4" * 2100
    control = "head -c 4096 /dev/zero | tr '\\0' '\\1' > /dev/termination-log; echo told; sleep 3; exit 1"
    names = ("a", "b", "c")
    with Pod(host, container("a", f"printf %s '{letters}' > /dev/termination-log; exit 1")) as pod:
        require(ended(pod, "a", pod.end())["message"] == letters[:2048], "the message that was cut")
    with Pod(host, *(container(name, control) for name in names), policy="Always") as pod:
        logs = [pod.directory / "logs" / name / "1.log" for name in names]
        pod.until(lambda: all(log.exists() and "told" in log.read_text() for log in logs), "their second runs")
        pod.stop(grace_ms=0)
        status = pod.seen()["status"]
        require(status["phase"] == "Failed" and "reason" not in status, status)
        require(all(pod.of(name, status)["restartCount"] == 1 for name in names), status)


# ---- stops ----


def stopped_politely(host):
    with Pod(host, container("a", POLITE), container("b", DEAF), grace=2, policy="Always") as pod:
        pod.running("a", "b")
        pod.until(lambda: "ready" in pod.text("a") and "ready" in pod.text("b"), "both are ready")
        status = pod.stop()
        require(ended(pod, "a", status)["exitCode"] == 9 and ended(pod, "b", status)["exitCode"] == 137, status)
        require(pod.text("a") == "ready\nbye\n", pod.text("a"))
        require(status["phase"] == "Failed", status)


def stopped_by_sigterm(host):
    with Pod(host, container("a", POLITE)) as pod:
        pod.running("a")
        pod.until(lambda: "ready" in pod.text("a"), "ready")
        os.kill(pod.seen()["supervisor"]["pid"], signal.SIGTERM)
        require(ended(pod, "a", pod.end())["exitCode"] == 9, "exit")


def stopped_in_any_phase(host):
    for number in range(12):
        with Pod(host, container("a", SLEEP), inits=[container("i", "sleep 0.1")]) as pod:
            time.sleep(number * 0.04)
            require(pod.stop(grace_ms=0)["phase"] == "Failed", "phase")
            require(not (pod.directory / "network.json").exists(), "the network is still there")


def started_as_soon_as_it_has_ended(host):
    """Whoever reads in the record that it has ended can start it: its supervisor may be about to leave."""
    with Pod(host, container("a", SLEEP)) as pod:
        for _ in range(10):
            pod.client.call("stop", grace_ms=0)
            pod.until(lambda: pod.seen()["status"]["phase"] == "Failed", "its end")
            pod.client.close()
            pod.start()
        pod.stop(grace_ms=0)


def a_deadline(host):
    with Pod(host, container("a", SLEEP), grace=1, activeDeadlineSeconds=1) as pod:
        status = pod.end()
        require((status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded"), status)


def a_volume_beyond_its_limit(host):
    mount = [{"name": "v", "mountPath": "/v"}]
    limited = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]
    fill = "dd if=/dev/zero of=/v/x bs=1k count=%d 2>/dev/null; " + SLEEP
    with Pod(host, container("a", fill % 2000, volumeMounts=mount), grace=1, volumes=limited) as pod:
        status = pod.end()
        require((status["phase"], status["reason"]) == ("Failed", "Evicted") and '"v"' in status["message"], status)


def removes_itself(host):
    with Pod(host, container("a", "exit 0"), remove=True) as pod:
        pod.client.call("wait")
        require(pod.name not in host.names(), "is still there when wait is answered")


# ---- what clients ask ----


def executed(host):
    with Pod(host, container("a", SLEEP, env=[{"name": "WORD", "value": "seen"}]), container("b", SLEEP)) as pod:
        pod.running("a", "b")
        result = pod.exec("a", "echo $WORD; echo err >&2; exit 4")
        require(result == ({"status": 4, "signal": 0, "oom": False}, "seen\n", "err\n"), result)
        error = refused("not-found", pod.client.call, "exec", container="a", args=["/no/such"])
        require(error.status == 127, error.status)
        refused("not-found", pod.client.call, "exec", container="c", args=["true"])
        refused("invalid", pod.client.call, "exec", container="a", args=[])
        refused("invalid", pod.client.call, "stop", grace_ms=-1)
        refused("unsupported", pod.client.call, "dance")
        names = [one["command"] for one in pod.client.call("processes", container="b")["processes"]]
        require(any("sleep 1000" in one for one in names), names)
        stats = pod.client.call("stats")
        require(sorted(one["name"] for one in stats["containers"]) == ["a", "b"], stats)
        pod.client.call("kill", container="b", signal=9)
        pod.until_status(lambda s: "terminated" in pod.of("b", s)["state"], "the end of b")
        refused("state", pod.client.call, "exec", container="b", args=["true"])
        pod.stop(grace_ms=0)


def attached(host):
    with Pod(host, container("a", "cat; echo over", stdin=True, stdinOnce=True)) as pod:
        pod.running("a")
        _, streams = pod.client.streams("attach", container="a", stdin=True)
        streams["stdin"].send(b"hello\n")
        streams["stdout"].until(b"hello")
        streams["stdin"].end()
        streams["stdout"].until(b"over")
        require(pod.end()["phase"] == "Succeeded", "phase")


def archives(host):
    with Pod(host, container("a", SLEEP)) as pod:
        pod.running("a")
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            info = tarfile.TarInfo("file")
            info.size = 5
            tar.addfile(info, io.BytesIO(b"bytes"))
        result, streams = pod.client.streams("archive.put", container="a", path="/tmp/in", create=True)
        streams["stdin"].send(data.getvalue())
        streams["stdin"].end()
        require(pod.client.call("exec.wait", container="a", process=result["process"])["status"] == 0, "put")
        result, streams = pod.client.streams("archive.get", container="a", path="/tmp/in/file")
        with tarfile.open(fileobj=io.BytesIO(streams["stdout"].read())) as tar:
            require(tar.extractfile("file").read() == b"bytes", "contents")
        pod.stop(grace_ms=0)


def dialed(host):
    with Pod(host, container("a", "echo hello | /bin/busybox nc -l -p 7000")) as pod:
        pod.running("a")

        def try_it():
            try:
                return pod.client.whole(pod.client.begin("dial", port=7000))
            except Refused as error:
                require(error.code == "failed", error)
                return None

        answer = pod.until(try_it, "a listener")
        with socket.socket(fileno=answer["fds"][0]) as connection:
            connection.setblocking(True)
            require(connection.recv(100) == b"hello\n", "what it says")
        pod.stop(grace_ms=0)


def names_and_starts(host):
    with Pod(host, container("a", "exit 0"), start=False) as pod:
        require(pod.seen()["status"]["phase"] == "Pending" and not pod.seen()["alive"], pod.seen())
        done = host.native("pod-create", host.pods, pod.write(), check=False)
        require(done.returncode == 1 and "is the name of another pod" in done.stderr, done.stderr)
        pod.start()
        require(pod.end()["phase"] == "Succeeded", "phase")
        pod.start()  # anew
        status = pod.end()
        require(pod.of("a", status)["restartCount"] == 1 and pod.of("a", status)["lastState"], status)


def started_twice(host):
    with Pod(host, container("a", SLEEP)) as pod:
        pod.running("a")
        done = host.native("pod-start", host.pods, pod.name, check=False)
        require(done.returncode == 1 and "is running" in done.stderr, done.stderr)
        done = host.native("pod-remove", host.pods, pod.name, check=False)
        require(done.returncode == 1 and "is running" in done.stderr, done.stderr)
        pod.stop(grace_ms=0)


def apply(pod):
    """What is in pod.record now."""
    name = pod.host.native("pod-apply", pod.host.pods, pod.name, pod.write()).stdout.strip()
    return pod.client.call("apply", file=name)["changed"]


def applied(host):
    objects = {"configMaps": {"c": {"data": {"key": "old"}, "binaryData": {}}}, "secrets": {}}
    mounts = [{"name": "v", "mountPath": "/v", "readOnly": True}]
    with Pod(host, container("a", SLEEP, volumeMounts=mounts), objects=objects,
             volumes=[{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}]) as pod:
        pod.running("a")
        require(pod.exec("a", "cat /v/key")[1] == "old", "the old value")
        pod.record["objects"]["configMaps"]["c"]["data"]["key"] = "new"
        changed = apply(pod)
        require(len(changed) == 1 and "c" in changed[0], changed)
        pod.until(lambda: pod.exec("a", "cat /v/key")[1] == "new", "the new value")
        pod.record["pod"]["spec"]["containers"][0]["command"] = ["true"]
        refused("exists", apply, pod)
        refused("invalid", pod.client.call, "apply", file="../state.json")
        require(not [entry for entry in os.listdir(pod.directory) if entry.startswith("apply-")], "left files")
        pod.stop(grace_ms=0)


def applied_while_all_goes_on(host):
    """Probes of every kind, a hook, a command, a crash and another machine, with a description that is replaced again
    and again meanwhile: nobody may still use one that has been replaced."""
    serve = ("cd /; echo ok > up; httpd -p 8080 -h / 2>/dev/null || while :; do "
             "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n' | nc -l -p 8080 >/dev/null; done & ")
    slow = {"exec": {"command": ["sh", "-c", "echo x >>/probed; sleep 0.5"]}}
    web = container(
        "web", serve + SLEEP, ports=[{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        startupProbe=probe(tcpSocket={"port": "http"}, failureThreshold=50),
        readinessProbe=probe(httpGet={"path": "/up", "port": "http", "scheme": "HTTP"}, failureThreshold=50),
        livenessProbe=probe(**slow),
        lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo x >>/started"]}},
                   "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo stopping >/proc/1/fd/1"]}}})
    with Pod(host, web, container("crashes", "sleep 0.2; exit 1"), policy="Always",
             inits=[container("first", "true")]) as pod:
        def change(word):
            pod.record["pod"]["metadata"]["labels"] = {"n": word}
            require(apply(pod) == ["metadata.labels[n]"], "changed")

        pod.running("web")
        for number in range(20):  # while the hook and the first probes are under way
            change(f"early-{number}")
            time.sleep(0.05)
        pod.until_status(lambda status: pod.of("web", status)["ready"], "it is ready")
        for number in range(10):
            change(f"ready-{number}")
            require(pod.exec("web", "echo here")[1] == "here\n", "a command")
            require(sorted(one["name"] for one in pod.client.call("stats")["containers"])[-1] == "web", "stats")
        probed = len(pod.exec("web", "cat /probed")[1])
        pod.until(lambda: len(pod.exec("web", "cat /probed")[1]) >= probed + 4, "two more probes")
        require(pod.exec("web", "cat /started")[1] == "x\n", "the postStart hook")
        os.kill(pod.seen()["machine_pid"], signal.SIGKILL)
        change("without-a-machine")
        pod.until_status(lambda status: pod.of("web", status)["restartCount"] == 1 and pod.of("web", status)["ready"],
                         "it is ready once more")
        change("another-machine")
        pod.record["pod"]["spec"]["terminationGracePeriodSeconds"] = 20
        require(apply(pod) == ["spec.terminationGracePeriodSeconds"], "changed")
        require(pod.client.call("stop") == {}, "stop")
        pod.until_status(lambda status: not pod.of("web", status)["ready"], "it is being stopped")
        refused("state", change, "too-late")
        pod.end()
        require("stopping\n" in pod.text("web", 1), "the preStop hook")


def another_deadline(host):
    with Pod(host, container("a", SLEEP), grace=1) as pod:
        pod.running("a")
        pod.record["pod"]["spec"]["activeDeadlineSeconds"] = 1000
        require(apply(pod) == ["spec.activeDeadlineSeconds"], "changed")
        pod.record["pod"]["spec"]["activeDeadlineSeconds"] = 1
        require(apply(pod) == ["spec.activeDeadlineSeconds"], "changed")
        status = pod.end()
        require((status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded"), status)
    with Pod(host, container("a", SLEEP), grace=1, activeDeadlineSeconds=4) as pod:
        pod.running("a")
        del pod.record["pod"]["spec"]["activeDeadlineSeconds"]
        require(apply(pod) == ["spec.activeDeadlineSeconds"], "changed")
        time.sleep(4.5)
        require(pod.status()["phase"] == "Running", pod.status())
        pod.stop(grace_ms=0)


# ---- what is killed ----


def the_machine_is_killed(host):
    with Pod(host, container("a", "echo run; " + SLEEP), inits=[container("i", "echo init")], policy="Always") as pod:
        pod.running("a")
        pod.until(lambda: pod.text("a") == "run\n", "its output")
        os.kill(pod.seen()["machine_pid"], signal.SIGKILL)
        status = pod.until_status(lambda s: pod.of("a", s)["restartCount"] == 1 and
                                  "running" in pod.of("a", s)["state"], "another run")
        last = pod.of("a", status)["lastState"]["terminated"]
        require((last["exitCode"], last["reason"]) == (137, "MachineLost"), last)
        require(pod.of("i", status)["restartCount"] == 1, "init containers run again")
        pod.until(lambda: pod.text("a", 1) == "run\n", "its output")
        pod.stop(grace_ms=0)


def a_record_that_is_removed(host):
    """By somebody's hands: a pod that nobody can find any more ends when it notices."""
    with Pod(host, container("a", "sleep 1"), policy="Always", grace=1) as pod:
        pod.running("a")
        pid = pod.seen()["supervisor"]["pid"]
        shutil.rmtree(pod.directory)
        pod.until(lambda: has_ended(pid), "the supervisor's end")


def a_machine_that_is_not_to_come_back(host):
    with Pod(host, container("a", SLEEP), container("b", "exit 0"), policy="Never") as pod:
        pod.until_status(lambda s: "running" in pod.of("a", s)["state"] and
                         "terminated" in pod.of("b", s)["state"], "a runs, b has ended")
        os.kill(pod.seen()["machine_pid"], signal.SIGKILL)
        status = pod.end()
        require(status["phase"] == "Failed" and ended(pod, "a", status)["reason"] == "MachineLost", status)
        require(ended(pod, "b", status)["exitCode"] == 0, status)


def a_machine_that_does_not_come_up(host):
    with Pod(host, container("a", SLEEP), policy="Always", fault="dies") as pod:
        time.sleep(1)
        require(pod.status()["phase"] == "Pending", pod.status())
        require(pod.stop()["phase"] == "Failed", "phase")


def the_supervisor_is_killed(host):
    with Pod(host, container("a", "echo run; " + SLEEP), policy="Always") as pod:
        pod.running("a")
        pod.until(lambda: pod.text("a") == "run\n", "its output")
        require(groups.of_this_run("husk-native"), "no control group of a machine")  # at the end, none is left
        pod.kill()
        state = pod.seen()
        require(not state["alive"] and state["status"]["phase"] == "Failed", state)
        require(state["status"]["reason"] == "SupervisorLost", state)
        require(pod.of("a", state["status"])["state"]["terminated"]["exitCode"] == 137, state)
        pod.start()
        status = pod.running("a")
        require(pod.of("a", status)["restartCount"] == 1, status)
        require(pod.of("a", status)["lastState"]["terminated"]["reason"] == "SupervisorLost", status)
        require(pod.text("a", 0) == "run\n", "the log of the first run")
        pod.stop(grace_ms=0)


def killed_at_any_moment(host):
    """Whatever it was doing: a start after it goes on, and no line that a container had flushed is lost."""
    seed = int(os.environ.get("HUSK_TEST_SEED", "0")) or random.randrange(1 << 32)
    print(f"HUSK_TEST_SEED={seed}")
    chance = random.Random(seed)
    lines = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done"
    with Pod(host, container("a", lines), policy="Always", inits=[container("i", "sleep 0.02")]) as pod:
        for _ in range(15):
            time.sleep(chance.random() * 0.6)
            pod.kill()
            state = pod.seen()
            require(not state["alive"], state)
            host.tidy()
            left = {entry.name for entry in pod.directory.iterdir()} & {"network.json", "scratch.img", "state.new"}
            require(not left - {"state.new"}, left)
            pod.client.close()
            pod.start()
        pod.running("a")
        pod.stop(grace_ms=0)
        runs = sorted(int(path.name.split(".")[0]) for path in (pod.directory / "logs" / "a").iterdir())
        require(runs == list(range(len(runs))), runs)
        for run in runs:
            numbers = [int(text.split()[1]) for _, tag, text in pod.log("a", run) if tag == "F"]
            require(numbers == list(range(1, len(numbers) + 1)), f"run {run}: {numbers[:5]} … {numbers[-5:]}")


CASES = [two_run_and_exit, one_fails, inits_in_order, an_init_that_fails, an_init_is_tried_again, sidecars,
         restarted, stopped_after_a_restart, on_failure, what_cannot_be_executed, images_that_are_not_there, a_pull_that_fails,
         image_pull_secrets,
         readiness_gates, liveness_restarts, tcp_and_http_probes, hooks, a_hook_that_fails,
         termination_messages, long_messages, a_probe_with_its_own_grace, a_stop_signal_of_the_pod,
         a_hook_that_takes_all_the_time,
         sidecars_after_a_deaf_container, a_sidecar_that_cannot_be_killed,
         stopped_politely, stopped_by_sigterm, stopped_in_any_phase, started_as_soon_as_it_has_ended, a_deadline, a_volume_beyond_its_limit,
         removes_itself, executed, attached, archives, dialed, names_and_starts, started_twice, applied,
         applied_while_all_goes_on, another_deadline, the_machine_is_killed, a_record_that_is_removed, a_machine_that_is_not_to_come_back, a_machine_that_does_not_come_up,
         the_supervisor_is_killed, killed_at_any_moment]

if __name__ == "__main__":
    sys.exit(main(CASES))
