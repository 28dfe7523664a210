// SPDX-License-Identifier: Apache-2.0
/* Limits of a process: see limits.h. No state. */
#include "guest/agent/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/agent/files.h"

static int fail(int code, const char *field, const char *member, struct husk_error *err)
{
    char where[96];

    snprintf(where, sizeof(where), "%s.%s", field, member);
    return error_set(err, code, where, "cannot be set", NULL);
}

static int set_scheduler(pid_t pid, const struct oci_scheduler *scheduler)
{
    struct sched_attr attr = {
        .size = sizeof(attr),
        .sched_policy = scheduler->policy,
        .sched_flags = scheduler->flags,
        .sched_nice = scheduler->nice,
        .sched_priority = scheduler->priority,
        .sched_runtime = scheduler->runtime_ns,
        .sched_deadline = scheduler->deadline_ns,
        .sched_period = scheduler->period_ns,
    };

    return syscall(SYS_sched_setattr, pid, &attr, 0) < 0 ? -errno : 0;
}

int limits_apply(pid_t pid, const struct oci_process *process, const char *field,
                 struct husk_error *err)
{
    char path[64], text[16], member[32];
    int ret;

    for (int i = 0; i < OCI_RLIMITS; i++) {
        const struct oci_rlimit *limit = &process->rlimits[i];

        snprintf(member, sizeof(member), "rlimits (number %d)", i);
        if (limit->given && prlimit64(pid, (enum __rlimit_resource)i, &limit->limit, NULL) < 0)
            return fail(errno, field, member, err);
    }
    /* The agent's own would be inherited. */
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
    snprintf(text, sizeof(text), "%d", process->oom_score_adj);
    ret = file_write(AT_FDCWD, path, text);
    if (ret)
        return fail(-ret, field, "oomScoreAdj", err);
    if (process->scheduler_given) {
        ret = set_scheduler(pid, &process->scheduler);
        if (ret)
            return fail(-ret, field, "scheduler", err);
    }
    if (process->io_priority_given &&
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, process->io_priority) < 0)
        return fail(errno, field, "ioPriority", err);
    return 0;
}
