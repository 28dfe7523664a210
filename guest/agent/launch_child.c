// SPDX-License-Identifier: Apache-2.0
/*
 * From clone(2) to execve(2): what a process does to become a container's. The order is the
 * substance of this file:
 *
 *   1. own session, signals as any program expects them, nothing open but streams and the socket;
 *   2. (for a new container) root file system, kernel parameters and names while the agent's /proc
 *      is there, volumes filled, mounts, devices, masks, then the new root: the agent's files are
 * gone from here;
 *   3. the user's ids, by the files of the root; terminal; "ready"; wait; read-only mounts that had
 * to be written to until now;
 *   4. directory, rights, system call filter: the filter comes last where the process gains no
 *      privileges, and has to come before the rights go where it may;
 *   5. (where one is asked for) a first process of the agent's in front of the program (reaper.h).
 *
 * Runs in a copy of the agent's memory; whatever it allocates goes with the exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "guest/agent/archive.h"
#include "guest/agent/capabilities.h"
#include "guest/agent/copy.h"
#include "guest/agent/devices.h"
#include "guest/agent/inroot.h"
#include "guest/agent/launch.h"
#include "guest/agent/mounts.h"
#include "guest/agent/namespaces.h"
#include "guest/agent/reaper.h"
#include "guest/agent/rootfs.h"
#include "guest/agent/seccomp.h"
#include "guest/agent/sysctl.h"
#include "guest/agent/terminal.h"
#include "guest/agent/user.h"

#define CHANNEL   3
#define CONTAINER 4

static void tell(const struct husk_error *error, int terminal)
{
    struct launch_message message = {.error = *error};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (terminal >= 0) {
        header.msg_control = &control;
        header.msg_controllen = sizeof(control);
        *CMSG_FIRSTHDR(&header) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &terminal, sizeof(terminal));
    }
    (void)sendmsg(CHANNEL, &header, MSG_NOSIGNAL);
}

/* The agent says "go", or is gone. */
static void wait_for_agent(void)
{
    char byte;
    ssize_t len;

    do
        len = recv(CHANNEL, &byte, 1, 0);
    while (len < 0 && errno == EINTR);
    if (len != 1)
        _exit(1);
}

/* By the system call: the C library keeps two signals to itself and would leave them ignored. */
static void reset_signals(void)
{
    const struct {
        unsigned long handler, flags, restorer, mask;
    } action = {.handler = (unsigned long)SIG_DFL}; /* the kernel's struct sigaction */
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, &action, NULL, sizeof(action.mask));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Streams to 0, 1, 2, the socket to 3, the container to 4, by way of numbers that none of them has.
 * Everything else is closed. */
static int arrange_descriptors(const struct launch *launch, int channel)
{
    bool streams = !launch->process->terminal;
    int from[] = {-1, -1, -1, channel, launch->container};

    for (int i = 0; i < 3 && streams; i++)
        from[i] = launch->streams[i];
    for (int i = 0; i < (int)ARRAY_SIZE(from); i++) {
        if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16)) < 0)
            return -errno;
    }
    for (int i = 0; i < (int)ARRAY_SIZE(from); i++) {
        if (from[i] >= 0 && dup3(from[i], i, i >= CHANNEL ? O_CLOEXEC : 0) < 0)
            return -errno;
    }
    if (launch->container < 0)
        close(CONTAINER);
    return syscall(SYS_close_range, CONTAINER + 1, ~0u, 0) < 0 ? -errno : 0;
}

static int write_sysctls(const struct oci_config *config, struct husk_error *err)
{
    int ret = 0;

    for (size_t i = 0; i < config->sysctl_count && !ret; i++)
        ret = sysctl_write(&config->sysctls[i], "linux.sysctl", err);
    return ret;
}

static int make_container(const struct launch *launch, struct husk_error *err)
{
    const struct oci_config *config = launch->config;
    int root, cwd, ret;

    root = rootfs_open(launch->root_path, err);
    if (root < 0)
        return root;
    ret = write_sysctls(config, err);
    if (!ret)
        ret = namespaces_set_names(config, err);
    if (!ret)
        ret = copy_fill(root, config, launch->fill, err);
    if (!ret)
        ret = mounts_make(root, config, launch->seal, err);
    if (!ret)
        ret = devices_make(root, config, err);
    if (!ret)
        ret = mounts_mask(root, config, err);
    if (!ret) {
        /* Images name directories that they do not have. Without one, the start will say so. */
        cwd = inroot_directory(root, launch->process->cwd);
        close_fd(&cwd);
        ret = rootfs_enter(root, config, launch->seal, err);
    }
    close(root);
    return ret;
}

/* Into the namespaces that are not the clone's doing. */
static int enter(const struct launch *launch, struct husk_error *err)
{
    const struct oci_namespace *cgroup = &launch->config->namespaces[OCI_NS_CGROUP];

    if (!launch->root_path && setns(CONTAINER, namespaces_all(launch->config)) < 0)
        return error_set(err, errno, "the container's namespaces", "cannot be joined", NULL);
    if (!launch->root_path)
        close(CONTAINER);
    else if (cgroup->given && !cgroup->path && unshare(CLONE_NEWCGROUP) < 0)
        return error_set(err, errno, "linux.namespaces: cgroup", "cannot be made", NULL);
    return 0;
}

/* `process` is what the launch points to. */
static int prepare(const struct launch *launch, struct oci_process *process, int *terminal,
                   struct husk_error *err)
{
    int ret = enter(launch, err);

    *terminal = -1;
    if (ret)
        return ret;
    wait_for_agent();
    if (launch->config->namespaces[OCI_NS_USER].given &&
        (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        return error_set(err, errno, "linux.uidMappings", "has no user 0", NULL);
    if (chdir("/") < 0)
        return error_set(err, errno, "root.path", "cannot be entered", NULL);
    if (launch->root_path)
        ret = make_container(launch, err);
    if (!ret && launch->user)
        ret = user_resolve(launch->user, process, err);
    if (!ret && process->terminal) {
        *terminal = terminal_open(process, launch->root_path != NULL, err);
        ret = *terminal < 0 ? *terminal : 0;
    }
    return ret;
}

static int set_filter(const struct launch *launch, bool last, struct husk_error *err)
{
    const struct oci_config *config = launch->config;

    if (last != launch->process->no_new_privileges)
        return 0;
    return seccomp_apply(&config->seccomp, config->seccomp_flags, err);
}

static int give_up_rights(const struct launch *launch, struct husk_error *err)
{
    const struct oci_process *process = launch->process;
    const struct oci_capabilities *capabilities = process->capabilities.given
                                                      ? &process->capabilities
                                                      : &launch->config->process.capabilities;
    int ret = 0;

    if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set(err, errno, "process.noNewPrivileges", "cannot be set", NULL);
    ret = set_filter(launch, false, err);
    if (!ret && capabilities->given)
        ret = capabilities_limit(capabilities, err);
    if (!ret)
        ret = user_become(process, launch->field, err);
    if (!ret && capabilities->given)
        ret = capabilities_apply(capabilities, err);
    if (!ret)
        ret = set_filter(launch, true, err);
    return ret;
}

/* Whether the directory is inside: a link of the image could have led to a descriptor outside. */
static int go_to_directory(const struct launch *launch, struct husk_error *err)
{
    char path[PATH_MAX], where[64];

    snprintf(where, sizeof(where), "%s.cwd", launch->field);
    if (chdir(launch->process->cwd) < 0)
        return error_set(err, errno, where, "cannot be entered", NULL);
    /* getcwd(2) says "(unreachable)" of what the root does not contain. */
    if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
        return error_set(err, EINVAL, where, "cannot be entered", "it is outside of the root");
    return 0;
}

static void execute(const struct launch *launch, struct husk_error *err)
{
    const struct oci_process *process = launch->process;
    char where[64];

    environ = (char **)process->env; /* of which execvp(3) takes PATH */
    execvp(process->args[0], (char *const *)process->args);
    snprintf(where, sizeof(where), "%s.args[0]", launch->field);
    error_set(err, errno, where, "cannot be executed", "%.100s: %s", process->args[0],
              error_text(errno));
    make_printable(err->why);
}

static int enter_files(const struct launch *launch, struct husk_error *err)
{
    int types = namespaces_all(launch->config) & (CLONE_NEWNS | CLONE_NEWUSER);

    if (setns(CONTAINER, types) < 0)
        return error_set(err, errno, "the container's namespaces", "cannot be joined", NULL);
    close(CONTAINER);
    wait_for_agent();
    if (launch->config->namespaces[OCI_NS_USER].given &&
        (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        return error_set(err, errno, "linux.uidMappings", "has no user 0", NULL);
    return archive_limit_rights(err);
}

/* In place of steps 2 to 4: the container's files, and nothing else of it. */
static void __attribute__((noreturn)) do_archive(const struct launch *launch)
{
    struct husk_error error = {.code = 0};
    int place = -1, ret = enter_files(launch, &error);

    if (!ret)
        ret = archive_open(launch->archive, &place, &error);
    tell(&error, -1);
    if (!ret) {
        wait_for_agent();
        close(CHANNEL);
        ret = archive_run(launch->archive, place, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
    }
    _exit(ret ? 1 : 0);
}

void launch_child(const struct launch *asked, int channel)
{
    struct oci_process process = *asked->process;
    struct launch own = *asked, *launch = &own;
    struct husk_error error = {.code = 0};
    int terminal, ret;

    own.process = &process;
    /* Nobody may look into this process, or through it into the agent's files. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    reset_signals();
    setsid();
    umask(0);
    /* Keys that one container adds are none of another's; a kernel without keys has none to share.
     */
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (arrange_descriptors(launch, channel))
        _exit(127);
    if (launch->archive)
        do_archive(launch);
    ret = prepare(launch, &process, &terminal, &error);
    if (!ret) {
        tell(&error, terminal);
        close_fd(&terminal);
        wait_for_agent();
        if (launch->root_path && launch->seal)
            ret = mounts_seal(launch->config, &error);
    }
    if (!ret)
        ret = go_to_directory(launch, &error);
    if (!ret)
        ret = give_up_rights(launch, &error);
    if (!ret && launch->init)
        ret = reaper_begin(process.terminal, &error);
    if (!ret)
        execute(launch, &error);
    tell(&error, -1);
    _exit(127);
}
