// SPDX-License-Identifier: Apache-2.0
/* What a jailed VM needs beyond its machine's configuration, checked and copied. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/process/client.h"

#define CANNOT_CONFIGURE "cannot configure the VM"
#define UID_NOBODY       65534u
#define CPU_WEIGHT_MAX   10000u
#define MADE_UP_ID_BYTES 40u

static int check_jail(const struct husk_jail_options *jail, struct husk_error *err)
{
    if (jail->cpu_weight > CPU_WEIGHT_MAX)
        return error_set(err, ERANGE, "jail: cpu weight", CANNOT_CONFIGURE,
                         "%u is not between 1 and %u", jail->cpu_weight, CPU_WEIGHT_MAX);
    if (jail->uid == UINT32_MAX || jail->gid == UINT32_MAX)
        return error_set(err, EINVAL, "jail: user", CANNOT_CONFIGURE, "%u is nobody's number",
                         UINT32_MAX);
    if (!jail->cgroup_parent && (jail->memory_max_bytes || jail->cpu_max_percent ||
                                 jail->cpu_weight || jail->io_max_bytes || jail->pids_max))
        return error_set(err, EINVAL, "jail: cgroup parent", CANNOT_CONFIGURE,
                         "limits are given, and no cgroup to set them in");
    return 0;
}

/* Unique on this host: a process has one VM at a time at one address. */
static char *make_up_id(const void *unique)
{
    char id[MADE_UP_ID_BYTES];

    snprintf(id, sizeof(id), "%d-%llx", (int)getpid(), (unsigned long long)(uintptr_t)unique >> 4);
    return strdup(id);
}

int process_config_init(struct process_config *config, const struct husk_vm_options *options,
                        struct husk_error *err)
{
    const char *path = options->vmm_path ? options->vmm_path : secure_getenv("HUSK_VMM");
    int ret;

    *config = (struct process_config){.jail = HUSK_JAIL_OPTIONS_INIT};
    if (options->jail) {
        ret = config_copy_options(&config->jail, sizeof(config->jail), options->jail, "jail", err);
        if (!ret)
            ret = check_jail(&config->jail, err);
        if (ret)
            return ret;
    }
    if (!config->jail.uid)
        config->jail.uid = UID_NOBODY;
    if (!config->jail.gid)
        config->jail.gid = UID_NOBODY;
    config->id = options->id ? strdup(options->id) : make_up_id(config);
    config->vmm_path = strdup(path ? path : HUSK_VMM_PATH);
    if (config->jail.cgroup_parent)
        config->cgroup_parent = strdup(config->jail.cgroup_parent);
    if (!config->id || !config->vmm_path ||
        (config->jail.cgroup_parent && !config->cgroup_parent)) {
        process_config_release(config);
        return error_set(err, ENOMEM, "", CANNOT_CONFIGURE, NULL);
    }
    config->jail.cgroup_parent = config->cgroup_parent;
    return 0;
}

void process_config_release(struct process_config *config)
{
    free(config->id);
    free(config->vmm_path);
    free(config->cgroup_parent);
    *config = (struct process_config){0};
}
