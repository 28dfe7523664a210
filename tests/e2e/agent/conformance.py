# SPDX-License-Identifier: Apache-2.0
"""Every field of a config.json that the agent carries out, each looked at from inside the container; and
every one that it refuses, with the name that the refusal gives. Tables: a line is a case.

FIELDS     name, changes to the base configuration, shell command, what it prints (or a function of that)
REFUSALS   name, changes, error code, what "where" contains
"""
import re

from agent import CAPABILITIES, Container, Failure, Refused, base_config, patched, require

P, L = "process", "linux"
NAMESPACES = base_config("")["linux"]["namespaces"]
MASK = (1 << 64) - 1


def bits(*names):
    order = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
             "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
             "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
             "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
             "PERFMON BPF CHECKPOINT_RESTORE").split()
    return sum(1 << order.index(name.removeprefix("CAP_")) for name in names)


def capability(line, *names):
    return f"grep {line} /proc/self/status", f"{line}:\t{bits(*names):016x}"


def mount(destination, kind, *options, source="none"):
    return {"mounts+": [{"destination": destination, "type": kind, "source": source, "options": list(options)}]}


def bind(destination, source, *options):
    return mount(destination, "bind", *options, source=source)


def mountinfo(path):
    return f"grep ' {path} ' /proc/self/mountinfo"


def has(*words):
    return lambda text: all(re.search(word, text) for word in words)


def lacks(*words):
    return lambda text: text and not any(re.search(word, text) for word in words)


def rlimit(kind, label, soft, hard, shown=None):
    limits = {f"{P}.rlimits": [{"type": f"RLIMIT_{kind}", "soft": soft, "hard": hard}]}
    pattern = rf"{label} +{shown or soft} +{shown or hard}\b"
    return f"rlimit {kind}", limits, "cat /proc/self/limits", has(pattern)


def without_namespace(kind):
    return {f"{L}.namespaces": [entry for entry in NAMESPACES if entry["type"] != kind]}


def seccomp(action, *names, **more):
    return {f"{L}.seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                             "syscalls": [{"names": list(names), "action": action, **more}]}}


def device(path, kind="c", major=1, minor=3, **more):
    return {"path": path, "type": kind, "major": major, "minor": minor, **more}


def device_rules(*rules):
    return {f"{L}.resources": {"devices": [{"allow": False, "access": "rwm"}, *rules]}}


USERS = {f"{L}.namespaces+": [{"type": "user"}],
         f"{L}.uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
         f"{L}.gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}
SYSLOG = {f"{P}.capabilities": {kind: CAPABILITIES + ["CAP_SYSLOG"] for kind in
                                ("bounding", "permitted", "effective")}}
NO_NAMES = {"hostname": None, "domainname": None}

FIELDS = [
    # --- process
    ("args", {f"{P}.args": ["/bin/busybox", "echo", "a b", "c"]}, None, "a b c"),
    ("args found in the PATH of env", {f"{P}.args": ["echo", "x"], f"{P}.env": ["PATH=/nowhere:/bin"]}, None, "x"),
    ("env", {f"{P}.env": ["A=1", "B=two words", "PATH=/bin"]}, "echo $A-$B", "1-two words"),
    ("env, nothing else", {f"{P}.env": ["A=1"], f"{P}.args": ["/bin/busybox", "env"]}, None, "A=1"),
    ("cwd", {f"{P}.cwd": "/tmp"}, "pwd", "/tmp"),
    ("cwd that the image lacks", {f"{P}.cwd": "/made/for/me"}, "pwd", "/made/for/me"),
    ("user", {f"{P}.user": {"uid": 1000, "gid": 1001}}, "id -u; id -g", "1000\n1001"),
    ("additionalGids", {f"{P}.user": {"uid": 1, "gid": 2, "additionalGids": [30, 40]}},
     "grep Groups /proc/self/status", has(r"Groups:\t30 40")),
    ("no groups of the agent's", {}, "grep Groups /proc/self/status", has(r"^Groups:\s*$")),
    ("umask", {f"{P}.user": {"uid": 0, "gid": 0, "umask": 0o027}}, "umask", "0027"),
    ("umask, default", {}, "umask", "0022"),
    ("noNewPrivileges", {}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
    ("noNewPrivileges off", {f"{P}.noNewPrivileges": False}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0"),
    ("oomScoreAdj", {f"{P}.oomScoreAdj": 321}, "cat /proc/self/oom_score_adj", "321"),
    ("oomScoreAdj, default", {}, "cat /proc/self/oom_score_adj", "0"),
    ("scheduler", {f"{P}.scheduler": {"policy": "SCHED_BATCH", "nice": 5}},
     "set -- $(cat /proc/self/stat); echo ${19} ${41}", "5 3"),
    ("scheduler, real time", {f"{P}.scheduler": {"policy": "SCHED_FIFO", "priority": 7,
                                                 "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
                              f"{P}.args": ["/bin/busybox", "cat", "/proc/self/stat"]}, None,
     lambda text: text.split()[39:41] == ["7", "1"]),
    ("ioPriority", {f"{P}.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}}, "ionice -p 1",
     "best-effort: prio 6"),
    ("signals are not ignored or blocked", {f"{P}.args": ["cat", "/proc/self/status"]}, None,
     has(r"SigBlk:\t0{16}\nSigIgn:\t0{16}")),
    ("descriptors: three only", {}, "ls /proc/self/fd", lambda text: set(text.split()) <= {"0", "1", "2", "3"}),
    ("a session of its own", {}, "set -- $(cat /proc/1/stat); echo $6", "1"),
    # --- capabilities
    ("capabilities.bounding", {f"{P}.capabilities.bounding": ["CAP_CHOWN", "CAP_KILL"]},
     *capability("CapBnd", "CHOWN", "KILL")),
    ("capabilities.permitted", {f"{P}.capabilities": {"permitted": ["CAP_KILL"], "bounding": ["CAP_KILL"]},
                                f"{P}.user": {"uid": 7, "gid": 7}}, *capability("CapPrm")),
    ("capabilities of root", {}, *capability("CapEff", *CAPABILITIES)),
    ("capabilities.inheritable", {f"{P}.capabilities.inheritable": ["CAP_KILL"]}, *capability("CapInh", "KILL")),
    ("capabilities.ambient", {f"{P}.capabilities": {kind: ["CAP_NET_RAW"] for kind in
                                                    ("bounding", "permitted", "inheritable", "ambient", "effective")},
                              f"{P}.user": {"uid": 7, "gid": 7}}, *capability("CapAmb", "NET_RAW")),
    ("capabilities.effective by ambient", {f"{P}.capabilities": {kind: ["CAP_NET_RAW"] for kind in
                                           ("bounding", "permitted", "inheritable", "ambient", "effective")},
                                           f"{P}.user": {"uid": 7, "gid": 7}}, *capability("CapEff", "NET_RAW")),
    ("capabilities, none", {f"{P}.capabilities": {}}, *capability("CapBnd")),
    # --- rlimits
    rlimit("AS", "Max address space", 1 << 32, 1 << 33, r"\d+"),
    rlimit("CORE", "Max core file size", 0, 0),
    rlimit("CPU", "Max cpu time", 100, 200),
    rlimit("DATA", "Max data size", 1 << 30, (1 << 64) - 1, r"\S+"),
    rlimit("FSIZE", "Max file size", 1000000, 2000000),
    rlimit("LOCKS", "Max file locks", 11, 12),
    rlimit("MEMLOCK", "Max locked memory", 65536, 131072),
    rlimit("MSGQUEUE", "Max msgqueue size", 1000, 2000),
    rlimit("NICE", "Max nice priority", 1, 2),
    rlimit("NOFILE", "Max open files", 77, 88),
    rlimit("NPROC", "Max processes", 500, 600),
    rlimit("RSS", "Max resident set", 1000, 2000),
    rlimit("RTPRIO", "Max realtime priority", 3, 4),
    rlimit("RTTIME", "Max realtime timeout", 5000, 6000),
    rlimit("SIGPENDING", "Max pending signals", 50, 60),
    rlimit("STACK", "Max stack size", 1 << 20, 1 << 21),
    # --- root, names
    ("root is writable", {}, "touch /made && echo yes", "yes"),
    ("root.readonly", {"root.readonly": True}, "touch /made2 2>&1; touch /dev/x && echo dev", has("Read-only", "dev")),
    ("root is all there is", {}, "ls -a / | head -3; cat /proc/self/mountinfo | head -1", lacks("husk.sock", "unified")),
    ("hostname", {"hostname": "pod-1.example"}, "hostname", "pod-1.example"),
    ("domainname", {"domainname": "example.org"}, "cat /proc/sys/kernel/domainname", "example.org"),
    # --- mounts
    ("mount tmpfs with its options", mount("/mnt", "tmpfs", "size=1m", "mode=0711", "uid=5"),
     "stat -c %a-%u /mnt; " + mountinfo("/mnt"), has("711-5", "size=1024k")),
    *[(f"mount option {option}", mount("/mnt", "tmpfs", option), mountinfo("/mnt"), has(rf" /mnt \S*\b{shown}\b"))
      for option, shown in (("ro", "ro"), ("rw", "rw"), ("nosuid", "nosuid"), ("nodev", "nodev"), ("noexec", "noexec"),
                            ("noatime", "noatime"), ("nodiratime", "nodiratime"), ("relatime", "relatime"),
                            ("nosymfollow", "nosymfollow"), ("defaults", "rw"))],
    ("mount option strictatime", mount("/mnt", "tmpfs", "strictatime"), mountinfo("/mnt"), lacks("relatime", "noatime")),
    *[(f"mount option {option} lifts", mount("/mnt", "tmpfs", opposite, option), mountinfo("/mnt"), lacks(opposite))
      for option, opposite in (("suid", "nosuid"), ("dev", "nodev"), ("exec", "noexec"), ("atime", "noatime"),
                               ("diratime", "nodiratime"), ("symfollow", "nosymfollow"))],
    ("noexec works", mount("/mnt", "tmpfs", "noexec"), "cp /bin/busybox /mnt/; /mnt/busybox true 2>&1", has("denied")),
    ("bind a directory", bind("/mnt", "/proc", "ro"), "ls /mnt/self/status " + "; " + mountinfo("/mnt"),
     has("/mnt/self/status", " /mnt ro")),
    ("bind a file", bind("/etc/new-file", "/proc/version"), "head -c 5 /etc/new-file", "Linux"),
    ("bind over a file of the image", bind("/etc/passwd", "/proc/version"), "head -c 5 /etc/passwd", "Linux"),
    ("rbind brings what is below", bind("/mnt", "/dev", "rbind"), "grep -c ' /mnt' /proc/self/mountinfo",
     lambda text: int(text) >= 1),
    ("rro is for all below", bind("/mnt", "/run", "rbind", "rro"), mountinfo("/mnt"), has(" /mnt ro")),
    ("mount proc elsewhere", mount("/other/proc", "proc"), "cat /other/proc/self/comm", "cat"),
    ("mount sysfs", mount("/sys", "sysfs", "ro"), "ls /sys/class/net", "lo"),
    ("mount cgroup", mount("/sys/fs/cgroup", "cgroup", "ro"), "ls /sys/fs/cgroup; " + mountinfo("/sys/fs/cgroup"),
     has("cgroup.procs", "cgroup2")),
    ("mount mqueue", mount("/dev/mqueue", "mqueue"), mountinfo("/dev/mqueue"), has("mqueue")),
    ("destination through an absolute link", mount("/absolute/deep", "tmpfs"), mountinfo("/mnt/deep"), has("tmpfs")),
    ("destination through a link that climbs", mount("/escape/climbed", "tmpfs"), mountinfo("/climbed"), has("tmpfs")),
    ("relative destination", mount("tmp/rel", "tmpfs"), mountinfo("/tmp/rel"), has("tmpfs")),
    ("later mounts lie on earlier ones", {"mounts+": mount("/mnt", "tmpfs")["mounts+"] +
                                          mount("/mnt/a", "tmpfs")["mounts+"]}, mountinfo("/mnt/a"), has("tmpfs")),
    *[(f"propagation {word}", mount("/mnt", "tmpfs", word), mountinfo("/mnt"), check) for word, check in
      (("shared", has(" shared:")), ("rshared", has(" shared:")), ("private", lacks("shared:", "master:")),
       ("rprivate", lacks("shared:", "master:")), ("unbindable", has("unbindable")),
       ("runbindable", has("unbindable")), ("slave", lacks("shared:")), ("rslave", lacks("shared:")))],
    ("rootfsPropagation shared", {f"{L}.rootfsPropagation": "shared"}, mountinfo("/"), has("shared:")),
    ("rootfsPropagation private", {f"{L}.rootfsPropagation": "rprivate"}, mountinfo("/"), lacks("shared:", "master:")),
    ("rootfsPropagation unbindable", {f"{L}.rootfsPropagation": "unbindable"}, mountinfo("/"), has("unbindable")),
    ("rootfsPropagation slave", {f"{L}.rootfsPropagation": "rslave"}, mountinfo("/"), lacks("shared:")),
    # --- namespaces
    ("pid namespace", {}, "echo $$; ls /proc | grep -c '^[0-9]'", lambda text: text.split()[0] == "1"),
    ("ipc namespace", {}, "cat /proc/sysvipc/shm | head -1", has("shmid")),
    ("network namespace", {}, "cat /proc/net/dev", lacks("eth")),
    ("uts namespace", {}, "hostname", "box"),
    ("cgroup namespace", {}, "grep 0:: /proc/self/cgroup", "0::/"),
    ("no cgroup namespace", without_namespace("cgroup"), "grep 0:: /proc/self/cgroup", has(r"0::/.*/c\d+")),
    ("user namespace", USERS, "cat /proc/self/uid_map; id -u", has(r"0 +100000 +65536", r"\n0\n?$")),
    ("gidMappings", USERS, "cat /proc/self/gid_map; id -g", has(r"0 +100000 +65536", r"\n0\n?$")),
    ("user namespace has devices", USERS, "echo x > /dev/null && head -c 2 /dev/zero | wc -c", "2"),
    # --- devices
    ("default devices", {}, "cd /dev; stat -c %t:%T:%a null zero full random urandom tty",
     "1:3:666\n1:5:666\n1:7:666\n1:8:666\n1:9:666\n5:0:666"),
    ("default links", {}, "cd /dev; readlink fd; readlink stdin; readlink stdout; readlink stderr; readlink ptmx",
     "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx"),
    ("devices", {f"{L}.devices": [device("/dev/mine", fileMode=0o640, uid=3, gid=4)]},
     "stat -c %F:%t:%T:%a:%u:%g /dev/mine", "character special file:1:3:640:3:4"),
    ("devices, a block device and a pipe", {f"{L}.devices": [device("/dev/b", "b", 7, 9), device("/dev/p", "p")]},
     "stat -c %F:%t:%T /dev/b; stat -c %F /dev/p", "block special file:7:9\nfifo"),
    ("devices in a new directory", {f"{L}.devices": [device("/dev/a/b/zero", minor=5)]},
     "head -c 3 /dev/a/b/zero | wc -c", "3"),
    ("a device replaces what the image has", {f"{L}.devices": [device("/etc/group")]}, "stat -c %F /etc/group",
     "character special file"),
    # --- device rules of the cgroup
    ("default devices open", {}, "for d in null zero full random urandom; do head -c 0 /dev/$d && echo -n 1; done",
     "11111"),
    ("others do not", {}, "mknod /mnt/k c 1 11 && (: < /mnt/k) 2>&1; rm /mnt/k", has("not permitted")),
    ("nor do disks", {}, "mknod /mnt/d b 254 0 && (: < /mnt/d) 2>&1; rm /mnt/d", has("not permitted")),
    ("resources.devices allows",
     {**SYSLOG, **device_rules({"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"})},
     "mknod /mnt/k c 1 11; (: < /mnt/k) && echo read; (: > /mnt/k) 2>&1; rm /mnt/k", has("read", "not permitted")),
    ("resources.devices, the last rule counts",
     {**SYSLOG, **device_rules({"allow": True, "type": "c", "major": 1, "access": "rw"},
                               {"allow": False, "type": "c", "major": 1, "minor": 11, "access": "w"})},
     "mknod /mnt/k c 1 11; (: < /mnt/k) && echo read; (: > /mnt/k) 2>&1; rm /mnt/k", has("read", "not permitted")),
    ("linux.devices may be opened", {**SYSLOG, f"{L}.devices": [device("/dev/kmsg0", minor=11)]}, "(: < /dev/kmsg0) && echo ok",
     "ok"),
    # --- cgroups
    ("cgroupsPath", {f"{L}.cgroupsPath": "/deep/er/leaf", **without_namespace("cgroup")},
     "grep 0:: /proc/self/cgroup", has("/deep/er/leaf$")),
    # --- masks
    ("maskedPaths, a file", {f"{L}.maskedPaths": ["/etc/passwd"]}, "cat /etc/passwd; stat -c %t:%T /etc/passwd", "1:3"),
    ("maskedPaths, a directory", {f"{L}.maskedPaths": ["/tmp/.", "/etc"]},
     "ls -A /etc /tmp; touch /etc/x 2>&1", has("^/etc:\n\n/tmp:\ntouch.*Read-only")),
    ("maskedPaths that are not there", {f"{L}.maskedPaths": ["/no/where", "/etc/passwd/x"]}, "echo fine", "fine"),
    ("maskedPaths through a link stays inside", {f"{L}.maskedPaths": ["/escape/etc"]}, "ls -A /etc", ""),
    ("readonlyPaths", {f"{L}.readonlyPaths": ["/etc"]}, "touch /etc/passwd 2>&1; cat /etc/passwd",
     has("Read-only", "root")),
    ("readonlyPaths of proc", {}, "echo 1 2>&1 > /proc/sys/kernel/domainname", has("Read-only")),
    # --- sysctl
    ("sysctl net", {f"{L}.sysctl": {"net.ipv4.ip_default_ttl": "42"}}, "cat /proc/sys/net/ipv4/ip_default_ttl", "42"),
    ("sysctl ipc", {f"{L}.sysctl": {"kernel.msgmax": "9000"}}, "cat /proc/sys/kernel/msgmax", "9000"),
    ("sysctl mqueue", {f"{L}.sysctl": {"fs.mqueue.msg_max": "20"}}, "cat /proc/sys/fs/mqueue/msg_max", "20"),
    ("sysctl with slashes", {f"{L}.sysctl": {"net/ipv4/conf/lo/forwarding": "1"}},
     "cat /proc/sys/net/ipv4/conf/lo/forwarding", "1"),
    # --- seccomp
    ("seccomp errno", seccomp("SCMP_ACT_ERRNO", "mkdir", "mkdirat"), "mkdir /mnt/x 2>&1", has("not permitted")),
    ("seccomp errnoRet", seccomp("SCMP_ACT_ERRNO", "mkdir", "mkdirat", errnoRet=28), "mkdir /mnt/x 2>&1",
     has("No space left")),
    ("seccomp kill", seccomp("SCMP_ACT_KILL_PROCESS", "mkdir", "mkdirat"), "mkdir /mnt/x; echo $?", "159"),
    ("seccomp kill thread", seccomp("SCMP_ACT_KILL", "mkdir", "mkdirat"), "mkdir /mnt/x; echo $?", "159"),
    ("seccomp trap", seccomp("SCMP_ACT_TRAP", "mkdir", "mkdirat"), "mkdir /mnt/x; echo $?", "159"),
    ("seccomp log", seccomp("SCMP_ACT_LOG", "mkdir", "mkdirat"), "mkdir /mnt/l && rmdir /mnt/l && echo made", "made"),
    ("seccomp trace without a tracer", seccomp("SCMP_ACT_TRACE", "mkdir", "mkdirat"), "mkdir /mnt/x 2>&1",
     has("not implemented")),
    ("seccomp unknown names", seccomp("SCMP_ACT_ERRNO", "no_such_call", "mkdir", "mkdirat"), "mkdir /mnt/x 2>&1",
     has("not permitted")),
    ("seccomp mode", seccomp("SCMP_ACT_ERRNO", "mkdir"), "grep Seccomp: /proc/self/status", "Seccomp:\t2"),
    ("seccomp before rights go", {**seccomp("SCMP_ACT_ERRNO", "mkdir", "mkdirat"), f"{P}.noNewPrivileges": False,
                                  f"{P}.user": {"uid": 9, "gid": 9}}, "mkdir /tmp/x 2>&1; id -u",
     has("not permitted", "9")),
    *[(f"seccomp {operator}", seccomp("SCMP_ACT_ERRNO", "kill", args=[
        {"index": 1, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": two}]),
       "kill -0 1 && echo -n a; kill -18 1 && echo -n b; kill -28 1 && echo -n c", shown)
      for operator, value, two, shown in (("EQ", 18, 0, "ac"), ("NE", 18, 0, "b"), ("LT", 18, 0, "bc"),
                                          ("LE", 18, 0, "c"), ("GT", 18, 0, "ab"), ("GE", 18, 0, "a"),
                                          ("MASKED_EQ", 0x1f, 28, "ab"))],
    ("seccomp, one argument twice", seccomp("SCMP_ACT_ERRNO", "kill", args=[
        {"index": 1, "op": "SCMP_CMP_EQ", "value": 0}, {"index": 1, "op": "SCMP_CMP_EQ", "value": 28}]),
     "kill -0 1 && echo -n a; kill -18 1 && echo -n b; kill -28 1 && echo -n c", "b"),
    ("seccomp flags", {**seccomp("SCMP_ACT_ERRNO", "mkdir", "mkdirat"),
                       f"{L}.seccomp.flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                              "SECCOMP_FILTER_FLAG_TSYNC"]}, "mkdir /mnt/x 2>&1", has("not permitted")),
    # --- what is ignored
    ("unknown members", {"x-unknown": {"a": 1}, f"{L}.unknown": 3, f"{P}.unknown": []}, "echo fine", "fine"),
    ("annotations", {"annotations": {"com.example": "x"}}, "echo fine", "fine"),
    ("empty hooks", {"hooks": {"prestart": []}}, "echo fine", "fine"),
]

REFUSALS = [
    ("ociVersion 2", {"ociVersion": "2.0.0"}, "unsupported", "config.ociVersion"),
    ("no ociVersion", {"ociVersion": None}, "invalid", "config.ociVersion"),
    ("no root", {"root": None}, "invalid", "config.root"),
    ("a root that is not there", {"root.path": "/no/such"}, "not-found", "root.path"),
    ("no process", {"process": None}, "invalid", "config.process"),
    ("no args", {f"{P}.args": []}, "invalid", "process.args"),
    ("args of numbers", {f"{P}.args": [1]}, "invalid", "process.args[0]"),
    ("relative cwd", {f"{P}.cwd": "tmp"}, "invalid", "process.cwd"),
    ("uid -1", {f"{P}.user.uid": -1}, "invalid", "process.user.uid"),
    ("uid 2^32 - 1", {f"{P}.user.uid": (1 << 32) - 1}, "invalid", "process.user.uid"),
    ("a group that is a text", {f"{P}.user.additionalGids": ["wheel"]}, "invalid", "additionalGids[0]"),
    ("unknown capability", {f"{P}.capabilities.bounding": ["CAP_FLY"]}, "invalid", "capabilities.bounding[0]"),
    ("unknown rlimit", {f"{P}.rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, "invalid", "rlimits[0].type"),
    ("an rlimit twice", {f"{P}.rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2}, "invalid", "rlimits[1]"),
    ("soft above hard", {f"{P}.rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}, "invalid", "rlimits[0].soft"),
    ("oomScoreAdj 1001", {f"{P}.oomScoreAdj": 1001}, "invalid", "oomScoreAdj"),
    ("apparmorProfile", {f"{P}.apparmorProfile": "x"}, "unsupported", "apparmorProfile"),
    ("selinuxLabel", {f"{P}.selinuxLabel": "x"}, "unsupported", "selinuxLabel"),
    ("execCPUAffinity", {f"{P}.execCPUAffinity": {"initial": "0"}}, "unsupported", "execCPUAffinity"),
    *[(f"hooks.{name}", {"hooks": {name: [{"path": "/bin/true"}]}}, "unsupported", f"hooks.{name}") for name in
      ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")],
    *[(f"linux.{name}", {f"{L}.{name}": value}, "unsupported", f"linux.{name}") for name, value in
      (("intelRdt", {"closID": "x"}), ("mountLabel", "x"), ("personality", {"domain": "LINUX32"}),
       ("timeOffsets", {"boottime": {"secs": 1}}), ("netDevices", {"eth0": {}}))],
    ("time namespace", {f"{L}.namespaces+": [{"type": "time"}]}, "unsupported", "namespaces[6].type"),
    ("unknown namespace", {f"{L}.namespaces+": [{"type": "dream"}]}, "invalid", "namespaces[6].type"),
    ("a namespace twice", {f"{L}.namespaces+": [{"type": "pid"}]}, "invalid", "namespaces[6].type"),
    ("no mount namespace", without_namespace("mount"), "invalid", "linux.namespaces"),
    ("hostname without uts", without_namespace("uts"), "invalid", "config.hostname"),
    ("a namespace of another type", {f"{L}.namespaces": [{"type": "ipc", "path": "/proc/self/ns/net"},
                                                         {"type": "mount"}], **NO_NAMES}, "invalid", "ipc"),
    ("a namespace that is a file", {f"{L}.namespaces": [{"type": "ipc", "path": "/proc/version"}, {"type": "mount"}],
                                    **NO_NAMES}, "invalid", "ipc"),
    ("a shared user namespace", {f"{L}.namespaces+": [{"type": "user", "path": "/proc/self/ns/user"}]},
     "unsupported", "namespaces[6].path"),
    ("user namespace without mappings", {f"{L}.namespaces+": [{"type": "user"}]}, "invalid", "uidMappings"),
    ("mappings without a namespace", {f"{L}.uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}, "invalid",
     "uidMappings"),
    ("a mapping beyond 32 bits", {**USERS, f"{L}.uidMappings": [{"containerID": 1, "hostID": 0, "size": 0xffffffff}]},
     "invalid", "uidMappings[0]"),
    ("mount on the root", mount("/", "tmpfs"), "invalid", "mounts[4].destination"),
    ("mount of an unknown type", mount("/mnt", "nosuchfs"), "failed", "mounts[4] /mnt"),
    ("an option the file system refuses", mount("/mnt", "tmpfs", "size=lots"), "invalid", "mounts[4] /mnt"),
    ("mount option remount", mount("/mnt", "tmpfs", "remount"), "unsupported", "mounts[4].options[0]"),
    ("mount option idmap", bind("/mnt", "/tmp", "idmap"), "unsupported", "mounts[4].options[0]"),
    ("mount option tmpcopyup", mount("/mnt", "tmpfs", "tmpcopyup"), "unsupported", "mounts[4].options[0]"),
    ("mounts.uidMappings", {"mounts+": [{"destination": "/mnt", "type": "bind", "source": "/", "uidMappings": [
        {"containerID": 0, "hostID": 1, "size": 1}]}]}, "unsupported", "mounts[4].uidMappings"),
    ("bind without a source", {"mounts+": [{"destination": "/mnt", "type": "bind"}]}, "invalid", "mounts[4].source"),
    ("bind of nothing", bind("/mnt", "/no/such"), "not-found", "mounts[4] /mnt"),
    ("bind with options of a file system", bind("/mnt", "/", "size=3"), "invalid", "mounts[4].options"),
    ("destination through a link of proc", bind("/magic/x", "/tmp"), "failed", "mounts[4]"),
    ("a device without numbers", {f"{L}.devices": [{"path": "/dev/x", "type": "c"}]}, "invalid", "linux.devices[0]"),
    ("a device of an unknown type", {f"{L}.devices": [device("/dev/x", "z")]}, "invalid", "devices[0].type"),
    ("cgroupsPath with ..", {f"{L}.cgroupsPath": "a/../../b"}, "invalid", "cgroupsPath"),
    ("unified leaves the cgroup", {f"{L}.resources": {"unified": {"cgroup.procs": "1"}}}, "invalid", "unified"),
    ("unified with a path", {f"{L}.resources": {"unified": {"../memory.max": "1"}}}, "invalid", "unified"),
    *[(f"resources.{path}", {f"{L}.resources": value}, "unsupported", path) for path, value in
      (("hugepageLimits", {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}),
       ("network", {"network": {"classID": 1}}), ("rdma", {"rdma": {"mlx5_0": {"hcaHandles": 1}}}),
       ("memory.kernel", {"memory": {"kernel": 1}}), ("memory.swappiness", {"memory": {"swappiness": 1}}),
       ("memory.disableOOMKiller", {"memory": {"disableOOMKiller": True}}),
       ("cpu.realtimeRuntime", {"cpu": {"realtimeRuntime": 1}}),
       ("blockIO.leafWeight", {"blockIO": {"leafWeight": 10}}))],
    ("swap below memory", {f"{L}.resources": {"memory": {"limit": 10, "swap": 5}}}, "invalid", "memory.swap"),
    ("access of a device rule", device_rules({"allow": True, "access": "x"}), "invalid", "devices[1].access"),
    ("seccomp notify", seccomp("SCMP_ACT_NOTIFY", "mkdir"), "unsupported", "seccomp.syscalls[0].action"),
    ("seccomp unknown action", seccomp("SCMP_ACT_SHRUG", "mkdir"), "invalid", "seccomp.syscalls[0].action"),
    ("seccomp unknown architecture", {**seccomp("SCMP_ACT_ERRNO", "mkdir"),
                                      f"{L}.seccomp.architectures": ["SCMP_ARCH_PDP11"]}, "invalid", "architectures[0]"),
    ("seccomp argument 6", seccomp("SCMP_ACT_ERRNO", "kill", args=[{"index": 6, "op": "SCMP_CMP_EQ", "value": 0}]),
     "invalid", "args[0].index"),
    ("seccomp listener", {**seccomp("SCMP_ACT_ERRNO", "mkdir"), f"{L}.seccomp.listenerPath": "/x"}, "unsupported",
     "listenerPath"),
    ("sysctl of the whole guest", {f"{L}.sysctl": {"kernel.panic": "1"}}, "invalid", "sysctl.kernel.panic"),
    ("sysctl that climbs", {f"{L}.sysctl": {"net/../kernel/panic": "1"}}, "invalid", "sysctl"),
    ("sysctl net without a network namespace", {**without_namespace("network"), f"{L}.sysctl": {
        "net.ipv4.ip_default_ttl": "42"}}, "invalid", "sysctl.net"),
    ("sysctl that does not exist", {f"{L}.sysctl": {"net.nothing": "1"}}, "not-found", "sysctl.net.nothing"),
    ("windows", {"windows": {"layerFolders": ["x"]}}, "unsupported", "config.windows"),
    ("annotations that are no texts", {"annotations": {"a": 1}}, "invalid", "annotations.a"),
]

# Where the kernel has the controllers: command, file in the container's own view of its cgroup.
LIMITS = [
    ("memory.limit", "memory", {"memory": {"limit": 64 << 20}}, "memory.max", str(64 << 20)),
    ("memory.swap", "memory", {"memory": {"limit": 64 << 20, "swap": 96 << 20}}, "memory.swap.max", str(32 << 20)),
    ("memory.reservation", "memory", {"memory": {"reservation": 1 << 20}}, "memory.low", str(1 << 20)),
    ("cpu.shares", "cpu", {"cpu": {"shares": 1024}}, "cpu.weight", "39"),
    ("cpu.quota", "cpu", {"cpu": {"quota": 50000, "period": 200000}}, "cpu.max", "50000 200000"),
    ("cpu.idle", "cpu", {"cpu": {"idle": 1}}, "cpu.idle", "1"),
    ("cpu.cpus", "cpuset", {"cpu": {"cpus": "0"}}, "cpuset.cpus", "0"),
    ("cpu.mems", "cpuset", {"cpu": {"mems": "0"}}, "cpuset.mems", "0"),
    ("pids.limit", "pids", {"pids": {"limit": 55}}, "pids.max", "55"),
    ("unified", "pids", {"unified": {"pids.max": "44"}}, "pids.max", "44"),
]


def check(place, changes, command, expected):
    with Container(place, changes, command) as container:
        _, out, err = container.finish()
    out = out.rstrip("\n")
    good = expected(out) if callable(expected) else out == expected
    require(good, f"printed {out!r}, {err!r}" + ("" if callable(expected) else f", not {expected!r}"))


def refuse(place, changes, code, where):
    try:
        with Container(place, changes):
            pass
    except Refused as error:
        require(error.code == code and where in error.where, f"refused with {error}, not {code} of {where}")
        return
    raise Failure("was not refused")


def joined(place, kind, name):
    """By path: the first container's, as the second sees it."""
    changes = {f"{L}.namespaces": [entry for entry in NAMESPACES if entry["type"] not in (kind, "pid")], **NO_NAMES}
    with Container(place, {f"{P}.args": ["/bin/busybox", "sleep", "1000"]}) as first:
        first.start()
        changes[f"{L}.namespaces"] = changes[f"{L}.namespaces"] + [
            {"type": kind, "path": f"/proc/{first.pid}/ns/{name}"}]
        theirs = first.output("look", f"readlink /proc/self/ns/{name}")
        check(place, changes, f"readlink /proc/self/ns/{name}", theirs.strip())


def run(place, report):
    names = [line[0] for line in FIELDS + REFUSALS]
    require(len(names) == len(set(names)), "two cases have one name")
    may_raise = place.agent_has_capability("SYS_RESOURCE")
    for name, changes, command, expected in FIELDS:
        if name in ("rlimit NICE", "rlimit RTPRIO") and not may_raise:
            report.skip(name, "the agent itself has no CAP_SYS_RESOURCE here")
            continue
        report.case(name, check, place, changes, command, expected)
    for name, changes, code, where in REFUSALS:
        report.case(name, refuse, place, changes, code, where)
    for kind, name in (("ipc", "ipc"), ("uts", "uts"), ("network", "net"), ("cgroup", "cgroup"), ("pid", "pid")):
        report.case(f"namespace joined: {kind}", joined, place, kind, name)
    there = place.control.call("info")["cgroup_controllers"]
    for name, controller, resources, file, value in LIMITS:
        if controller in there:
            view = {**mount("/sys/fs/cgroup", "cgroup", "ro"), f"{L}.resources": resources}
            report.case(name, check, place, view, f"cat /sys/fs/cgroup/{file}", value)
        else:
            report.case(f"{name}, which this kernel lacks", refuse, place, {f"{L}.resources": resources},
                        "unsupported", "resources")
    require(not place.control.call("list")["containers"], "containers are left")
