#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk image load, ls, inspect, rm, prune: layouts, archives, and what is wrong with them."""
import contextlib
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import e2e
import images
from images import Image, Store, directory, layout, named, tar_of

SMALL = Image([tar_of([directory("etc"), ("etc/motd", b"hello\n")]),
               tar_of([("etc/.wh.motd", b""), ("data", b"d" * 5000)])], {"Cmd": ["/bin/sh"]})


def archive(path, source, mode="w"):
    with tarfile.open(path, mode) as tar:
        tar.add(source, ".")
    return path


def docker_archive(path, image_list):
    """As `docker save` of before 2024 writes it: names without digests, a layer that is a link."""
    members, manifest = [], []
    for number, (image, tags, tars) in enumerate(image_list):
        config, layers = f"{number}.json", []
        members.append((config, image.config))
        for k, tar in enumerate(tars):
            layers.append(f"{number}-{k}/layer.tar")
            members.append((layers[-1], tar))
        members.append((f"{number}-link/layer.tar", b"", {"type": tarfile.SYMTYPE, "linkname": f"../{layers[0]}"}))
        layers[0] = f"{number}-link/layer.tar"
        manifest.append({"Config": config, "RepoTags": tags, "Layers": layers})
    members.append(("manifest.json", json.dumps(manifest).encode()))
    path.write_bytes(tar_of(members))
    return path


def test_layout_directory():
    with Store() as store:
        source = layout(store.top / "layout", [named(SMALL, "quay.io/a/b:1")], SMALL.blobs)
        store.run("load", source)
        e2e.require(store.names() == ["quay.io/a/b:1"], f"{store.names()}")
        record = store.json("inspect", "quay.io/a/b:1")
        e2e.require([layer["diff_id"] for layer in record["layers"]] == SMALL.diff_ids, "layers")
        e2e.require(record["config"]["config"]["Cmd"] == ["/bin/sh"], "configuration")
        e2e.require(record["digest"] == SMALL.manifest["digest"], "digest")
        store.whole()
        store.run("load", "--name", "other", source)
        e2e.require(store.names() == ["docker.io/library/other:latest", "quay.io/a/b:1"], f"{store.names()}")
        store.run("rm", record["id"][7:19])
        store.empty()


def test_archives():
    with Store() as store:
        source = layout(store.top / "layout", [named(SMALL, "v1")], SMALL.blobs)
        store.fails("load", source, text="--name")
        plain = archive(store.top / "plain.tar", source)
        store.run("load", "--name", "plain", plain)
        store.run("load", "--name", "packed", archive(store.top / "packed.tar.gz", source, "w:gz"))
        store.run("load", "--name", "piped", "-", data=plain.read_bytes())
        store.run("load", "--name", "only", "--only", "v1", plain)
        e2e.require(len(store.names()) == 4 and len(store.files("layers")) == 2, f"{store.names()}")
        store.whole()


def test_docker_archive():
    tars = [tar_of([("a", b"1")]), tar_of([("b", b"2")])]
    first = Image(tars)
    second = Image(tars[:1], {"Cmd": ["x"]})
    with Store() as store:
        source = docker_archive(store.top / "d.tar", [(first, ["one:1", "uno:1"], tars), (second, ["two:2"],
                                                                                          [gzip.compress(tars[0])])])
        store.run("load", source)
        e2e.require(store.names() == [f"docker.io/library/{name}" for name in ("one:1", "two:2", "uno:1")],
                    f"{store.names()}")
        e2e.require(len(store.files("layers")) == 2, "layers are kept once")
        store.fails("load", "--name", "x", source, text="several images")
        store.fails("load", "--only", "three:3", source, text="none of the images there")
        store.run("load", "--name", "x", "--only", "two:2", source)
        store.whole()
        store.run("rm", "one:1", "uno:1", "two:2", "x")
        store.empty()


def test_real_programs():
    """A layer with busybox and one with a server (docker-registry, libc): what the kernel reads is what was put in."""
    busybox = pathlib.Path(shutil.which("busybox") or "/bin/busybox")
    files = []
    if shutil.which("dpkg-query"):
        listed = subprocess.run(["dpkg-query", "-L", "docker-registry", "libc6", "base-files"], check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout.decode().split()
        # By their real paths: a layer does not lead through its own links.
        files = [os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name)) for name in listed
                 if os.path.lexists(name)]
    if not busybox.exists() or not files:
        e2e.skip("busybox-static or docker-registry is not installed")
    with Store() as store:
        tars = []
        for members in ([str(busybox)], sorted(set(files))):
            with tarfile.open(store.top / "l.tar", "w", format=tarfile.PAX_FORMAT) as tar:
                for name in members:
                    tar.add(name, recursive=False)
            tars.append((store.top / "l.tar").read_bytes())
        image = Image(tars)
        store.run("load", layout(store.top / "layout", [named(image, "server:1")], image.blobs))
        for diff_id, tar in zip(image.diff_ids, tars):
            check_layer(store, diff_id, tar)


def check_layer(store, diff_id, tar):
    path = store.layer(diff_id)
    if shutil.which("fsck.erofs"):
        subprocess.run(["fsck.erofs", path], check=True, stdout=subprocess.DEVNULL, timeout=e2e.PATIENCE_S)
    with images.mounted(path) as where:
        if where is None:
            print("skipped: oci_load: this host does not mount EROFS from a file: contents were not compared")
            return
        (store.top / "check.tar").write_bytes(tar)
        with tarfile.open(store.top / "check.tar") as read:
            for member in read:
                found = where / member.name
                stat = found.lstat()
                e2e.require((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (member.mode, member.uid, member.gid),
                            f"{member.name}: {stat}")
                if member.isfile():
                    e2e.require(found.read_bytes() == read.extractfile(member).read(), f"{member.name}: contents")
                    e2e.require(abs(stat.st_mtime - float(member.pax_headers.get("mtime", member.mtime))) < 1e-3,
                                f"{member.name}: time")
                elif member.issym():
                    e2e.require(os.readlink(found) == member.linkname, f"{member.name}: target")


def test_whiteouts_in_overlayfs():
    """What the kernel makes of a stack of layers is what the layers say."""
    image = Image([
        tar_of([directory("kept"), ("kept/a", b"1"), ("gone", b"1"), directory("dir"), ("dir/old", b"1"),
                directory("swept"), ("swept/old", b"1"), ("swept/both", b"1"), directory("replaced"), ("replaced/old", b"1")]),
        tar_of([(".wh.gone", b""), (".wh.dir", b""), ("swept/.wh..wh..opq", b""), ("swept/both", b"2"),
                ("kept/b", b"2"), (".wh.replaced", b""), directory("replaced"), ("replaced/new", b"2")]),
        tar_of([("gone", b"3"), ("kept/.wh.a", b"")])])
    with Store() as store, contextlib.ExitStack() as stack:
        store.run("load", layout(store.top / "layout", [named(image, "a:1")], image.blobs))
        lower = [stack.enter_context(images.mounted(store.layer(diff_id))) for diff_id in image.diff_ids]
        top = stack.enter_context(images.stacked(lower)) if all(lower) else None
        if top is None:
            print("skipped: oci_load: this host mounts no EROFS from a file, or no overlayfs: stacks were not looked at")
            return
        found = {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}
        e2e.require(found == {"kept/b": "2", "gone": "3", "swept/both": "2", "replaced/new": "2"}, f"{found}")
        e2e.require(not (top / "dir").exists() and sorted(os.listdir(top)) == ["gone", "kept", "replaced", "swept"],
                    f"{os.listdir(top)}")


def test_wrong_layouts():
    blobs, manifest = SMALL.blobs, SMALL.manifest
    layer = SMALL.layers[0]["digest"]
    cases = {
        "damaged": ([named(SMALL, "a:1")], {**blobs, layer: blobs[layer][:-1] + b"x"}),
        "has another size": ([named(SMALL, "a:1")], {**blobs, layer: blobs[layer] + b"x"}),
        "lacks a part": ([named(SMALL, "a:1")], {key: value for key, value in blobs.items() if key != layer}),
        "has no image": ([], blobs),
        "no valid tag": ([named(SMALL, "a:")], blobs),
        "another platform": ([named(image := Image([], architecture="s390x"), "a:1")], image.blobs),
        "no image for this platform": ([], {}),
        "do not agree": ([named(image := Image([]), "a:1")], image.blobs),
    }
    index, more = images.multi(Image([], architecture="s390x"))
    cases["no image for this platform"] = ([{"mediaType": images.INDEX, "digest": images.digest_of(index),
                                             "size": len(index), "annotations":
                                             {"org.opencontainers.image.ref.name": "a:1"}}],
                                           {**more, images.digest_of(index): index})
    broken = Image([])
    broken.document["layers"] = [SMALL.layers[0]]
    broken.manifest = broken.put(json.dumps(broken.document).encode(), images.MANIFEST)
    cases["do not agree"] = ([named(broken, "a:1")], broken.blobs)
    for number, (text, (entries, parts)) in enumerate(cases.items()):
        with Store() as store:
            store.fails("load", layout(store.top / str(number), entries, parts), text=text)
            store.empty()
    e2e.require(manifest["digest"] in blobs, "the image itself is whole")


def test_wrong_files():
    with Store() as store:
        store.fails("load", store.top / "nowhere", text="No such file")
        store.fails("load", store.top, text="neither index.json")
        store.fails("load", "/dev/null", text="no tar archive")
        junk = store.top / "junk"
        junk.write_bytes(b"junk" * 1000)
        store.fails("load", junk, text="junk")
        for text in ("{", "[]", '{"schemaVersion":2}', "[" * 100000):
            (store.top / "index.json").write_text(text)
            store.fails("load", store.top, text="index.json")
        os.remove(store.top / "index.json")
        os.mkfifo(store.top / "index.json")
        store.fails("load", store.top, text="no regular file")
        os.remove(store.top / "index.json")
        os.symlink("/etc/passwd", store.top / "index.json")
        store.fails("load", store.top, text="cannot be opened")
        store.empty()


def test_hostile_layers():
    wrong = {
        "leads out": [("../../x", b"x")],
        "link to something": [("x", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
        "through something": [("l", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc"}), ("l/x", b"x")],
        "0:0": [("dev", b"", {"type": tarfile.CHRTYPE})],
    }
    for text, members in wrong.items():
        image = Image([tar_of([("fine", b"f")]), tar_of(members)])
        with Store() as store:
            store.fails("load", layout(store.top / "layout", [named(image, "a:1")], image.blobs), text=text)
            store.empty()
    with Store() as store:
        image = Image([tar_of([("fine", b"f")])], compress=(lambda tar: gzip.compress(tar)[:-20], "+gzip"))
        store.fails("load", layout(store.top / "layout", [named(image, "a:1")], image.blobs), text="decompress")
        store.empty()


def test_failure_keeps_other_images():
    good, bad = Image([tar_of([("a", b"a")])]), Image([tar_of([("b", b"b")]), tar_of([("../c", b"c")])])
    with Store() as store:
        store.run("load", layout(store.top / "1", [named(good, "good:1")], good.blobs))
        store.fails("load", layout(store.top / "2", [named(bad, "good:1")], bad.blobs), text="leads out")
        e2e.require(store.json("inspect", "good:1")["layers"][0]["diff_id"] == good.diff_ids[0], "the old image stays")
        store.run("prune")
        store.whole()


def test_not_in_the_store():
    with Store() as store:
        e2e.require(store.names() == [] and not store.path.exists(), "looking makes no store")
        for command in ("rm", "inspect"):
            store.fails(command, "nginx", text="not in the store")
        store.run("prune")
        store.path.mkdir()
        (store.path / "precious").write_text("x")
        store.run("load", "/dev/null", status=images.FAILED)
        e2e.require(os.listdir(store.path) == ["precious"], "another directory is left alone")


if __name__ == "__main__":
    e2e.main(globals())
