#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What containers and pods need of images: it stays while they are there, whether they run or not."""
import json
import subprocess

import e2e
from images import FAILED, Image, Liar, Store, random_layer
from test_oci_load import layout, named

IMAGE = Image([random_layer("u", 3000)], config={"Cmd": ["/u"]})
LATER = Image([random_layer("v", 3000)], config={"Cmd": ["/v"]})


def husk(store, *words, data=None):
    done = subprocess.run([e2e.HUSK, *map(str, words)], env=store.environment, input=data, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=e2e.PATIENCE_S, check=False)
    e2e.require(done.returncode == 0, f"{words}: {done.stderr}")
    return done.stdout


def load(store, image, name, directory):
    store.run("load", layout(store.top / directory, [named(image, name)], image.blobs))


def test_a_container_that_does_not_run():
    with Store() as store:
        load(store, IMAGE, "used:1", "one")
        load(store, IMAGE, "other:1", "two")
        layer = store.layer(IMAGE.diff_ids[0])
        husk(store, "create", "--name", "idle", "used:1")
        error = store.fails("rm", "used:1", text="is in use")
        e2e.require('container "idle"' in error and "--force" in error, error)
        store.fails("rm", json.loads(store.run("inspect", "used:1").stdout)["id"][7:19], text="is in use")
        store.run("rm", "other:1")
        store.run("rm", "--force", "used:1")
        e2e.require(store.names() == [] and layer.exists(), "its layers went with the name")
        e2e.require(b"kept 1 layers" in store.run("prune").stdout and layer.exists(), "prune took them")
        husk(store, "rm", "idle")
        store.run("prune")
        store.empty()


def test_a_name_that_means_something_else():
    """The layers of what it was stay, also when a command that fails collects what it has left."""
    with Store() as store:
        load(store, IMAGE, "used:1", "one")
        husk(store, "create", "--name", "idle", "used:1")
        load(store, LATER, "used:1", "two")
        layer = store.layer(IMAGE.diff_ids[0])
        with Liar(Image([random_layer("w", 3000)]),
                  lambda handler: "blobs" in handler.path and (handler.answer(404, b"") or True)) as registry:
            store.run("pull", registry.name, status=FAILED)
        store.run("prune")
        e2e.require(layer.exists() and store.layer(LATER.diff_ids[0]).exists(), "layers are gone")
        husk(store, "rm", "idle")
        store.run("prune")
        store.whole()
        e2e.require(not layer.exists(), "it is there for ever")


def test_a_pod():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
           "spec": {"initContainers": [{"name": "i", "image": "docker.io/library/used:1"}],
                    "containers": [{"name": "c", "image": "other:1"}]}}
    with Store() as store:
        for name in ("used:1", "other:1", "unused:1"):
            load(store, IMAGE, name, name.split(":", maxsplit=1)[0])
        husk(store, "pod", "create", "--network", "none", "-", data=json.dumps(pod))
        for name in ("used:1", "other:1"):
            e2e.require('pod "web"' in store.fails("rm", name, text="is in use"), name)
        store.run("rm", "unused:1")
        store.run("rm", "-f", "used:1")
        husk(store, "pod", "rm", "web")
        store.run("rm", "other:1")
        store.empty()


def test_a_record_that_cannot_be_read():
    """It may need anything."""
    with Store() as store:
        load(store, IMAGE, "used:1", "one")
        load(store, LATER, "used:1", "two")
        husk(store, "create", "--name", "idle", "used:1")
        record = store.top / "containers" / "idle" / "spec.json"
        record.write_text("{")
        for words in (("prune",), ("rm", "used:1"), ("rm", "-f", "used:1")):
            error = store.run(*words, status=FAILED).stderr.decode()
            e2e.require(str(record) in error, error)
        e2e.require(store.layer(IMAGE.diff_ids[0]).exists() and store.layer(LATER.diff_ids[0]).exists(), "it is gone")


if __name__ == "__main__":
    e2e.main(globals())
