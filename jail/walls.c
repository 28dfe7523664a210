// SPDX-License-Identifier: Apache-2.0
/*
 * Going to jail: which walls there are, in which order, and what happens when one cannot be put up.
 * See jail.h for the whole; root.c and rights.c for the walls that need a file of their own.
 *
 * Runs on a process with one thread, right after execve(). No state is kept.
 *
 * References: namespaces(7), user_namespaces(7), pid_namespaces(7), clone(2).
 */
#include "jail/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"

#define HOST_NAME "husk"

/* Those that a process can also enter by itself, without its children. */
#define OWN_NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* ---- what the starting program does ---- */

bool jail_has_capability(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

unsigned jail_clone_flags(unsigned attempt)
{
    /* Each limit on namespaces is on one kind (user.max_*_namespaces): the kind that is exhausted
     * must not cost the pid namespace too, which only clone() can make. */
    static const unsigned attempts[] = {
        OWN_NAMESPACES | CLONE_NEWPID,
        CLONE_NEWNS | CLONE_NEWPID,
        CLONE_NEWPID,
    };

    if (attempt >= ARRAY_SIZE(attempts))
        return 0;
    return attempts[attempt] | (jail_has_capability(CAP_SYS_ADMIN) ? 0 : CLONE_NEWUSER);
}

static int write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int ret = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, len) != (ssize_t)len)
        ret = errno ? -errno : -EIO;
    close(fd);
    return ret;
}

/* "0 ID 1", without the C library's formatting, which is not async-signal-safe. */
static int write_map(const char *path, uint32_t id)
{
    char text[16] = "0 ";
    char digits[10];
    size_t len = 2;
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + id % 10);
        id /= 10;
    } while (id);
    while (count)
        text[len++] = digits[--count];
    text[len++] = ' ';
    text[len++] = '1';
    return write_file(path, text, len);
}

int jail_map_ids(uid_t uid, gid_t gid)
{
    /* Demanded of whoever maps a group without privilege: else groups that take rights away could
     * be dropped. Kernels before 3.19 have neither the file nor the demand. */
    int ret = write_file("/proc/self/setgroups", "deny", 4);

    if (ret == 0 || ret == -ENOENT)
        ret = write_map("/proc/self/gid_map", gid);
    if (ret == 0)
        ret = write_map("/proc/self/uid_map", uid);
    return ret;
}

/* ---- namespaces and what hangs on them ---- */

static int enter_namespace(struct jail_progress *progress, unsigned flag)
{
    if (progress->namespaces & flag)
        return 0;
    if (unshare((int)flag) < 0)
        return -errno;
    progress->namespaces |= flag;
    return 0;
}

/* Root has given up being root instead. */
static int wall_user_namespace(struct jail_progress *progress)
{
    return progress->namespaces & CLONE_NEWUSER || geteuid() == 0 ? 0 : -EPERM;
}

/* unshare() would make one for children only, and there will be none. */
static int wall_pid_namespace(struct jail_progress *progress)
{
    return progress->namespaces & CLONE_NEWPID ? 0 : -EPERM;
}

static int wall_mount_namespace(struct jail_progress *progress)
{
    return enter_namespace(progress, CLONE_NEWNS);
}

static int wall_network_namespace(struct jail_progress *progress)
{
    return enter_namespace(progress, CLONE_NEWNET);
}

static int wall_ipc_namespace(struct jail_progress *progress)
{
    return enter_namespace(progress, CLONE_NEWIPC);
}

/* The host's name is nobody's business in there. */
static int wall_uts_namespace(struct jail_progress *progress)
{
    int ret = enter_namespace(progress, CLONE_NEWUTS);

    if (ret == 0 && (sethostname(HOST_NAME, strlen(HOST_NAME)) < 0 || setdomainname("", 0) < 0))
        ret = -errno;
    return ret;
}

static int wall_cgroup_namespace(struct jail_progress *progress)
{
    return enter_namespace(progress, CLONE_NEWCGROUP);
}

/* ---- the rest ---- */

/* A session keyring of its own: those of the caller may hold keys of disks and file systems. */
static int wall_keyring(struct jail_progress *progress)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0 || errno == ENOSYS)
        return 0; /* without keyrings in the kernel there is nothing to leave */
    return -errno;
}

/* After the root directory, which needs the vsock directory's. */
static int wall_descriptors(struct jail_progress *progress)
{
    const struct jail_plan *plan = progress->plan;

    if (plan->vsock_dir_fd >= 0)
        close(plan->vsock_dir_fd);
    umask(S_IRWXG | S_IRWXO);
    return syscall(SYS_close_range, (unsigned)plan->first_free_fd, ~0u, 0) < 0 ? -errno : 0;
}

/*
 * From top to bottom. `essential`: without it the process would keep rights that it was to lose, so
 * that there is no going on even when the caller would put up with less.
 */
static const struct wall {
    const char *name;
    int (*put_up)(struct jail_progress *progress);
    bool essential;
} walls[] = {
    {"user namespace", wall_user_namespace, false},
    {"pid namespace", wall_pid_namespace, false},
    {"mount namespace", wall_mount_namespace, false},
    {"network namespace", wall_network_namespace, false},
    {"ipc namespace", wall_ipc_namespace, false},
    {"uts namespace", wall_uts_namespace, false},
    {"cgroup namespace", wall_cgroup_namespace, false},
    {"session keyring", wall_keyring, false},
    {"root directory", wall_root_directory, false},
    {"descriptors", wall_descriptors, true},
    {"limits", wall_limits, true},
    {"capability bounding set", wall_bounding_set, false},
    {"secure bits", wall_securebits, false},
    {"user", wall_user, true},
    {"capabilities", wall_capabilities, true},
    {"no_new_privs", wall_no_new_privs, true},
    {"dumpable", wall_dumpable, true},
};

_Static_assert(ARRAY_SIZE(walls) <= JAIL_GAPS_MAX + 6, "six walls are essential: never gaps");

int jail_enter(const struct jail_plan *plan, struct jail_report *report, struct husk_error *err)
{
    struct jail_progress progress = {.plan = plan, .namespaces = plan->namespaces};

    *report = (struct jail_report){0};
    for (unsigned i = 0; i < ARRAY_SIZE(walls); i++) {
        int ret = walls[i].put_up(&progress);

        if (ret == 0)
            continue;
        if (walls[i].essential || plan->strict)
            return error_set(err, -ret, walls[i].name, "cannot put up the wall", NULL);
        report->gaps[report->count].wall = walls[i].name;
        report->gaps[report->count].error = -ret;
        report->count++;
    }
    return 0;
}
