// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's main function.
 *
 *     husk-agent                                    as PID 1 of a machine: listens on vsock
 *     husk-agent --listen PATH --cgroup DIRECTORY   on a running Linux, as root, in mount and pid
 *                                                   namespaces of its own with an empty /run: on a
 *                                                   unix socket; the cgroup (version 2) is its own
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "guest/agent/agent.h"
#include "guest/agent/boot.h"
#include "guest/agent/connection.h"
#include "husk/agent.h"

#define BACKLOG 128

struct program {
    struct agent agent;
    int listener, signals;
};

static void write_log(void *arg, enum log_level level, const char *line)
{
    fprintf(stderr, "husk-agent: %s\n", line);
}

/* Only the host may speak: a container can reach the guest's own port, too. */
static bool is_host(const struct agent *agent, int fd)
{
    struct sockaddr_vm peer = {.svm_family = 0};
    socklen_t len = sizeof(peer);

    return !agent->booted || (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
                              peer.svm_family == AF_VSOCK && peer.svm_cid == VMADDR_CID_HOST);
}

static void on_connection(void *arg, uint32_t events)
{
    struct program *program = arg;
    int fd = accept4(program->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (is_host(&program->agent, fd))
        connection_accept(&program->agent, fd);
    else
        close(fd);
}

static void on_signal(void *arg, uint32_t events)
{
    struct program *program = arg;
    struct signalfd_siginfo info;

    while (read(program->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            agent_reap(&program->agent);
        } else {
            /* The power button and Ctrl-Alt-Del, as init systems hear of them; or a test's end. */
            program->agent.ending = true;
            program->agent.rebooting = info.ssi_signo == SIGINT && program->agent.booted;
            event_loop_stop(program->agent.loop);
        }
    }
}

static int listen_on_vsock(void)
{
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = HUSK_AGENT_PORT};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return fd;
}

static int listen_on_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return fd;
}

static int open_signals(void)
{
    static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGPWR};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        sigaddset(&set, wanted[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    return fd < 0 ? -errno : fd;
}

/* Until the end is asked for. */
static int serve(struct program *program, struct husk_error *err)
{
    struct event_source *listener = NULL, *signals = NULL;
    struct event_loop *loop = program->agent.loop;
    int ret = event_loop_add(loop, program->listener, EPOLLIN, on_connection, program, &listener);

    if (!ret)
        ret = event_loop_add(loop, program->signals, EPOLLIN, on_signal, program, &signals);
    while (!ret && !program->agent.ending)
        ret = event_loop_run(loop);
    event_source_remove(listener);
    event_source_remove(signals);
    return ret ? error_set(err, -ret, "the event loop", "failed", NULL) : 0;
}

static int run(struct program *program, const char *path, const char *cgroup,
               struct husk_error *err)
{
    static const struct log log = {.sink = write_log, .level = LOG_LEVEL_WARN};
    bool booted = !path;
    int dir, ret;

    program->signals = open_signals();
    if (program->signals < 0)
        return error_set(err, -program->signals, "signals", "cannot be taken", NULL);
    if (booted) {
        dir = boot_machine(err);
    } else {
        ret = boot_directories(err);
        dir = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (ret || dir < 0)
            return ret ? ret : error_set(err, errno, cgroup, "cannot be opened", NULL);
    }
    if (dir < 0)
        return dir;
    program->listener = booted ? listen_on_vsock() : listen_on_path(path);
    if (program->listener < 0)
        return error_set(err, -program->listener, path ? path : "vsock", "cannot be listened on",
                         NULL);
    ret = agent_init(&program->agent, &log, dir, booted);
    if (ret)
        return error_set(err, -ret, "the agent", "cannot be made", NULL);
    if (booted)
        boot_ready();
    ret = serve(program, err);
    agent_end(&program->agent);
    close(dir);
    return ret;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct husk_error error = {.code = 0};
    bool by_hand = argc == 5 && !strcmp(argv[1], "--listen") && !strcmp(argv[3], "--cgroup");
    char text[640];
    int ret;

    if (!by_hand && getpid() != 1) {
        fprintf(stderr, "usage: husk-agent --listen PATH --cgroup DIRECTORY (or as PID 1)\n");
        return 2;
    }
    umask(022);
    ret = run(&program, by_hand ? argv[2] : NULL, by_hand ? argv[4] : NULL, &error);
    if (ret)
        fprintf(stderr, "husk-agent: %s\n", error_format(&error, text, sizeof(text)));
    if (!by_hand)
        boot_end(program.agent.rebooting);
    return ret ? 1 : 0;
}
