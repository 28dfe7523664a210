# SPDX-License-Identifier: Apache-2.0
"""What the tests of `husk pod` share: the box of containers' tests with a directory of pods of its own, and
manifests made of few words."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "container"))

# pylint: disable=wrong-import-position
import box
import e2e
from box import PATIENCE_S, Terminal  # pylint: disable=unused-import


class PodBox(box.Box):
    """`husk pod` with an image "busybox" and pods of its own."""

    def __init__(self, options=(), **environment):
        super().__init__(**environment)
        self.state = self.top / "pods"
        self.environment["HUSK_PODS"] = str(self.state)
        self.making = list(options)  # of every verb that makes pods

    def clean(self):
        subprocess.run(self.command("pod", "rm", "-f", "--all", "-A"), env=self.environment, check=False,
                       stdout=subprocess.DEVNULL, timeout=PATIENCE_S)

    def command(self, *words):
        words = list(map(str, words))
        if words[:1] == ["pod"] and words[1:2] and words[1] in ("run", "create", "apply"):
            return [e2e.HUSK, *words[:2], *self.making, *words[2:]]
        return [e2e.HUSK, *words]

    def pod(self, *words, **more):
        return self.husk("pod", *words, **more)

    def file(self, *documents, name="manifest.yaml"):
        """A file of these documents; texts are taken as they are."""
        path = self.top / name
        path.write_text("\n---\n".join(text if isinstance(text, str) else json.dumps(text)
                                       for text in documents), encoding="utf-8")
        return path

    def run_pod(self, *documents, options=(), **more):
        return self.pod("run", *options, self.file(*documents), **more)

    def get(self, name):
        return json.loads(self.pod("inspect", name))

    def status(self, name):
        return self.get(name)["status"]


def container(name, *command, **more):
    return {"name": name, "image": "busybox", "imagePullPolicy": "Never", "command": list(command), **more}


def pod(name, *containers, metadata=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}}


def sleeper(name="web", metadata=None, **spec):
    """One that runs until it is ended, and at once then."""
    return pod(name, container("main", "sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"),
               metadata=metadata, **spec)


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name, replicas, one):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {**one["spec"], "restartPolicy": "Always"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}}
