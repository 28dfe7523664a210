# SPDX-License-Identifier: Apache-2.0
"""Volumes that are directories of another, and "fill" of create: what is copied, when, and that nothing of an
image's links leads out of its root."""
import errno
import os
import pathlib
import stat

from agent import Container, refused, require

VOLUMES = "/run/husk/volumes"


def bind(destination, volume):
    return {"destination": destination, "type": "bind", "source": f"{VOLUMES}/{volume}", "options": ["rbind"]}


def make_image(root):
    """/image of the root: one of everything."""
    image = pathlib.Path(root) / "image"
    (image / "sub" / "deep").mkdir(parents=True)
    (image / "file").write_text("content\n")
    os.chmod(image / "file", 0o640)
    os.chown(image / "file", 12, 34)
    (image / "program").write_text("#!\n")
    os.chmod(image / "program", 0o4755)
    (image / "sub" / "deep" / "big").write_bytes(b"x" * (3 << 20))
    (image / "link").symlink_to("/no/where")
    os.lchown(image / "link", 5, 6)
    os.mkfifo(image / "pipe", 0o600)
    os.link(image / "file", image / "again")
    os.setxattr(image / "file", "user.colour", b"green")
    os.utime(image / "file", (1000, 2000))
    os.chmod(image, 0o750)
    os.chown(image, 7, 8)
    (image.parent / "image-link").symlink_to("/image")
    (image.parent / "image-out").symlink_to("../../../../etc")


class Scratch:
    """A volume in memory, and the names that are added."""

    def __init__(self, place, *directories):
        self.control = place.control
        self.control.call("volume.add", volume="scratch", tmpfs_bytes=16 << 20)
        self.names = []
        for name in directories:
            self.add(name)

    def add(self, name, **more):
        self.control.call("volume.add", volume=name, directory="scratch", **more)
        self.names.append(name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for name in self.names:
            self.control.call("volume.remove", volume=name)
        self.control.call("volume.remove", volume="scratch")


def directories(place):
    with Scratch(place, "one", "two") as scratch:
        changes = {"mounts+": [bind("/mnt", "one")]}
        with Container(place, changes, "ls -A /mnt; stat -c %a /mnt; touch /mnt/x; ls -A /mnt") as first:
            _, out, err = first.finish()
            require(out == "755\nx\n", f"{out!r} {err!r}")
            error = refused("state", place.control.call, "volume.remove", volume="one")
            require("container" in error.why, error)
        changes = {"mounts+": [bind("/mnt", "two")]}
        with Container(place, changes, "ls -A /mnt") as second:
            require(second.finish()[1] == "", "two directories share what is in them")
        error = refused("state", place.control.call, "volume.remove", volume="scratch")
        require("volume" in error.why, error)
        # Gone with the volume, and the name is free.
        place.control.call("volume.remove", volume="one")
        place.control.call("volume.add", volume="one", directory="scratch", readonly=True)
        changes = {"mounts+": [bind("/mnt", "one")]}
        with Container(place, changes, "ls -A /mnt; touch /mnt/x 2>&1") as third:
            out = third.finish()[1]
            require("Read-only" in out and len(out.splitlines()) == 1, out)
        refused("exists", scratch.add, "two")


def refusals(place):
    call = place.control.call
    with Scratch(place, "one"):
        refused("not-found", call, "volume.add", volume="x", directory="no-such")
        call("volume.add", volume="fixed", directory="scratch", readonly=True)
        refused("not-found", call, "volume.add", volume="x", directory="fixed")
        refused("invalid", call, "volume.add", volume="x", directory="scratch", tmpfs_bytes=5)
        refused("invalid", call, "volume.add", volume="x", directory="scratch", fstype="ext4")
        refused("invalid", call, "volume.add", volume="x", directory="scratch", options=["noexec"])
        refused("invalid", call, "volume.add", volume="x", directory="")
        error = refused("not-found", Container, place, None, "true", fill=["one", "no-such"])
        require(error.where.endswith("fill[1]"), error)
        refused("not-found", Container, place, None, "true", fill=["fixed"])
        refused("invalid", Container, place, None, "true", fill="one")
        refused("invalid", Container, place, None, "true", fill=[7])
        call("volume.remove", volume="fixed")


SHOW = ("cd /data; for i in . file program sub sub/deep sub/deep/big again; do stat -c '%n %a %u %g %s %h %Y' $i; done | "
        "grep -v -E '^(\\.|sub|sub/deep) ' ; for i in . sub sub/deep; do stat -c '%n %a %u %g' $i; done; "
        "readlink link; stat -c '%u %g' link; stat -c '%F %a' pipe; cat file; ls -A")


def expected(place):
    image = pathlib.Path(place.root) / "image"
    lines = []
    for name in ("file", "program", "sub/deep/big", "again"):
        info = os.stat(image / name)
        lines.append(f"{name} {stat.S_IMODE(info.st_mode):o} {info.st_uid} {info.st_gid} {info.st_size} 1 "
                     f"{int(info.st_mtime)}")
    lines += [". 750 7 8", "sub 755 0 0", "sub/deep 755 0 0", "/no/where", "5 6", "fifo 600", "content"]
    return lines + ["again", "file", "link", "pipe", "program", "sub"]


def filled(place):
    with Scratch(place, "data"):
        changes = {"mounts+": [bind("/data", "data"), bind("/image", "data")]}
        # The first mount's place does not exist, the second's does: that is what fills it.
        with Container(place, changes, SHOW, fill=["data"]) as container:
            _, out, err = container.finish()
            require(out.splitlines() == expected(place), f"{out}\n{err}\n{expected(place)}")
        changes = {"mounts+": [bind("/image", "data")]}
        with Container(place, changes, "rm /image/file; echo new > /image/new") as container:
            container.finish()
        # Not again: there is something in it.
        with Container(place, changes, "ls -A /image", fill=["data"]) as container:
            require(container.finish()[1].split() == ["again", "link", "new", "pipe", "program", "sub"], "filled again")


def attributes(place):
    with Scratch(place, "data"):
        changes = {"mounts+": [bind("/image", "data")]}
        with Container(place, changes, "true", fill=["data"]) as container:
            path = f"/proc/{place.process.pid}/root{VOLUMES}/data/file"
            children = pathlib.Path(f"/proc/{place.process.pid}/task/{place.process.pid}/children").read_text().split()
            if children:
                path = f"/proc/{children[0]}/root{VOLUMES}/data/file"
            try:
                require(os.getxattr(path, "user.colour") == b"green", "another colour")
            except OSError as error:  # a tmpfs before Linux 6.6 has none: then they were left out
                require(error.errno == errno.ENOTSUP, error)
            container.finish()


def through_links(place):
    """A destination that a link of the image leads elsewhere is elsewhere in the image."""
    with Scratch(place, "data", "out"):
        changes = {"mounts+": [bind("/image-link", "data"), bind("/image-out", "out")]}
        with Container(place, changes, "cat /image/file; ls -A /etc", fill=["data", "out"]) as container:
            _, out, err = container.finish()
            ours = sorted(os.listdir(pathlib.Path(place.root) / "etc"))
            require(out.split() == ["content", *ours], f"{out!r} {err!r}")


def nothing_there(place):
    with Scratch(place, "data", "file"):
        changes = {"mounts+": [bind("/made/by/the/mount", "data"), bind("/other", "file")]}
        with Container(place, changes, "ls -A /made/by/the/mount /other | grep -v :", fill=["data", "file"]) as container:
            require(container.finish()[1].strip() == "", "something came from nowhere")
        # What is not mounted is not filled.
        with Container(place, None, "true", fill=["data"]) as container:
            container.finish()


def too_much(place):
    """A volume that is too small, and an image that is too deep: errors that name the volume, and no container."""
    deep = pathlib.Path(place.root) / "deep"
    at = deep
    for _ in range(140):
        at = at / "d"
    at.mkdir(parents=True)
    big = pathlib.Path(place.root) / "big"
    big.mkdir()
    with open(big / "file", "wb") as file:
        file.truncate(20 << 20)
    with Scratch(place, "data"):
        error = refused("failed", Container, place, {"mounts+": [bind("/deep", "data")]}, "true", fill=["data"])
        require("fill: data" in error.where, error)
    with Scratch(place, "data"):
        error = refused("limit", Container, place, {"mounts+": [bind("/big", "data")]}, "true", fill=["data"])
        require("fill: data" in error.where, error)
    require(not place.control.call("list")["containers"], "containers are left")


def run(place, report):
    make_image(place.root)
    for function in (directories, refusals, filled, attributes, through_links, nothing_there, too_much):
        report.case(function.__name__, function, place)
