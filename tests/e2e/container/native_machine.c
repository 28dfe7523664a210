// SPDX-License-Identifier: Apache-2.0
/* The agent on this host: see native_machine.h. */
#include "tests/e2e/container/native_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define KEEP_FD 9 /* the machine's end of `keep` in the shell that becomes the agent */

struct machine {
    struct machine_host host;
    struct agent_connector connector;
    char socket[4200], group[160];
    pid_t pid;
    int pidfd;
    int life[2]; /* a pipe whose end says that this process has ended */
    int keep; /* a pipe that ends with this process and all of the machine's: see start_keeper() */
    struct event_source *source;
};

static bool fault(const char *word)
{
    const char *asked = getenv("HUSK_NATIVE_FAULT");

    return asked && !strcmp(asked, word);
}

/* This host's files with one more directory, /rootfs, which a config.json of pod/spec names. */
static const char root_script[] =
    "mkdir /run/over /run/host && mount -t tmpfs over /run/over && "
    "mkdir /run/over/upper /run/over/work && mount -t overlay -o "
    "lowerdir=/,upperdir=/run/over/upper,workdir=/run/over/work over /run/host && "
    "mkdir /run/host/rootfs /run/host/before && "
    "mount --bind \"$HUSK_NATIVE_ROOT\" /run/host/rootfs && "
    "for d in proc dev sys tmp run; do mount --rbind /$d /run/host/$d || exit 1; done && "
    "cd /run/host && pivot_root . before && umount -l before && ";

/* The whole life of the agent, as one command of a shell in new namespaces. */
static void format_script(const struct machine *machine, char *out, size_t size)
{
    const char *path = machine->host.path;

    if (fault("dies"))
        snprintf(out, size, "echo it is dead >&2; exit 3");
    else if (fault("silent"))
        snprintf(out, size, "echo it says nothing >&2; exec sleep 1000");
    else
        snprintf(out, size,
                 "mount --make-rprivate / && mount -t proc proc /proc && mkdir -p '%s/cgroup' && "
                 "mount -t tmpfs -o mode=755 run /run && /bin/busybox ip link set lo up && "
                 "mount -t cgroup2 none '%s/cgroup' && mkdir '%s/cgroup/%s' && rm -f '%s' && %s"
                 "exec '%s' --listen '%s' --cgroup '%s/cgroup/%s' %d>&-",
                 path, path, path, machine->group, machine->socket,
                 getenv("HUSK_NATIVE_ROOT") ? root_script : "", getenv("HUSK_AGENT"),
                 machine->socket, path, machine->group, KEEP_FD);
}

/* Asks for SIGKILL at the parent's end, and sees to it that this has not come before: the parent
 * has the other end of the pipe. */
static void die_with_parent(const int pipe_fds[2])
{
    struct pollfd parent = {.fd = pipe_fds[0]};

    close(pipe_fds[1]);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&parent, 1, 0) != 0)
        _exit(126);
}

/*
 * The control groups of a machine would go with it: those of this host are removed by a process
 * that lives a little longer than both the supervisor and the machine, however these end. It waits
 * for the end of the pipe whose other end they have; whoever is in the group then is being killed.
 * Of what is open here, the lock of the supervisor's record above all, it keeps nothing.
 * Returns that other end, or -1.
 */
static int start_keeper(const char *group)
{
    int ends[2], null;
    char script[1000];
    pid_t pid;

    snprintf(script, sizeof(script),
             "while read -r line; do :; done; mount --make-rprivate / && "
             "mount -t cgroup2 none /mnt || exit; n=0; "
             "while [ -d '/mnt/%s' ] && [ $n -lt 400 ]; do n=$((n + 1)); "
             "find '/mnt/%s' -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05; done",
             group, group);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        null = open("/dev/null", O_WRONLY);
        if (null < 0 || dup2(ends[0], 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
            close_range(3, ~0u, 0) < 0 || setsid() < 0 || chdir("/") < 0 ||
            unshare(CLONE_NEWNS) < 0)
            _exit(126);
        if (fork() == 0)
            execlp("sh", "sh", "-c", script, NULL);
        _exit(0);
    }
    close(ends[0]);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0); /* init has the keeper */
    else
        close_fd(&ends[1]);
    return ends[1];
}

/* Two processes, for only a child is in the new pid namespace. As a jailed VM does, all end with
 * who has the machine. */
static _Noreturn void run(const int pipe_fds[2], const char *script, int log, int keep)
{
    int inner[2], status;
    sigset_t none;
    pid_t pid;

    die_with_parent(pipe_fds);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(log, 1) < 0 || dup2(log, 2) < 0 || pipe2(inner, O_CLOEXEC) < 0 ||
        unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID) < 0)
        _exit(126);
    pid = fork();
    if (pid == 0) {
        die_with_parent(inner);
        if (dup2(keep, KEEP_FD) < 0)
            _exit(126);
        execlp("sh", "sh", "-c", script, NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

static void on_end(void *arg, uint32_t events)
{
    struct machine *machine = arg;
    char why[64] = "";
    int status = 0;

    (void)events;
    event_source_remove(machine->source);
    machine->source = NULL;
    if (waitpid(machine->pid, &status, 0) == machine->pid && status)
        snprintf(why, sizeof(why), "the agent ended with %#x", (unsigned)status);
    machine->pid = 0;
    machine->host.stopped(machine->host.arg, why);
}

static void destroy(struct machine *machine)
{
    if (!machine)
        return;
    event_source_remove(machine->source);
    if (machine->pid > 0) {
        kill(machine->pid, SIGKILL);
        while (waitpid(machine->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close_fd(&machine->pidfd);
    close_fd(&machine->life[0]);
    close_fd(&machine->life[1]);
    close_fd(&machine->keep);
    free(machine);
}

static int start(const struct machine_request *request, const struct machine_host *host,
                 struct machine **out, struct machine_plan *plan, struct husk_error *err)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    int log = openat(host->dir, "agent.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char script[40000];

    plan->requests = json_pack("[{s:s, s:{s:s, s:i}}]", "method", "volume.add", "params", "volume",
                               "scratch", "tmpfs_bytes", 64 << 20);
    if (!machine || log < 0 || !getenv("HUSK_AGENT")) {
        free(machine);
        close_fd(&log);
        return error_set(err, ENOENT, "HUSK_AGENT", "is not set", "or there is no agent.log");
    }
    machine->host = *host;
    machine->pidfd = machine->life[0] = machine->life[1] = machine->pid = -1;
    snprintf(machine->socket, sizeof(machine->socket), "%s/agent.sock", host->path);
    snprintf(machine->group, sizeof(machine->group), "husk-native-%.40s-%.16s-%llx",
             getenv("HUSK_NATIVE_RUN") ? getenv("HUSK_NATIVE_RUN") : "0", request->id,
             (unsigned long long)monotonic_ns());
    machine->keep = start_keeper(machine->group);
    machine->connector =
        (struct agent_connector){.connect = agent_connector_path, .arg = machine->socket};
    format_script(machine, script, sizeof(script));
    if (machine->keep >= 0 && pipe2(machine->life, O_CLOEXEC) == 0)
        machine->pid = fork();
    if (machine->pid == 0)
        run(machine->life, script, log, machine->keep);
    close_fd(&log);
    if (machine->pid > 0)
        machine->pidfd = (int)syscall(SYS_pidfd_open, machine->pid, 0);
    if (machine->pidfd < 0 ||
        event_loop_add(host->loop, machine->pidfd, EPOLLIN, on_end, machine, &machine->source)) {
        destroy(machine);
        return error_set(err, EIO, "the agent", "cannot be started", NULL);
    }
    *out = machine;
    return 0;
}

static const struct agent_connector *connector(struct machine *machine)
{
    return &machine->connector;
}

static int pid_of(const struct machine *machine)
{
    return machine->pid;
}

/* This host's cgroups may lack controllers; a machine's kernel has them all. */
static void reduce(json_t *create)
{
    static const char *const controllers[] = {"cpu", "memory", "pids", "unified", "hugepageLimits"};
    json_t *linux_part = json_object_get(json_object_get(create, "config"), "linux");
    json_t *resources = json_object_get(linux_part, "resources");

    /* Nor may this process always raise limits. */
    (void)json_object_del(json_object_get(json_object_get(create, "config"), "process"), "rlimits");
    for (unsigned i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
        (void)json_object_del(resources, controllers[i]);
}

static void power_off(struct machine *machine)
{
    if (machine->pid > 0)
        kill(machine->pid, SIGKILL);
}

static int stats(struct machine *machine, struct machine_stats *out)
{
    (void)machine;
    (void)out;
    return -ENOTSUP;
}

static void last_words(struct machine *machine, char *text, size_t size)
{
    int fd = openat(machine->host.dir, "agent.log", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, size - 1);

    close_fd(&fd);
    text[len > 0 ? len : 0] = '\0';
    if (len > 0 && text[len - 1] == '\n')
        text[len - 1] = '\0';
    make_printable(text);
}

const struct machine_ops native_machine_ops = {
    .start = start,
    .connector = connector,
    .reduce = reduce,
    .pid = pid_of,
    .power_off = power_off,
    .stats = stats,
    .last_words = last_words,
    .destroy = destroy,
};
