# SPDX-License-Identifier: Apache-2.0
"""Users by name: "user" of create and exec against the /etc/passwd and /etc/group of the root (agent.make_root()
writes them), and against files that are hostile."""
from agent import Container, refused, require

LOOK = "id -u; id -g; id -G; echo \"$HOME\""
TMPFS_ETC = {"mounts+": [{"destination": "/etc", "type": "tmpfs", "source": "tmpfs"}]}

# user, then uid, gid, all groups, home
USERS = [
    ("alice", "1000 1001 1001,10,50 /home/alice"),
    ("1000", "1000 1001 1001,10,50 /home/alice"),
    ("alice:", "1000 1001 1001,10,50 /home/alice"),
    ("alice:staff", "1000 50 50 /home/alice"),
    ("alice:60", "1000 60 60 /home/alice"),
    ("alice:61", "1000 61 61 /home/alice"),
    ("0", "0 0 0,44 /"),
    ("root", "0 0 0,44 /"),
    ("", "0 0 0,44 /"),
    (":staff", "0 50 50 /"),
    ("4242", "4242 0 0 /"),
    ("4242:4343", "4242 4343 4343 /"),
    ("1234", "1234 0 0 /"),
    ("homeless", "1002 1002 1002 /"),
    ("2147483647", "2147483647 0 0 /"),
]
REFUSED = [
    ("bob", "not-found"), ("Alice", "not-found"), ("alice:nobody", "not-found"), ("broken", "not-found"),
    ("negative", "not-found"), ("-1", "not-found"), ("1000x", "not-found"), ("alice:staff:x", "not-found"),
    ("2147483648", "invalid"), ("1000:99999999999999999999", "invalid"), ("x" * 257, "invalid"),
]


def answer(text):
    uid, gid, groups, home = text.splitlines()
    return f"{uid} {gid} {groups.replace(' ', ',')} {home}"


def of_a_container(place):
    for user, expected in USERS:
        with Container(place, None, LOOK, user=user) as container:
            _, out, err = container.finish()
            require(answer(out) == expected, f"{user}: {out!r} {err!r}")


def of_an_exec(place):
    with Container(place, None, "sleep 1000") as container:
        container.start()
        for number, (user, expected) in enumerate(USERS):
            out = container.output(f"p{number}", LOOK, asked={"user": user})
            require(answer(out) == expected, f"{user}: {out!r}")


def unknown(place):
    with Container(place, None, "sleep 1000") as container:
        container.start()
        for user, code in REFUSED:
            error = refused(code, Container, place, None, LOOK, user=user)
            require("user" in error.where, error)
            error = refused(code, container.output, "p", LOOK, asked={"user": user})
            require("user" in error.where, error)
        refused("invalid", container.output, "p", LOOK, asked={"user": 0})
    require(not place.control.call("list")["containers"], "something stays")


def with_the_rest_of_the_config(place):
    changes = {"process.user": {"uid": 7, "gid": 8, "additionalGids": [70, 71], "umask": 0o027},
               "process.env": ["PATH=/bin", "HOME=/mine"]}
    for user, expected in (("alice", "1000 1001 1001,10,50,70,71 /mine"), ("alice:60", "1000 60 60,70,71 /mine"),
                           ("", "7 8 8,70,71 /mine"), ("9", "9 9 9,70,71 /mine"), ("5", "5 8 8,70,71 /mine")):
        with Container(place, changes, LOOK + "; umask", user=user) as container:
            _, out, _ = container.finish()
            *out, mask = out.splitlines()
            require((answer("\n".join(out)), mask) == (expected, "0027"), f"{user}: {out} {mask}")


def terminal(place):
    """It belongs to the user that was looked up."""
    with Container(place, {"process.terminal": True}, "stat -c %u /dev/pts/0 /dev/console; sleep 1000",
                   user="alice") as container:
        stream = container.stream("terminal")
        container.start()
        require(stream.exactly(12) == b"1000\r\n1000\r\n", "the terminal is somebody else's")
        stream.close()


def no_files(place):
    with Container(place, TMPFS_ETC, LOOK, user="12:13") as container:
        _, out, _ = container.finish()
        require(answer(out) == "12 13 13 /", out)
    refused("not-found", Container, place, TMPFS_ETC, LOOK, user="root")


def hostile_files(place):
    """None makes the agent wait, read without end, or leave the root."""
    with Container(place, TMPFS_ETC, "sleep 1000") as container:
        container.start()
        for number, (make, code) in enumerate([
                ("mkfifo /etc/passwd", "not-found"),
                ("mknod /etc/passwd p; ln -s passwd /etc/group", "not-found"),
                ("mkdir /etc/passwd", "not-found"),
                ("ln -s passwd /etc/passwd", "not-found"),
                ("ln -s /dev/zero /etc/passwd", "not-found"),
                ("ln -s /proc/self/fd/0 /etc/passwd", "not-found"),
                ("ln -s /proc/self/exe /etc/passwd", "not-found"),
                ("head -c 5000000 /dev/zero > /etc/passwd", "limit"),
                ("head -c 1000000 /dev/zero > /etc/passwd", "not-found"),
                ("echo :::::: > /etc/passwd; echo root >> /etc/passwd", "not-found")]):
            container.output(f"m{number}", f"rm -rf /etc/passwd /etc/group; {make}")
            refused(code, container.output, "p", LOOK, asked={"user": "root"})
        container.output("m", "rm -rf /etc/passwd; ln -s ../../../../etc/real /etc/passwd; "
                         "printf 'root:x:3:4::/r:\\n' > /etc/real")
        require(answer(container.output("q", LOOK, asked={"user": "root"})) == "3 4 4 /r", "a link is not followed")


CASES = [of_a_container, of_an_exec, unknown, with_the_rest_of_the_config, terminal, no_files, hostile_files]


def run(place, report):
    for case in CASES:
        report.case(case.__name__.replace("_", " "), case, place)
