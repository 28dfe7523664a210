// SPDX-License-Identifier: Apache-2.0
/* Users and groups: see user.h. No state. */
#include "guest/agent/user.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int user_become(const struct oci_process *process, const char *field, struct husk_error *err)
{
    char where[64];

    snprintf(where, sizeof(where), "%s.user", field);
    if (setgroups(process->group_count, process->groups) < 0)
        return error_set(err, errno, where, "additionalGids cannot be set", NULL);
    if (setresgid(process->gid, process->gid, process->gid) < 0)
        return error_set(err, errno, where, "gid cannot be set", NULL);
    if (setresuid(process->uid, process->uid, process->uid) < 0)
        return error_set(err, errno, where, "uid cannot be set", NULL);
    umask(process->umask_given ? process->umask : 022);
    return 0;
}
