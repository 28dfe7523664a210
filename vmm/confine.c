// SPDX-License-Identifier: Apache-2.0
/* See confine.h. No state. */
#include "vmm/confine.h"

static int confine_vcpu(void *arg)
{
    return seccomp_install(SECCOMP_VCPU);
}

static int confine_io(void *arg)
{
    return seccomp_install(SECCOMP_IO);
}

static int confine_disk(void *arg)
{
    return seccomp_install(SECCOMP_DISK);
}

const struct thread_prologue *confine_prologue(const struct machine_config *config,
                                               enum seccomp_thread kind)
{
    static const struct thread_prologue prologues[] = {
        [SECCOMP_VCPU] = {.run = confine_vcpu},
        [SECCOMP_IO] = {.run = confine_io},
        [SECCOMP_DISK] = {.run = confine_disk},
    };

    return config->confine_threads ? &prologues[kind] : NULL;
}

void confine_check(const struct machine_config *config, const struct log *log)
{
    if (config->confine_threads && !seccomp_built_in())
        log_info(log, "seccomp", "this build has sanitizers or coverage: no thread is confined");
}
