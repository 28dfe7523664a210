#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk image pull from Debian's docker-registry on loopback: tags, digests, platforms, TLS, passwords."""
import base64
import json

import e2e
import images
from images import Image, Store, docker_registry, push, random_layer, tar_of

BIG = Image([random_layer(f"part{number}", 700000) for number in range(6)] + [tar_of([("a/.wh.b", b"")])],
            {"Cmd": ["/part0"]})
PASSWORD = "open sesame 7"


def test_pull_and_share_layers():
    with Store() as store, docker_registry(store.top) as host:
        push(store.top, "team/app", "1", BIG)
        lines = store.run("pull", f"{host}/team/app:1")
        e2e.require(lines.stdout.decode() == f"{host}/team/app:1 {BIG.manifest['digest']}\n", f"{lines.stdout}")
        e2e.require(lines.stderr.count(b": done (") == 7 and b"\033" not in lines.stderr, f"{lines.stderr}")
        store.whole()
        # Another image with the same layers and one more gets that one only.
        more = Image([random_layer(f"part{number}", 700000) for number in range(6)] + [tar_of([("new", b"n")])])
        push(store.top, "team/app", "2", more)
        lines = store.run("pull", f"{host}/team/app:2").stderr
        e2e.require(lines.count(b": present (") == 6 and lines.count(b": done (") == 1, f"{lines}")
        e2e.require(len(store.files("layers")) == 8, f"{store.files('layers')}")
        store.run("pull", f"{host}/team/app@{BIG.manifest['digest']}")
        store.run("rm", f"{host}/team/app:1", f"{host}/team/app@{BIG.manifest['digest']}")
        e2e.require(len(store.files("layers")) == 7, f"{store.files('layers')}")
        store.whole()


def test_platforms():
    amd, arm = Image([tar_of([("amd", b"")])]), Image([tar_of([("arm", b"")])], architecture="arm64")
    index = images.multi(amd, arm)
    with Store() as store, docker_registry(store.top) as host:
        push(store.top, "multi", "1", None, index)
        record = store.json("pull", "--platform", "linux/arm64", f"{host}/multi:1")
        e2e.require(record["layers"][0]["diff_id"] == arm.diff_ids[0] and record["platform"] == "linux/arm64", f"{record}")
        e2e.require(record["digest"] == images.digest_of(index[0]), "the digest is the index's")
        e2e.require(store.json("pull", "--platform", "linux/amd64", f"{host}/multi:1")["layers"][0]["diff_id"]
                    == amd.diff_ids[0], "the other platform")
        store.run("prune")  # of the other platform's layer
        store.whole()
        store.fails("pull", "--platform", "linux/s390x", f"{host}/multi:1", text="no image for this platform")


def test_what_is_not_there():
    with Store() as store, docker_registry(store.top) as host:
        push(store.top, "team/app", "1", BIG)
        store.fails("pull", f"{host}/team/app:2", text="is not in the registry")
        store.fails("pull", f"{host}/other:1", text="is not in the registry")
        store.fails("pull", f"{host}/team/app@sha256:{'0' * 64}", text="is not in the registry")
        store.fails("pull", f"127.0.0.1:{images.free_port()}/x", text="cannot be asked")
        store.fails("pull", "x.invalid/x", text="x.invalid")
        store.run("pull", "Bad Name", status=images.FAILED)
        store.empty()


def test_tls():
    with Store() as store:
        tls = images.certificate(store.top)
        with docker_registry(store.top, tls=tls) as host:
            push(store.top, "team/app", "1", BIG)
            store.run("pull", "--ca-file", tls[0], f"{host}/team/app:1")
            store.run("rm", f"{host}/team/app:1")
            error = store.fails("pull", f"{host}/team/app:1", text=host)
            e2e.require("certificate" in error.lower(), error)
            store.fails("pull", "--ca-file", store.top / "none", f"{host}/team/app:1", text=host)
            store.empty()


def test_passwords():
    line = images.bcrypt("alice", PASSWORD)
    if not line:
        print("skipped: oci_registry: no bcrypt here: docker-registry's passwords were not tried")
        return
    with Store() as store:
        (store.top / "htpasswd").write_text(line + "\n")
        with docker_registry(store.top, htpasswd=store.top / "htpasswd") as host:
            push(store.top, "team/app", "1", BIG)
            name = f"{host}/team/app:1"
            store.fails("pull", name, text="wants a user name and a password")
            error = store.fails("pull", "--user", "alice", name, data=b"wrong secret\n", text="does not know")
            e2e.require("secret" not in error, error)
            store.fails("pull", "--user", "alice", name, data=b"", text="no password")
            store.empty()
            store.run("pull", "--user", "alice", name, data=PASSWORD.encode() + b"\n")
            store.run("rm", name)
            auth = {"auths": {host: {"auth": base64.b64encode(f"alice:{PASSWORD}".encode()).decode()}}}
            (store.top / "auth.json").write_text(json.dumps(auth))
            store.run("pull", "--auth-file", store.top / "auth.json", name)
            store.run("rm", name)
            (store.top / ".docker").mkdir()
            (store.top / "auth.json").rename(store.top / ".docker/config.json")
            store.run("pull", name)
            store.whole()


if __name__ == "__main__":
    e2e.main(globals())
