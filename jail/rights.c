// SPDX-License-Identifier: Apache-2.0
/*
 * What a process in jail may do: nothing. User, capabilities, the ways to get them back, and
 * limits.
 *
 * References: capabilities(7), credentials(7), getrlimit(2), prctl(2).
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "jail/walls.h"

/* Locked memory that rings of io_uring may use, before Linux 5.12. What else is locked is mapped
 * for devices of the host. */
#define MEMLOCK_BYTES (8u << 20)

/* No program that is executed could get a capability through its file. */
int wall_bounding_set(struct jail_progress *progress)
{
    unsigned long capability = 0;
    int held;

    /* EINVAL ends the list of those that this kernel knows. */
    while ((held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0) {
        if (held && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return -errno;
        capability++;
    }
    return 0;
}

/* User id 0 means nothing by itself, for ever. That leaving it takes all capabilities stays on. */
int wall_securebits(struct jail_progress *progress)
{
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
                         SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

    return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ? -errno : 0;
}

/*
 * In a user namespace we are the caller already, and there is nobody else to become: one id is
 * mapped. Its supplementary groups cannot be given up there (user_namespaces(7)); they open
 * nothing where there is nothing to open.
 */
int wall_user(struct jail_progress *progress)
{
    const struct jail_plan *plan = progress->plan;
    uid_t uids[3];
    gid_t gids[3];

    if (progress->namespaces & CLONE_NEWUSER || geteuid() != 0)
        return 0;
    if (plan->uid == 0 || plan->gid == 0)
        return -EINVAL;
    if (setgroups(0, NULL) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
        setresuid(plan->uid, plan->uid, plan->uid) < 0)
        return -errno;
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(uids); i++) {
        if (uids[i] != plan->uid || gids[i] != plan->gid)
            return -EPERM;
    }
    return 0;
}

int wall_capabilities(struct jail_progress *progress)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    /* Kernels before 4.3 have no ambient set to clear. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    if (syscall(SYS_capset, &header, data) < 0 || syscall(SYS_capget, &header, data) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        if (data[i].effective || data[i].permitted || data[i].inheritable)
            return -EPERM;
    }
    return 0;
}

/* Lower both limits to `most`; only the soft one if it may grow. A hard limit that is lower already
 * stays; the soft one becomes the same, for that of the caller is made for the caller, not for what
 * its VM needs. */
static int limit(int resource, rlim_t most, bool may_grow)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -errno;
    now.rlim_cur = now.rlim_max > most ? most : now.rlim_max;
    if (!may_grow)
        now.rlim_max = now.rlim_cur;
    return setrlimit((__rlimit_resource_t)resource, &now) < 0 ? -errno : 0;
}

static bool has_soft(int resource, rlim_t least)
{
    struct rlimit now;

    return getrlimit((__rlimit_resource_t)resource, &now) == 0 && now.rlim_cur >= least;
}

/* Memory for devices may take more than the caller has: who may raise a limit, raises it. */
static int limit_memlock(uint64_t wanted, bool may_grow)
{
    rlim_t most = wanted == UINT64_MAX ? RLIM_INFINITY : wanted ? wanted : MEMLOCK_BYTES;
    const struct rlimit exactly = {.rlim_cur = most, .rlim_max = most};

    if (may_grow && limit(RLIMIT_MEMLOCK, most, true) == 0 && has_soft(RLIMIT_MEMLOCK, most))
        return 0;
    return setrlimit(RLIMIT_MEMLOCK, &exactly) == 0 ? 0 : limit(RLIMIT_MEMLOCK, most, may_grow);
}

/*
 * Threads are not limited here: RLIMIT_NPROC counts all of a user's, also outside (the cgroup's
 * pids.max counts ours), and seccomp lets no thread make a process.
 */
int wall_limits(struct jail_progress *progress)
{
    const struct jail_plan *plan = progress->plan;
    const struct {
        int resource;
        rlim_t most;
        bool may_grow;
    } limits[] = {
        {RLIMIT_CORE, 0, false}, /* would hold the guest's memory */
        {RLIMIT_NOFILE, plan->nofile, plan->may_grow},
        {RLIMIT_MSGQUEUE, 0, false},
        {RLIMIT_LOCKS, 0, false},
        {RLIMIT_RTPRIO, 0, false},
        {RLIMIT_NICE, 0, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
        int ret = limit(limits[i].resource, limits[i].most, limits[i].may_grow);

        if (ret)
            return ret;
    }
    return limit_memlock(plan->memlock_bytes, plan->may_grow);
}

int wall_no_new_privs(struct jail_progress *progress)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* Other processes of the same user can neither trace this one nor read its memory. Last: what
 * /proc/self holds is root's from here on. */
int wall_dumpable(struct jail_progress *progress)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}
