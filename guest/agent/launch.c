// SPDX-License-Identifier: Apache-2.0
/* The agent's side of starting a process: see launch.h. No state. */
#include "guest/agent/launch.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/limits.h"
#include "guest/agent/namespaces.h"

static pid_t clone_child(uint64_t flags, int cgroup, int *pidfd)
{
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD | CLONE_INTO_CGROUP,
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)(unsigned)cgroup,
    };

    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int clone_into(const struct launch *launch, int channel[2], struct launched *out,
                      struct husk_error *err)
{
    struct namespaces_way way;
    uint64_t flags = launch->root_path ? namespaces_new(launch->config) : 0;
    int ret = 0;

    /* The container must not see a process that reads and writes files with the agent's rights. */
    if (launch->archive)
        namespaces_stay(&way);
    else
        ret = launch->root_path ? namespaces_enter(launch->config, &way, err)
                                : namespaces_enter_pid_of(launch->container, &way, err);
    if (ret)
        return ret;
    out->pid = clone_child(flags, launch->cgroup, &out->pidfd);
    if (out->pid == 0)
        launch_child(launch, channel[1]);
    ret = out->pid < 0 ? -errno : 0;
    namespaces_leave(&way);
    return ret ? error_set(err, -ret, launch->field, "cannot be started", NULL) : 0;
}

/* The error is from our own code, but in a process that others may have got hold of. */
static void tidy(struct husk_error *error)
{
    error->where[sizeof(error->where) - 1] = '\0';
    error->what[sizeof(error->what) - 1] = '\0';
    error->why[sizeof(error->why) - 1] = '\0';
    make_printable(error->where);
    make_printable(error->what);
    make_printable(error->why);
    if (error->code <= 0 || error->code > 4095)
        error->code = EIO;
}

static void take_descriptor(struct msghdr *header, int *out)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    int fd;

    if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS ||
        control->cmsg_len != CMSG_LEN(sizeof(int)))
        return;
    memcpy(&fd, CMSG_DATA(control), sizeof(fd));
    close_fd(out);
    *out = fd;
}

int launch_take(const struct launch *launch, struct launched *launched, struct husk_error *err)
{
    struct launch_message message;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(launched->channel, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (len <= 0)
        return 0;
    take_descriptor(&header, &launched->terminal);
    if (len != sizeof(message))
        return error_set(err, EPROTO, launch->field, "did not start",
                         "its message has a wrong size");
    if (message.error.code) {
        tidy(&message.error);
        if (err)
            *err = message.error;
        return -message.error.code;
    }
    if (launch->process->terminal && launched->terminal < 0)
        return error_set(err, EPROTO, launch->field, "did not start", "it sent no terminal");
    return 1;
}

static int go(struct launched *launched)
{
    return send(launched->channel, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

void launch_abort(struct launched *launched)
{
    if (launched->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, launched->pidfd, SIGKILL, NULL, 0);
    close_fd(&launched->pidfd);
    close_fd(&launched->channel);
    close_fd(&launched->terminal);
    launched->pid = 0;
}

int launch_begin(const struct launch *launch, struct launched *out, struct husk_error *err)
{
    const struct oci_namespace *user = &launch->config->namespaces[OCI_NS_USER];
    int channel[2], ret;

    *out = (struct launched){.pidfd = -1, .channel = -1, .terminal = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
        return error_set(err, errno, launch->field, "cannot be started", NULL);
    out->channel = channel[0];
    ret = clone_into(launch, channel, out, err);
    close(channel[1]);
    if (!ret && launch->root_path && user->given)
        ret = namespaces_map_ids(out->pid, launch->config, err);
    if (!ret && go(out))
        ret = error_set(err, ECHILD, launch->field, "died while it was being prepared", "%s", "");
    if (ret)
        launch_abort(out);
    return ret;
}

int launch_go(const struct launch *launch, struct launched *launched, struct husk_error *err)
{
    int ret = limits_apply(launched->pid, launch->process, launch->field, err);

    if (!ret && go(launched))
        ret = error_set(err, ECHILD, launch->field, "has died before its start", "%s", "");
    return ret;
}
