// SPDX-License-Identifier: Apache-2.0
/*
 * The processor model and the state in which each vCPU starts: CPUID, a few MSRs, and the entry
 * registers of the boot vCPU. All others wait for INIT and SIPI, as after a reset; KVM has them so.
 *
 * A model is filled once and then only read, but for its CPUID table, in which the fields that
 * differ between vCPUs are rewritten for each: vCPUs are initialised one after the other. That
 * comes after the configuration's changes (template.h), so a vCPU's ids are husk's in any case: the
 * interrupts and the ACPI tables name them.
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/regs.h"
#include "vmm/arch/x86_64/template.h"
#include "vmm/config.h"

#define CANNOT_DESCRIBE "cannot describe the processor"

/* The leaf in which a hypervisor says its name, and that of QEMU's software emulation. */
#define LEAF_HYPERVISOR 0x40000000u
#define TCG_SIGNATURE   "TCGTCGTCGTCG"

#define MSR_IA32_MISC_ENABLE    0x1a0u
#define MISC_ENABLE_FAST_STRING (1ull << 0)
#define MSR_MTRR_DEF_TYPE       0x2ffu
#define MTRR_DEF_ENABLE         (1ull << 11)
#define MTRR_TYPE_WRITE_BACK    6ull

struct arch_cpu_model {
    const struct machine_config *config;
    struct cpuid_machine machine;
    uint64_t address_end;
    struct kvm_cpuid2 *cpuid;
};

static bool host_is_emulated(void)
{
    uint32_t eax;
    uint32_t name[3];

    __cpuid(LEAF_HYPERVISOR, eax, name[0], name[1], name[2]);
    return memcmp(name, TCG_SIGNATURE, sizeof(name)) == 0;
}

/* The table that all vCPUs share, but for their ids. */
static int describe(struct arch_cpu_model *model, const struct kvm *kvm, const struct log *log,
                    struct husk_error *err)
{
    const struct machine_config *config = model->config;
    int ret;

    model->cpuid = cpuid_table_new();
    if (!model->cpuid)
        return error_set(err, ENOMEM, "", CANNOT_DESCRIBE, NULL);
    model->cpuid->nent = CPUID_ENTRIES_MAX;
    ret = kvm_ioctl_ptr(kvm->dev_fd, KVM_GET_SUPPORTED_CPUID, model->cpuid);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot ask KVM for the CPUID it supports", NULL);
    ret = cpuid_prepare(model->cpuid, &model->machine);
    if (ret)
        return error_set(err, -ret, "", CANNOT_DESCRIBE, "its CPUID table is full");
    model->address_end = cpuid_address_end(model->cpuid);
    ret = template_change_cpuid(model->cpuid, config->cpuid_changes, config->cpuid_change_count,
                                log, err);
    if (ret)
        return ret;
    /* A template may narrow what the guest can address, but not widen what the processor can. */
    model->address_end = min_u64(model->address_end, cpuid_address_end(model->cpuid));
    return template_check_msrs(kvm, config->msr_changes, config->msr_change_count, err);
}

int arch_cpu_model_create(const struct kvm *kvm, const struct machine_config *config,
                          const struct log *log, struct arch_cpu_model **out,
                          struct husk_error *err)
{
    struct arch_cpu_model *model = calloc(1, sizeof(*model));
    int ret;

    if (!model)
        return error_set(err, ENOMEM, "", CANNOT_DESCRIBE, NULL);
    model->config = config;
    model->machine = (struct cpuid_machine){
        .vcpu_count = config->vcpus,
        .threads_per_core = config->threads_per_core,
        .tsc_deadline_timer = kvm_capability(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
        .exit_at_eoi = host_is_emulated(),
    };
    ret = describe(model, kvm, log, err);
    if (ret) {
        arch_cpu_model_destroy(model);
        return ret;
    }
    *out = model;
    return 0;
}

void arch_cpu_model_destroy(struct arch_cpu_model *model)
{
    if (!model)
        return;
    free(model->cpuid);
    free(model);
}

uint64_t arch_cpu_model_address_end(const struct arch_cpu_model *model)
{
    return model->address_end;
}

/*
 * Firmware would have left memory write-back by default (with MTRRs off Linux also turns PAT off)
 * and fast strings on (without them Linux avoids rep movs).
 */
static int set_msrs(int vcpu_fd, struct husk_error *err)
{
    static const struct kvm_msr_entry wanted[] = {
        {.index = MSR_MTRR_DEF_TYPE, .data = MTRR_DEF_ENABLE | MTRR_TYPE_WRITE_BACK},
        {.index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING},
    };
    union {
        struct kvm_msrs header;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(wanted)];
    } msrs = {.header.nmsrs = ARRAY_SIZE(wanted)};
    int ret;

    memcpy(msrs.header.entries, wanted, sizeof(wanted));
    ret = kvm_ioctl_ptr(vcpu_fd, KVM_SET_MSRS, &msrs);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot set a vCPU's MSRs", NULL);
    /* The result is how many were set before one was refused. */
    if ((unsigned)ret < ARRAY_SIZE(wanted))
        return error_set(err, EINVAL, "", "cannot set a vCPU's MSRs", "KVM refused MSR %#x",
                         wanted[ret].index);
    return 0;
}

static int set_entry_registers(int vcpu_fd, const struct boot_layout *layout,
                               const struct boot_entry *entry, struct husk_error *err)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    int ret = kvm_ioctl_ptr(vcpu_fd, KVM_GET_SREGS, &sregs);

    if (ret < 0)
        return error_set(err, -ret, "", "cannot read a vCPU's registers", NULL);
    sregs_for_entry(&sregs, layout, entry);
    regs_for_entry(&regs, entry);
    ret = kvm_ioctl_ptr(vcpu_fd, KVM_SET_SREGS, &sregs);
    if (ret >= 0)
        ret = kvm_ioctl_ptr(vcpu_fd, KVM_SET_REGS, &regs);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot set a vCPU's registers", NULL);
    return 0;
}

int arch_vcpu_init(int vcpu_fd, const struct arch_cpu_model *model, unsigned index,
                   const struct boot_layout *layout, const struct boot_entry *entry,
                   struct husk_error *err)
{
    int ret;

    cpuid_personalize(model->cpuid, &model->machine, index);
    ret = kvm_ioctl_ptr(vcpu_fd, KVM_SET_CPUID2, model->cpuid);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot set a vCPU's CPUID", NULL);
    ret = set_msrs(vcpu_fd, err);
    if (!ret)
        ret = template_change_msrs(vcpu_fd, model->config->msr_changes,
                                   model->config->msr_change_count, err);
    if (!ret && entry)
        ret = set_entry_registers(vcpu_fd, layout, entry, err);
    return ret;
}
