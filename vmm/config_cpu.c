// SPDX-License-Identifier: Apache-2.0
/*
 * The processor's part of a configuration: threads per core, and changes to CPUID and MSRs. What
 * only the host can say (whether it has the leaf or the register) is checked when the VM is built.
 *
 * Runs on the configuring thread; the arrays belong to the configuration.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "vmm/config.h"

#define CANNOT_CONFIGURE     "cannot configure the VM"
#define THREADS_PER_CORE_MAX 2u
#define CPUID_FLAGS                                                   \
    (KVM_CPUID_FLAG_SIGNIFCANT_INDEX | KVM_CPUID_FLAG_STATEFUL_FUNC | \
     KVM_CPUID_FLAG_STATE_READ_NEXT)

void config_cpuid_change_name(const struct husk_cpuid_change *change,
                              char name[CONFIG_CHANGE_NAME_MAX])
{
    snprintf(name, CONFIG_CHANGE_NAME_MAX, "cpuid leaf 0x%x subleaf 0x%x", change->leaf,
             change->subleaf);
}

void config_msr_change_name(const struct husk_msr_change *change, char name[CONFIG_CHANGE_NAME_MAX])
{
    snprintf(name, CONFIG_CHANGE_NAME_MAX, "msr 0x%x", change->index);
}

static int check_threads(unsigned threads, unsigned vcpus, struct husk_error *err)
{
    if (threads > THREADS_PER_CORE_MAX)
        return error_set(err, ERANGE, "threads per core", CANNOT_CONFIGURE, "%u is not 1 or %u",
                         threads, THREADS_PER_CORE_MAX);
    if (threads && vcpus % threads)
        return error_set(err, EINVAL, "threads per core", CANNOT_CONFIGURE,
                         "%u vCPUs do not make cores of %u", vcpus, threads);
    return 0;
}

static int check_count(const char *where, const void *changes, unsigned count,
                       struct husk_error *err)
{
    if (count > CONFIG_CPU_CHANGES_MAX)
        return error_set(err, E2BIG, where, CANNOT_CONFIGURE, "%u is more than %u", count,
                         CONFIG_CPU_CHANGES_MAX);
    if (count && !changes)
        return error_set(err, EINVAL, where, CANNOT_CONFIGURE, "a count of %u, but no list", count);
    return 0;
}

static int check_cpuid_change(const struct husk_cpuid_change *change, struct husk_error *err)
{
    char name[CONFIG_CHANGE_NAME_MAX];

    config_cpuid_change_name(change, name);
    if (!(change->eax.mask | change->ebx.mask | change->ecx.mask | change->edx.mask))
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "its masks are 0: it changes nothing");
    if (change->flags & ~CPUID_FLAGS)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "there are no flags %#x",
                         change->flags & ~CPUID_FLAGS);
    if (change->subleaf && !(change->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX))
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "a subleaf other than 0 needs flag %u",
                         (unsigned)KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
    return 0;
}

static int check_msr_change(const struct husk_msr_change *change, struct husk_error *err)
{
    char name[CONFIG_CHANGE_NAME_MAX];

    config_msr_change_name(change, name);
    return change->mask ? 0
                        : error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                                    "its mask is 0: it changes nothing");
}

/* A copy in memory of its own; NULL for none. False when there is no memory. */
static bool copy_changes(void **out, const void *changes, size_t bytes)
{
    *out = bytes ? malloc(bytes) : NULL;
    if (*out)
        memcpy(*out, changes, bytes);
    return !bytes || *out;
}

int config_check_cpu(const struct husk_vm_options *options, struct husk_error *err)
{
    unsigned vcpus = options->vcpus ? options->vcpus : 1;
    int ret = check_threads(options->threads_per_core, vcpus, err);

    if (!ret)
        ret =
            check_count("cpuid changes", options->cpuid_changes, options->cpuid_change_count, err);
    for (unsigned i = 0; !ret && i < options->cpuid_change_count; i++)
        ret = check_cpuid_change(&options->cpuid_changes[i], err);
    if (!ret)
        ret = check_count("msr changes", options->msr_changes, options->msr_change_count, err);
    for (unsigned i = 0; !ret && i < options->msr_change_count; i++)
        ret = check_msr_change(&options->msr_changes[i], err);
    return ret;
}

bool config_copy_cpu(struct machine_config *config, const struct husk_vm_options *options)
{
    void *cpuid_changes = NULL, *msr_changes = NULL;
    bool copied = copy_changes(&cpuid_changes, options->cpuid_changes,
                               options->cpuid_change_count * sizeof(*options->cpuid_changes));

    copied &= copy_changes(&msr_changes, options->msr_changes,
                           options->msr_change_count * sizeof(*options->msr_changes));
    config->threads_per_core = options->threads_per_core ? options->threads_per_core : 1;
    config->cpuid_changes = cpuid_changes;
    config->cpuid_change_count = cpuid_changes ? options->cpuid_change_count : 0;
    config->msr_changes = msr_changes;
    config->msr_change_count = msr_changes ? options->msr_change_count : 0;
    return copied;
}
