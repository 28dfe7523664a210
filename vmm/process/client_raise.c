// SPDX-License-Identifier: Apache-2.0
/*
 * More room for a jailed VM's process that runs. Its filters let it raise none of its limits, so
 * that its hard limits may be higher (struct jail_plan, may_grow); the library does it from
 * outside.
 *
 * References: prlimit(2): the caller has the process's user, or CAP_SYS_RESOURCE.
 */
#include <errno.h>
#include <sys/resource.h>

#include "base/error.h"
#include "vmm/process/internal.h"

static int raise_limit(pid_t pid, int resource, rlim_t needed)
{
    struct rlimit now;

    if (prlimit(pid, (__rlimit_resource_t)resource, NULL, &now) < 0)
        return -errno;
    if (now.rlim_cur >= needed)
        return 0;
    now.rlim_cur = needed;
    if (now.rlim_max < needed) {
        const struct rlimit both = {.rlim_cur = needed, .rlim_max = needed};

        if (prlimit(pid, (__rlimit_resource_t)resource, &both, NULL) == 0)
            return 0;
        now.rlim_cur = now.rlim_max;
    }
    return prlimit(pid, (__rlimit_resource_t)resource, &now, NULL) < 0 ? -errno : 0;
}

int process_raise(struct vm_process *process, int resource, uint64_t needed, struct husk_error *err)
{
    int ret;

    pthread_mutex_lock(&process->end_lock);
    /* Not reaped, so that its id is nobody else's. */
    ret = process->ended ? -ESRCH : raise_limit(process->pid, resource, needed);
    pthread_mutex_unlock(&process->end_lock);
    return ret ? error_set(err, -ret, "husk-vmm", "cannot raise the limits of the VM's process",
                           NULL)
               : 0;
}
