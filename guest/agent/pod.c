// SPDX-License-Identifier: Apache-2.0
/*
 * The pod: see pod.h. Namespaces are held by files that show them (nsfs), so that no process has to
 * live for them; but a pid namespace lives as long as its first process, which here does nothing.
 */
#include "guest/agent/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "guest/agent/mounts.h"
#include "guest/agent/sysctl.h"
#include "husk/agent.h"

enum share { SHARE_IPC, SHARE_UTS, SHARE_PID, SHARE_COUNT };

static const char *const share_names[] = {"ipc", "uts", "pid"};
static const int share_flags[] = {CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWPID};

struct wish {
    const char *hostname;
    bool share[SHARE_COUNT];
    struct node sysctls;
    uint64_t shm_bytes;
    bool shm_given;
};

static int check_sysctls(const struct wish *wish, struct husk_error *err)
{
    const char *key, *text;
    json_t *value;

    json_object_foreach((json_t *)wish->sysctls.json, key, value)
    {
        struct node member = {.json = value, .up = &wish->sysctls, .key = key};
        int ret = node_text_value(&member, 0, 1024, &text, err);

        if (ret)
            return ret;
        if (!sysctl_is_plain(key))
            return node_error(&member, EINVAL, err, "is not the name of a parameter");
        if (!sysctl_in_network(key) && !(sysctl_in_ipc(key) && wish->share[SHARE_IPC]) &&
            !(sysctl_in_uts(key) && wish->share[SHARE_UTS]))
            return node_error(&member, EINVAL, err, "belongs to no namespace of the pod");
    }
    return 0;
}

static int read_wish(const struct node *params, struct wish *wish, struct husk_error *err)
{
    struct node share;
    int ret = node_text(params, "hostname", 1, 64, &wish->hostname, err);

    if (!ret)
        ret = node_array(params, "share", SHARE_COUNT, &share, err);
    for (size_t i = 0; !ret && i < node_count(&share); i++) {
        struct node element = node_element(&share, i);
        const char *name = json_string_value(element.json);
        size_t which = 0;

        while (name && which < SHARE_COUNT && strcmp(share_names[which], name))
            which++;
        if (!name || which == SHARE_COUNT)
            return node_error(&element, EINVAL, err, "is none of ipc, uts, pid");
        wish->share[which] = true;
    }
    if (!ret)
        ret = node_object(params, "sysctl", &wish->sysctls, err);
    if (!ret)
        ret =
            node_unsigned(params, "shm_bytes", INT64_MAX, &wish->shm_bytes, &wish->shm_given, err);
    return ret ? ret : check_sysctls(wish, err);
}

static int show_namespace(enum share which, pid_t pid)
{
    char from[64], to[128];
    int fd;

    snprintf(from, sizeof(from), "/proc/%d/ns/%s", pid, share_names[which]);
    snprintf(to, sizeof(to), "%s/%s", HUSK_AGENT_NAMESPACES, share_names[which]);
    fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
    if (fd < 0)
        return -errno;
    close(fd);
    return mount(from, to, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* The first process of a shared pid namespace: it adopts orphans, whom nobody waits for, and cannot
 * be killed from inside. */
static void hold_pid_namespace(void)
{
    sigset_t none;

    signal(SIGCHLD, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "husk-pod");
    close_range(0, ~0u, 0);
    for (;;)
        pause();
}

static int write_sysctls(const struct wish *wish, bool (*belongs)(const char *name),
                         struct husk_error *err)
{
    const char *key;
    json_t *value;
    int ret = 0;

    json_object_foreach((json_t *)wish->sysctls.json, key, value)
    {
        const struct oci_sysctl sysctl = {.name = key, .value = json_string_value(value)};

        if (!ret && belongs(key))
            ret = sysctl_write(&sysctl, "pod.set.sysctl", err);
    }
    return ret;
}

/* What is to be done in the new namespaces, of which this process is. */
static int set_up_inside(const struct wish *wish, struct husk_error *err)
{
    int ret = 0;

    if (wish->share[SHARE_UTS] && wish->hostname &&
        sethostname(wish->hostname, strlen(wish->hostname)) < 0)
        ret = error_set(err, errno, "pod.set.hostname", "cannot be set", NULL);
    if (!ret && wish->share[SHARE_UTS])
        ret = write_sysctls(wish, sysctl_in_uts, err);
    if (!ret && wish->share[SHARE_IPC])
        ret = write_sysctls(wish, sysctl_in_ipc, err);
    return ret;
}

/* ipc and uts: the agent goes in and comes back. */
static int make_plain_namespaces(const struct wish *wish, struct husk_error *err)
{
    int home[2] = {open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC),
                   open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC)};
    int flags = 0, ret = 0;

    for (int i = SHARE_IPC; i <= SHARE_UTS; i++)
        flags |= wish->share[i] ? share_flags[i] : 0;
    if (flags && (home[0] < 0 || home[1] < 0 || unshare(flags) < 0))
        ret = error_set(err, errno, "pod.set.share", "cannot be made", NULL);
    if (flags && !ret) {
        ret = set_up_inside(wish, err);
        for (int i = SHARE_IPC; i <= SHARE_UTS && !ret; i++) {
            ret = wish->share[i] ? show_namespace((enum share)i, getpid()) : 0;
            if (ret)
                error_set(err, -ret, HUSK_AGENT_NAMESPACES, "cannot be made", NULL);
        }
        (void)setns(home[0], CLONE_NEWIPC);
        (void)setns(home[1], CLONE_NEWUTS);
    }
    close_fd(&home[0]);
    close_fd(&home[1]);
    return ret;
}

static int make_pid_namespace(struct husk_error *err)
{
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    int ret;

    if (pid == 0)
        hold_pid_namespace();
    if (pid < 0)
        return error_set(err, errno, "pod.set.share", "cannot be made", NULL);
    ret = show_namespace(SHARE_PID, pid);
    if (ret) {
        kill(pid, SIGKILL);
        return error_set(err, -ret, HUSK_AGENT_NAMESPACES, "cannot be made", NULL);
    }
    return 0;
}

static int make_shm(uint64_t bytes, struct husk_error *err)
{
    char size[40], why[192] = "";
    const char *const options[] = {size, "mode=1777", NULL};
    int fd, ret = 0;

    snprintf(size, sizeof(size), "size=%llu", (unsigned long long)bytes);
    if (mkdir(HUSK_AGENT_SHM, 0755) < 0 && errno != EEXIST)
        return error_set(err, errno, HUSK_AGENT_SHM, "cannot be made", NULL);
    fd = mount_new("tmpfs", "shm", options,
                   MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, why, sizeof(why));
    if (fd < 0)
        return error_set(err, -fd, HUSK_AGENT_SHM, "cannot be mounted", "%s", why);
    if (move_mount(fd, "", AT_FDCWD, HUSK_AGENT_SHM, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        ret = error_set(err, errno, HUSK_AGENT_SHM, "cannot be mounted", NULL);
    close(fd);
    return ret;
}

static void undo(void)
{
    char path[128];

    umount2(HUSK_AGENT_SHM, MNT_DETACH | UMOUNT_NOFOLLOW);
    for (int i = 0; i < SHARE_COUNT; i++) {
        snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_NAMESPACES, share_names[i]);
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
        unlink(path);
    }
}

int pod_set(struct agent *agent, const struct node *params, struct husk_error *err)
{
    struct wish wish = {.hostname = NULL};
    int ret;

    if (agent->pod_is_set)
        return error_set(err, ESTALE, "pod.set", "is in the wrong state", "the pod is set already");
    ret = read_wish(params, &wish, err);
    if (!ret)
        ret = make_plain_namespaces(&wish, err);
    if (!ret && wish.shm_given)
        ret = make_shm(wish.shm_bytes, err);
    if (!ret)
        ret = write_sysctls(&wish, sysctl_in_network, err);
    if (!ret && wish.hostname && sethostname(wish.hostname, strlen(wish.hostname)) < 0)
        ret = error_set(err, errno, "pod.set.hostname", "cannot be set", NULL);
    if (!ret && wish.share[SHARE_PID])
        ret = make_pid_namespace(err);
    if (ret)
        undo();
    agent->pod_is_set = !ret;
    return ret;
}

int pod_write_file(const struct node *params, struct husk_error *err)
{
    char path[sizeof(HUSK_AGENT_FILES) + HUSK_AGENT_NAME_MAX + 2];
    struct node member = node_member(params, "data");
    const char *name = NULL, *data = NULL;
    int fd, ret = node_need_text(params, "file", 1, HUSK_AGENT_NAME_MAX, &name, err);

    if (!ret && !agent_name_is_good(name))
        ret = error_set(err, EINVAL, "file.write.file", "is not valid", "is no name");
    if (!ret)
        ret = node_need(&member, err);
    if (!ret)
        ret = node_text_value(&member, 0, HUSK_AGENT_FILE_MAX, &data, err);
    if (ret)
        return ret;
    snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_FILES, name);
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return error_set(err, errno, name, "cannot be written", NULL);
    if (fchmod(fd, 0644) < 0)
        ret = -errno;
    if (!ret)
        ret = write_full(fd, data, strlen(data));
    close(fd);
    return ret ? error_set(err, -ret, name, "cannot be written", NULL) : 0;
}
