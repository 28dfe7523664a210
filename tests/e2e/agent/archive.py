# SPDX-License-Identifier: Apache-2.0
"""archive.put and archive.get: trees in and out of a container, and archives that want to be elsewhere."""
import contextlib
import io
import tarfile

from agent import Container, Reader, Refused, refused, require

SLEEP = "sleep 1000"
USERS = {"linux.namespaces+": [{"type": "user"}],
         "linux.uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
         "linux.gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}
TMPFS = {"mounts+": [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]}]}


class Transfer:
    """Of one container; each gets a name of its own."""

    count = 0

    def __init__(self, container):
        self.container, self.control = container, container.control

    def begin(self, method, path, **more):
        Transfer.count += 1
        name = f"a{Transfer.count}"
        self.control.call(method, container=self.container.name, process=name, path=path, **more)
        return name

    def end(self, name):
        """The status and the complaint."""
        complaint = Reader(self.container.stream("stderr", name)).text()
        ended = self.container.wait(name)
        self.control.call("delete", container=self.container.name, process=name)
        require(ended["signal"] == 0, f"died: {ended}")
        require((ended["status"] == 0) == (complaint == ""), f"{ended}, but says {complaint!r}")
        require(complaint.count("\n") == (complaint != ""), f"not one line: {complaint!r}")
        return ended["status"], complaint

    def put(self, data, path, **more):
        name = self.begin("archive.put", path, **more)
        stream = self.container.stream("stdin", name)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.socket.sendall(data)
            stream.socket.shutdown(1)
        result = self.end(name)
        stream.close()
        return result

    def get(self, path, **more):
        name = self.begin("archive.get", path, **more)
        reader = Reader(self.container.stream("stdout", name))
        reader.join(60)
        status, complaint = self.end(name)
        require(status == 0, complaint)
        require(reader.data.endswith(bytes(1024)) and len(reader.data) % 512 == 0, "no end mark")
        return tarfile.open(fileobj=io.BytesIO(reader.data), errors="surrogateescape")


def pack(*members, form=tarfile.PAX_FORMAT):
    """(name, content or a dictionary of attributes)."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as tar:
        for name, what in members:
            info = tarfile.TarInfo(name)
            content = what if isinstance(what, bytes) else b""
            info.size, info.mode, info.mtime = len(content), 0o644, 1000000000
            for key, value in what.items() if isinstance(what, dict) else ():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return output.getvalue()


def running(place, changes=TMPFS):
    container = Container(place, changes, SLEEP)
    container.start()
    return container


def round_trip(place):
    big = bytes(range(256)) * 3000
    with running(place) as container:
        transfer = Transfer(container)
        names = ["short", "d" * 90 + "/" + "f" * 90, "/".join(["deep"] * 100) + "/" + "x" * 250, "caf\u00e9", "a b\tc"]
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            data = pack(("tree", {"type": tarfile.DIRTYPE, "mode": 0o2750, "uid": 7, "gid": 8}),
                        *((f"tree/{name}", big if name == "short" else name.encode()) for name in names),
                        ("tree/empty", b""),
                        ("tree/owned", {"mode": 0o4711, "uid": 1234567, "gid": 3000000000, "mtime": 10 ** 9}),
                        ("tree/link", {"type": tarfile.SYMTYPE, "linkname": "x" * 300}),
                        ("tree/absolute", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
                        ("tree/hard", {"type": tarfile.LNKTYPE, "linkname": "tree/short"}),
                        ("tree/fifo", {"type": tarfile.FIFOTYPE, "mode": 0o600}), form=form)
            require(transfer.put(data, "/mnt")[0] == 0, "not taken")
            tar = transfer.get("/mnt/tree")
            members = {member.name: member for member in tar}
            require(tar.getnames()[0] == "tree", tar.getnames())
            for name in names:
                expected = big if name == "short" else name.encode()
                require(tar.extractfile(f"tree/{name}").read() == expected, f"{name} has changed")
            require(tar.extractfile("tree/hard").read() == big, "the hard link")
            owned, top = members["tree/owned"], members["tree"]
            require((owned.mode, owned.uid, owned.gid, owned.mtime) == (0o4711, 1234567, 3000000000, 10 ** 9),
                    owned.get_info())
            require((top.mode, top.uid, top.gid) == (0o2750, 7, 8), top.get_info())
            require(members["tree/link"].linkname == "x" * 300, "the link")
            require(members["tree/absolute"].linkname == "/etc/passwd", "the absolute link")
            require(members["tree/fifo"].isfifo(), "the fifo")
            require(members["tree/empty"].size == 0, "the empty file")
        links = container.output("p", "stat -c %h /mnt/tree/short /mnt/tree/hard; stat -c %Y /mnt/tree/short")
        require(links == "2\n2\n1000000000\n", links)


def where_it_works(place):
    """Before the start too, and with a user namespace; not paused, not stopped."""
    with Container(place, TMPFS, "cat /mnt/new/dir/file") as container:
        transfer = Transfer(container)
        error = refused("not-found", transfer.put, pack(), "/mnt/new/dir")
        require("/mnt/new/dir" in error.where, error)
        require(transfer.put(pack(("file", b"early")), "/mnt/new/dir", create=True) == (0, ""), "not taken")
        _, out, err = container.finish()
        require(out == "early", (out, err))
        refused("state", transfer.put, pack(), "/mnt")
        refused("state", transfer.get, "/mnt")
    with running(place, {**USERS, **TMPFS}) as container:
        transfer = Transfer(container)
        require(transfer.put(pack(("f", {"uid": 5, "gid": 6})), "/mnt") == (0, ""), "not taken")
        require(container.output("p", "stat -c %u:%g /mnt/f") == "5:6\n", "the owner is not that of the namespace")
        require(transfer.get("/mnt/f").getmembers()[0].uid == 5, "the owner outside")
        container.control.call("pause", container=container.name)
        refused("state", transfer.get, "/mnt")
        container.control.call("resume", container=container.name)


def what_is_there_already(place):
    with running(place) as container:
        transfer = Transfer(container)
        container.output("p", "mkdir -p /mnt/d/sub /mnt/real; echo old > /mnt/f; echo old > /mnt/target; "
                         "ln -s target /mnt/l; ln -s real /mnt/way; echo kept > /mnt/d/kept")
        data = pack(("f", b"new"), ("l", b"new"), ("d", {"type": tarfile.DIRTYPE, "mode": 0o700, "uid": 3}),
                    ("way/in", b"through"))
        require(transfer.put(data, "/mnt") == (0, ""), "not taken")
        out = container.output("q", "cat /mnt/f /mnt/l /mnt/target /mnt/d/kept /mnt/real/in; stat -c %a:%u /mnt/d; "
                               "stat -c %F /mnt/l")
        require(out == "newnewold\nkept\nthrough700:3\nregular file\n", out)
        status, complaint = transfer.put(pack(("before", b"1"), ("d", b"file"), ("after", b"2")), "/mnt")
        require(status == 1 and complaint.startswith("d: cannot take the place"), complaint)
        out = container.output("r", "[ -e /mnt/before ] && [ ! -e /mnt/after ] && echo ok")
        require(out == "ok\n", "what came before, or after")
        status, complaint = transfer.put(pack(("f/x", b"1")), "/mnt")
        require(status == 1 and complaint.startswith("f/x:"), complaint)


def paths(place):
    """As the container sees them; links of the path lead nowhere else."""
    with running(place) as container:
        transfer = Transfer(container)
        container.output("p", "mkdir /mnt/d; echo x > /mnt/d/f; ln -s /mnt/d /mnt/l; ln -s ../../../../mnt/d /mnt/up; "
                         "ln -s /proc/1/root /mnt/magic")
        for path, names in (("/mnt/d", ["d", "d/f"]), ("mnt/d/", ["d", "d/f"]), ("/mnt/d/.", [".", "./f"]),
                            ("/mnt/l", ["l"]), ("/mnt/l/", ["l", "l/f"]), ("/mnt/up/f", ["f"]),
                            ("/../../mnt/d/f", ["f"]), ("/mnt/d/..//d", ["d", "d/f"])):
            require(transfer.get(path).getnames() == names, f"{path}: {transfer.get(path).getnames()}")
        require(transfer.get("/mnt/l", follow=True).getnames() == ["l", "l/f"], "follow")
        one = transfer.get("/mnt/d/f", content=False).getmembers()
        require([(member.name, member.size, member.isreg()) for member in one] == [("f", 0, True)], one)
        require(transfer.get("/mnt/d", content=False).getmembers()[0].isdir(), "content")
        for path in ("/mnt/nobody", "/mnt/magic/etc"):
            try:
                transfer.get(path)
            except Refused as error:
                require(error.code in ("not-found", "failed"), error)
            else:
                require(False, f"{path} is read")
        require(transfer.get("/mnt/magic").getmembers()[0].issym(), "a magic link is followed")
        refused("invalid", transfer.put, pack(), "/mnt/d/f")
        refused("invalid", transfer.put, pack(), "")
        refused("invalid", transfer.put, pack(), "/mnt", follow=True)
        refused("invalid", transfer.get, "x" * 4096)
        refused("not-found", place.control.call, "archive.get", container="nobody", process="x", path="/")
        refused("exists", place.control.call, "archive.get", container=container.name, process="init", path="/")
        names = transfer.get("/").getnames()
        require("./proc" in names and not any(name.startswith("./proc/") for name in names), "what is in /proc")
        require("./bin/busybox" in names, names)


def out_of_the_directory(place):
    """Every way that archives have been known to take."""
    with running(place) as container:
        transfer = Transfer(container)
        container.output("p", "mkdir -p /mnt/in /mnt/out; echo safe > /mnt/out/f")
        for members in ((("../out/f", b"bad"),), (("a/../../out/f", b"bad"),), (("..", b"bad"),),
                        (("a", {"type": tarfile.LNKTYPE, "linkname": "../out/f"}),),
                        (("node", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),),
                        (("node", {"type": tarfile.BLKTYPE, "devmajor": 8}),)):
            status, complaint = transfer.put(pack(*members), "/mnt/in")
            require(status == 1 and "is not put" in complaint, (members, complaint))
        for members in ((("/mnt/out/f", b"bad"),),
                        (("l", {"type": tarfile.SYMTYPE, "linkname": "/mnt/out"}), ("l/f", b"bad")),
                        (("m", {"type": tarfile.SYMTYPE, "linkname": "../out"}), ("m/f", b"bad")),
                        (("n", {"type": tarfile.SYMTYPE, "linkname": "/proc/1/root"}), ("n/mnt/out/f", b"bad")),
                        (("o", {"type": tarfile.SYMTYPE, "linkname": "../out/f"}), ("o", b"bad")),
                        (("p", {"type": tarfile.SYMTYPE, "linkname": "../out/f"}),
                         ("q", {"type": tarfile.LNKTYPE, "linkname": "p"}), ("q", b"bad"))):
            transfer.put(pack(*members), "/mnt/in")
            require(container.output("q", "cat /mnt/out/f; ls /mnt/out") == "safe\nf\n", members)
    outside = place.control.call("list")["containers"]
    require(not outside, outside)


def broken_archives(place):
    good = pack(("f", b"x" * 5000))
    damaged = bytearray(good)
    damaged[3] ^= 1
    sizes = bytearray(good)
    sizes[124:136] = b"77777777777\0"
    with running(place) as container:
        transfer = Transfer(container)
        for data, text in ((b"", "is cut off"), (good[:100], "is cut off"), (good[:3000], "is cut off"),
                           (good[:5632], "is cut off"), (bytes(damaged), "checksum"), (bytes(sizes), "checksum"),
                           (b"\xff" * 512, "checksum"), (b"PK\3\4" * 256, "checksum")):
            status, complaint = transfer.put(data, "/mnt")
            require(status == 1 and text in complaint, (data[:20], complaint))
        require(transfer.put(bytes(1024), "/mnt") == (0, ""), "an empty archive")
        require(transfer.put(good + bytes(100000), "/mnt") == (0, ""), "an archive with padding")


def a_full_disk(place):
    small = {"mounts+": [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]}]}
    with running(place, small) as container:
        status, complaint = Transfer(container).put(pack(("f", b"x" * 1000000)), "/mnt")
        require(status == 1 and "No space" in complaint, complaint)


def given_up(place):
    """A transfer ends with its host, with a kill, and with its container."""
    with running(place) as container:
        transfer = Transfer(container)
        name = transfer.begin("archive.put", "/mnt")
        container.kill(9, process=name)
        require(container.wait(name)["signal"] == 9, "not killed")
        container.output("p", "head -c 10000000 /dev/zero > /mnt/big")
        name = transfer.begin("archive.get", "/mnt")
        require(container.stream("stdout", name).exactly(512)[:4] == b"mnt/", "what comes first")
        other = transfer.begin("archive.put", "/mnt")
        container.kill(9)
        container.wait()
        for process in (name, other):
            require(container.wait(process)["signal"] == 9, "lives on")


def not_seen_from_inside(place):
    with running(place) as container:
        transfer = Transfer(container)
        # Until its first process has become the command.
        container.output("ready", "until grep -q sleep /proc/1/comm; do sleep 0.01; done")
        name = transfer.begin("archive.put", "/mnt")
        names = container.output("p", "cat /proc/[0-9]*/comm").split()
        require(sorted(names) == ["cat", "sleep"], f"the container sees {names}")
        container.kill(9, process=name)


CASES = [round_trip, where_it_works, what_is_there_already, paths, out_of_the_directory, broken_archives, a_full_disk,
         given_up, not_seen_from_inside]


def run(place, report):
    for case in CASES:
        report.case(case.__name__.replace("_", " "), case, place)
