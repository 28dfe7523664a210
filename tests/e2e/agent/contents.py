# SPDX-License-Identifier: Apache-2.0
"""What is in volumes (husk/agent.h): writing, reading, removing, measuring, and containers that plant links."""
import base64

from agent import Container, refused, require
from volumes import VOLUMES, bind

DATA_MAX = 512 << 10


class Volume:
    """A tmpfs under a name, with the requests about it."""

    def __init__(self, place, name="v", **more):
        self.place, self.name = place, name
        self.add = {"tmpfs_bytes": 8 << 20, **more}

    def __enter__(self):
        self.place.control.call("volume.add", volume=self.name, **self.add)
        return self

    def __exit__(self, *exc):
        self.place.control.call("volume.remove", volume=self.name)

    def call(self, method, **params):
        return self.place.control.call(f"volume.{method}", volume=self.name, **params)

    def read(self, path, **more):
        return base64.b64decode(self.call("read", path=path, **more)["data_base64"])

    def shell(self, command, **more):
        """What a container that has the volume at /v says."""
        with Container(self.place, {"mounts+": [bind("/v", self.name)], **more}, command) as container:
            _, out, err = container.finish()
            require(not err, err)
            return out


def roots(place):
    with Volume(place, mode=0o2770, uid=5, gid=7) as volume:
        out = volume.shell("stat -c '%a %u %g' /v; touch /v/f; mkdir /v/d; stat -c '%g' /v/f; stat -c '%a %g' /v/d")
        require(out == "2770 5 7\n7\n2755 7\n", out)
        call = place.control.call
        call("volume.add", volume="below", directory="v", mode=0o777, gid=9)
        require(volume.shell("stat -c '%a %u %g' /v/v-below") == "777 0 9\n", "the directory's root")
        refused("invalid", call, "volume.add", volume="x", directory="v", readonly=True, mode=0o755)
        refused("invalid", call, "volume.add", volume="x", directory="v", mode=0o10000)
        refused("invalid", call, "volume.add", volume="x", directory="v", uid=-1)
        call("volume.remove", volume="below")


def write_and_read(place):
    with Volume(place) as volume:
        every = bytes(range(256)) * 4
        volume.call("write", path="a/b/text", data="täxt\n", mode=0o640, uid=3, gid=4, directory_mode=0o2750)
        volume.call("write", path="bytes", data_base64=base64.b64encode(every).decode())
        volume.call("write", path="empty", data="")
        volume.call("write", path="a/link", link="b/text")
        out = volume.shell("cd /v; stat -c '%n %a %u %g' a a/b a/b/text bytes empty; readlink a/link; cat a/link; ls -A")
        require(out == "a 2750 3 4\na/b 2750 3 4\na/b/text 640 3 4\nbytes 644 0 0\nempty 644 0 0\nb/text\ntäxt\n"
                       "a\nbytes\nempty\n", out)
        require(volume.read("bytes") == every and volume.read("empty") == b"", "other bytes")
        require(volume.read("a/link") == "täxt\n".encode(), "through a link")
        require(volume.read("bytes", max_bytes=3) == every[:3], "the first")
        require(volume.read("bytes", max_bytes=3, tail=True) == every[-3:], "the last")
        require(volume.call("read", path="bytes", max_bytes=0) == {"data_base64": "", "size_bytes": 1024}, "nothing")
        # Longer than a request.
        for number in range(3):
            volume.call("write", path="long", data=str(number) * DATA_MAX, append=True, mode=0o600)
        answer = volume.call("read", path="long")
        require(answer["size_bytes"] == 3 * DATA_MAX and len(base64.b64decode(answer["data_base64"])) == DATA_MAX, "long")
        require(volume.read("long", tail=True, max_bytes=2) == b"22", "the end")
        require(volume.shell("stat -c %a /v/long") == "600\n", "mode of what is appended to")


def replacement(place):
    """A file is replaced as a whole; who has the old one keeps it; the directory trick of config maps works."""
    with Volume(place) as volume:
        volume.call("write", path="one/key", data="old")
        volume.call("write", path="..data", link="one")
        volume.call("write", path="key", link="..data/key")
        mounts = [{**bind("/v", volume.name), "options": ["rbind", "ro"]}, bind("/file", f"{volume.name}/one/key")]
        command = "cat /v/key /file; echo; read x; cat /v/key /file; ls -A /v"
        with Container(place, {"mounts+": mounts}, command, stdin=True) as container:
            out = container.stream("stdout")
            container.start()
            require(out.exactly(7) == b"oldold\n", "the beginning")
            volume.call("write", path="two/key", data="new")
            volume.call("write", path="..data", link="two")
            volume.call("delete", path="one")
            container.stream("stdin").socket.sendall(b"\n")
            rest = b""
            while part := out.socket.recv(4096):
                rest += part
            require(rest == b"newold..data\nkey\ntwo\n", rest)
        # A link is replaced, not what it points to.
        volume.call("write", path="key", data="own")
        require(volume.read("two/key") == b"new" and volume.read("key") == b"own", "through the link")
        refused("exists", volume.call, "write", path="two", data="x")
        require(volume.shell("ls -A /v") == "..data\nkey\ntwo\n", "something is left beside")


def directories(place):
    with Volume(place) as volume:
        volume.call("directory", path="sub/path", mode=0o2770, uid=1, gid=2)
        require(volume.shell("stat -c '%a %u %g' /v/sub /v/sub/path") == "2770 1 2\n" * 2, "attributes")
        volume.call("directory", path="sub/path", mode=0o700)
        volume.call("write", path="file", data="x")
        volume.call("directory", path="file")
        require(volume.shell("stat -c '%a %u %g' /v/sub/path; cat /v/file") == "2770 1 2\nx", "it did not stay")
        refused("failed", volume.call, "directory", path="file/below")
        with Container(place, {"mounts+": [bind("/s", f"{volume.name}/sub/path")]}, "touch /s/x") as container:
            container.finish()
        require(volume.shell("ls /v/sub/path") == "x\n", "the mount of a part")


def removal(place):
    with Volume(place) as volume:
        volume.shell("cd /v; for i in 1 2 3; do mkdir -p d/$i/e/f; touch d/$i/x d/$i/e/y; done; ln -s d link; ln -s /etc out")
        volume.call("delete", path="link")
        require(volume.shell("ls /v; ls /v/d") == "d\nout\n1\n2\n3\n", "what the link pointed to")
        volume.call("delete", path="d")
        volume.call("delete", path="out")
        volume.call("delete", path="out")
        volume.call("delete", path="no/such/thing")
        require(volume.shell("ls -A /v") == "", "it is still there")


def usage(place):
    with Volume(place) as volume:
        place.control.call("volume.add", volume="below", directory="v")
        empty = volume.call("usage")
        require(empty["size_bytes"] == 8 << 20 and empty["used_bytes"] <= 4096 and empty["inodes"] > 0, empty)
        volume.call("write", path="v-below/a/file", data="x" * 100000)
        full = volume.call("usage")
        require(100000 <= full["used_bytes"] < 120000 and full["used_inodes"] == empty["used_inodes"] + 2, full)
        below = place.control.call("volume.usage", volume="below")
        require(100000 <= below["used_bytes"] < 120000 and below["used_inodes"] == 2, below)
        require(below["size_bytes"] == 8 << 20, below)
        with Container(place, {"mounts+": [bind("/v", "below")]}, "cd /v; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; "
                       "i=$((i+1)); done") as container:
            container.finish()
        refused("limit", place.control.call, "volume.usage", volume="below")
        place.control.call("volume.remove", volume="below")


PLANT = ("cd /v; ln -s / root; ln -s ../../../../../../../.. up; ln -s /proc/1/root magic; ln -s /proc/self/cwd cwd; mkfifo pipe; "
         "ln -s /etc/passwd passwd; ln -s loop loop; mkdir etc; echo mine > etc/passwd; mkdir dir")


def hostile(place):
    """Nothing outside is read, written or removed by way of what a container has planted."""
    place.control.call("file.write", file="outside", data="outside")
    with Volume(place) as volume:
        volume.shell(PLANT)
        require(volume.read("passwd") == b"mine\n", "an absolute link led out")
        require(volume.read("root/etc/passwd") == b"mine\n" and volume.read("up/etc/passwd") == b"mine\n", "links led out")
        for path in ("magic/etc/passwd", "cwd/x", "loop", "loop/x"):
            require(refused_somehow(volume.call, "read", path=path), path)
        refused("invalid", volume.call, "read", path="pipe")
        refused("invalid", volume.call, "read", path="dir")
        refused("failed", volume.call, "write", path="pipe", data="x", append=True)
        # What a writer makes on its way is made in the volume.
        volume.call("write", path="up/run/husk/files/outside", data="inside")
        volume.call("write", path="root/new", data="inside")
        volume.call("directory", path="up/made/here")
        volume.call("delete", path="up/run/husk/files")
        out = volume.shell("cd /v; cat new; echo; ls -d made/here run/husk")
        require(out == "inside\nmade/here\nrun/husk\n", out)
        changes = {"mounts+": [{"destination": "/f", "type": "bind", "source": "/run/husk/files/outside", "options": ["bind"]}]}
        with Container(place, changes, "cat /f") as container:
            require(container.finish()[1] == "outside", "a file outside was changed")
        refused("not-found", volume.call, "read", path=VOLUMES.lstrip("/"))


def refused_somehow(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except Exception as error:  # pylint: disable=broad-except
        return getattr(error, "code", None) in ("failed", "not-found", "invalid")
    return False


def refusals(place):
    with Volume(place) as volume:
        call = volume.call
        for path in ("/x", "..", "../x", "a/../b", "a/..", "", "x" * 1025):
            for method, more in (("read", {}), ("write", {"data": ""}), ("directory", {}), ("delete", {})):
                refused("invalid", call, method, path=path, **more)
        for more in ({}, {"data": "x", "data_base64": "eA=="}, {"data": "x", "link": "y"}, {"data_base64": "x"},
                     {"link": ""}, {"data": 5}, {"data": "x", "mode": 0o10000}, {"data": "x", "uid": 1 << 32},
                     {"link": "x", "append": True}, {"data": "x", "colour": "red"}):
            refused("invalid", call, "write", path="x", **more)
        refused("invalid", call, "write", path="x/", data="")
        refused("invalid", call, "write", path="x", data="x" * (DATA_MAX + 1))
        refused("not-found", call, "read", path="no/such")
        refused("invalid", call, "read", path="x", max_bytes=-1)
        require(volume.shell("ls -A /v") == "", "something is left")
        # No space: the old file stays.
        call("write", path="big", data="small")
        for number in range(15):
            call("write", path=f"fill{number}", data="x" * DATA_MAX)
        refused("limit", call, "write", path="big", data="y" * DATA_MAX)
        require(volume.read("big") == b"small" and "husk-new" not in volume.shell("ls -A /v"), "half of it stays")
    for method, more in (("read", {"path": "x"}), ("usage", {})):
        refused("not-found", place.control.call, f"volume.{method}", volume="none", **more)
    with Volume(place, readonly=True, tmpfs_bytes=4096) as volume:
        refused("failed", volume.call, "write", path="x", data="y")
        refused("failed", volume.call, "directory", path="x")


def run(place, report):
    for function in (roots, write_and_read, replacement, directories, removal, usage, hostile, refusals):
        report.case(function.__name__, function, place)
