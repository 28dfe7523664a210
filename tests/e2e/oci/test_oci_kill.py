#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The store after a kill at any moment and with a full disk; several commands at a time."""
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time

import e2e
from images import Image, Liar, Store, docker_registry, layout, named, push, random_layer

KILLS = 25
IMAGE = Image([random_layer(f"k{number}", 2 << 20) for number in range(5)])
OTHER = Image([random_layer(f"k{number}", 2 << 20) for number in range(3)] + [random_layer("o", 1 << 20)])


def test_kills():
    """At random moments of a pull; what is in the store before stays, what comes after works."""
    random.seed(int(os.environ.get("SEED", "7")))
    with Store() as store, docker_registry(store.top) as host:
        push(store.top, "kill", "1", IMAGE)
        push(store.top, "kill", "other", OTHER)
        store.run("pull", f"{host}/kill:other")
        began = time.monotonic()
        store.run("pull", f"{host}/kill:1")
        whole_s = time.monotonic() - began
        store.run("rm", f"{host}/kill:1")
        for _ in range(KILLS):
            with store.start("pull", "-q", f"{host}/kill:1") as process:
                time.sleep(random.uniform(0, whole_s))
                process.send_signal(signal.SIGKILL)
                process.wait(e2e.PATIENCE_S)
            names = store.names()
            e2e.require(f"{host}/kill:other" in names, f"{names}")
            if len(names) == 2:  # it was too late
                store.run("rm", f"{host}/kill:1")
        store.run("prune")
        store.whole()
        with store.start("pull", "-q", f"{host}/kill:1") as process:
            time.sleep(whole_s / 2)
            process.kill()
        store.run("pull", f"{host}/kill:1")  # without a prune between
        e2e.require(store.files("new") == [], f"{store.files('new')}")
        store.run("prune")
        store.whole()


def test_downloads_go_on_after_a_kill():
    held = []

    def hook(handler):
        if not handler.path.endswith(IMAGE.layers[0]["digest"]) or held:
            return False
        data = IMAGE.blobs[IMAGE.layers[0]["digest"]]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:1 << 20])
        held.append(handler)
        time.sleep(e2e.PATIENCE_S)
        return True
    with Store() as store, Liar(IMAGE, hook) as liar:
        partial = store.path / "partial" / IMAGE.layers[0]["digest"][7:]
        with store.start("pull", "-q", liar.name) as process:
            deadline = time.monotonic() + e2e.PATIENCE_S
            while not partial.exists() or partial.stat().st_size < 1 << 20:
                e2e.require(time.monotonic() < deadline, "nothing arrives")
                time.sleep(0.02)
            process.kill()
        e2e.require(held, "the server held nothing back")
        store.run("pull", liar.name)
        e2e.require(any(headers.get("Range") == f"bytes={1 << 20}-" for _, headers in liar.seen), "it began anew")
        store.whole()
        # What is there may be wrong: then it is fetched again.
        store.run("rm", liar.name)
        partial.write_bytes(b"x" * 1000)
        store.run("pull", liar.name)
        store.whole()


@contextlib.contextmanager
def small_disk(size):
    where = tempfile.mkdtemp(prefix="husk-small-")
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "small", where], check=False,
                              stderr=subprocess.DEVNULL, timeout=e2e.PATIENCE_S)
        if done.returncode:
            yield None
            return
        try:
            yield where
        finally:
            subprocess.run(["umount", where], check=True, timeout=e2e.PATIENCE_S)
    finally:
        os.rmdir(where)


def test_full_disks():
    """Of every size at which something else does not fit."""
    for kib in (16, 64, 600, 2200, 5000, 9000):
        with small_disk(f"{kib}k") as where:
            if where is None:
                print("skipped: oci_kill: no tmpfs can be mounted here: full disks were not tried")
                return
            with Store(where + "/store") as store, Liar(IMAGE) as liar:
                store.fails("pull", liar.name, text="No space left")
                store.empty()
                source = layout(store.top / "layout", [named(IMAGE, "a:1")], IMAGE.blobs)
                store.fails("load", source, text="No space left")
                store.empty()


def test_several_at_a_time():
    """Four commands that pull, load and remove the same layers; then everything is whole."""
    with Store() as store, docker_registry(store.top) as host:
        push(store.top, "many", "1", IMAGE)
        push(store.top, "many", "2", OTHER)
        source = layout(store.top / "layout", [named(IMAGE, "loaded:1")], IMAGE.blobs)
        for _ in range(3):
            running = [store.start("pull", "-q", f"{host}/many:1"), store.start("pull", "-q", f"{host}/many:2"),
                       store.start("load", "-q", source), store.start("pull", "-q", f"{host}/many:1")]
            for process in running:
                _, error = process.communicate(timeout=e2e.PATIENCE_S)
                e2e.require(process.returncode == 0, error.decode())
            store.whole()
            e2e.require(len(store.names()) == 3, f"{store.names()}")
            store.run("rm", f"{host}/many:1", f"{host}/many:2", "loaded:1")
            store.empty()


def test_a_new_store_is_made_by_many():
    small = Image([random_layer("s", 1000)])
    for _ in range(5):
        with Store() as store:
            source = layout(store.top / "layout", [named(small, "small:1")], small.blobs)
            running = [store.start("load", "-q", source) for _ in range(8)]
            for process in running:
                _, error = process.communicate(timeout=e2e.PATIENCE_S)
                e2e.require(process.returncode == 0, error.decode())
            store.whole()


def test_layers_in_use():
    with Store() as store:
        store.run("load", layout(store.top / "layout", [named(OTHER, "used:1")], OTHER.blobs))
        layer = store.layer(OTHER.diff_ids[0])
        with subprocess.Popen(["flock", "-s", layer, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdin.write(b"held\n")
            holder.stdin.flush()
            holder.stdout.read(5)
            store.run("rm", "used:1")
            e2e.require(layer.exists() and len(store.files("layers")) == 1, f"{store.files('layers')}")
            e2e.require(b"in use" in store.run("prune").stdout, "prune says so")
        store.run("prune")
        store.empty()


if __name__ == "__main__":
    e2e.main(globals())
