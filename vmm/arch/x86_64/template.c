// SPDX-License-Identifier: Apache-2.0
/*
 * CPU templates: see template.h. The changes belong to the configuration, which has checked their
 * form (vmm/config_cpu.c); here they meet the host.
 *
 * Threads: all of it runs while the machine is built.
 */
#include "vmm/arch/x86_64/template.h"

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/error.h"
#include "vmm/config.h"

#define CANNOT_CHANGE   "cannot apply the CPU template"
#define MSR_COUNT_MAX   4096u /* KVM knows some hundred */
#define CPUID_REGISTERS 4u

static uint32_t changed(uint32_t value, uint32_t mask, uint32_t bits)
{
    return (value & ~mask) | (bits & mask);
}

/* The registers that are made of feature bits, of the leaves that guests look at: bit n of
 * `registers` is EAX, EBX, ECX, EDX. Elsewhere a set bit says nothing by itself. */
static const struct feature_leaf {
    uint32_t leaf, subleaf;
    uint8_t registers;
} feature_leaves[] = {
    {0x1, 0, 1u << 2 | 1u << 3},
    {0x7, 0, 1u << 1 | 1u << 2 | 1u << 3},
    {0x7, 1, 1u << 0 | 1u << 3},
    {0x7, 2, 1u << 3},
    {0xd, 1, 1u << 0},
    {0x40000001, 0, 1u << 0},
    {0x80000001, 0, 1u << 2 | 1u << 3},
    {0x80000008, 0, 1u << 1},
    {0x80000021, 0, 1u << 0},
};

/* Features that the guest finds after a change but not before are its own risk: say so. */
static void warn_of_features(const struct kvm_cpuid_entry2 *before,
                             const struct kvm_cpuid_entry2 *after, const char *name,
                             const struct log *log)
{
    static const char *const registers[CPUID_REGISTERS] = {"eax", "ebx", "ecx", "edx"};
    const uint32_t old[CPUID_REGISTERS] = {before->eax, before->ebx, before->ecx, before->edx};
    const uint32_t new[CPUID_REGISTERS] = {after->eax, after->ebx, after->ecx, after->edx};

    for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++) {
        const struct feature_leaf *leaf = &feature_leaves[i];

        if (leaf->leaf != after->function || leaf->subleaf != after->index)
            continue;
        for (unsigned r = 0; r < CPUID_REGISTERS; r++) {
            if ((leaf->registers & 1u << r) && (new[r] & ~old[r]))
                log_warn(log, "cpu",
                         "%s: the template offers features that KVM or husk withholds here "
                         "(%s 0x%x): a guest that uses them may fail",
                         name, registers[r], new[r] & ~old[r]);
        }
    }
}

/* Unlike a guest's CPUID instruction, a change must name the entry exactly: subleaf 3 of a leaf
 * without subleaves is a mistake. */
static struct kvm_cpuid_entry2 *find_exactly(struct kvm_cpuid2 *table, uint32_t leaf,
                                             uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->nent; i++) {
        if (table->entries[i].function == leaf && table->entries[i].index == subleaf)
            return &table->entries[i];
    }
    return NULL;
}

int template_change_cpuid(struct kvm_cpuid2 *table, const struct husk_cpuid_change *changes,
                          unsigned count, const struct log *log, struct husk_error *err)
{
    for (unsigned i = 0; i < count; i++) {
        const struct husk_cpuid_change *change = &changes[i];
        struct kvm_cpuid_entry2 *entry = find_exactly(table, change->leaf, change->subleaf);
        char name[CONFIG_CHANGE_NAME_MAX];
        struct kvm_cpuid_entry2 before;

        config_cpuid_change_name(change, name);
        if (!entry)
            return error_set(err, ENOTSUP, name, CANNOT_CHANGE,
                             "the processor that this host offers to guests has no such leaf");
        before = *entry;
        entry->eax = changed(entry->eax, change->eax.mask, change->eax.bits);
        entry->ebx = changed(entry->ebx, change->ebx.mask, change->ebx.bits);
        entry->ecx = changed(entry->ecx, change->ecx.mask, change->ecx.bits);
        entry->edx = changed(entry->edx, change->edx.mask, change->edx.bits);
        warn_of_features(&before, entry, name, log);
    }
    return 0;
}

/* The MSRs that KVM lets a monitor read and write (KVM API 4.3). The caller frees *out. */
static int list_msrs(const struct kvm *kvm, struct kvm_msr_list **out)
{
    struct kvm_msr_list none = {.nmsrs = 0};
    struct kvm_msr_list *list;
    int ret = kvm_ioctl_ptr(kvm->dev_fd, KVM_GET_MSR_INDEX_LIST, &none);

    /* There is never room for all in none: the answer is how many there are. */
    if (ret < 0 && ret != -E2BIG)
        return ret;
    if (none.nmsrs > MSR_COUNT_MAX)
        return -E2BIG;
    list = calloc(1, sizeof(*list) + none.nmsrs * sizeof(list->indices[0]));
    if (!list)
        return -ENOMEM;
    list->nmsrs = none.nmsrs;
    ret = kvm_ioctl_ptr(kvm->dev_fd, KVM_GET_MSR_INDEX_LIST, list);
    if (ret < 0) {
        free(list);
        return ret;
    }
    *out = list;
    return 0;
}

static bool has_msr(const struct kvm_msr_list *list, uint32_t index)
{
    for (uint32_t i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] == index)
            return true;
    }
    return false;
}

int template_check_msrs(const struct kvm *kvm, const struct husk_msr_change *changes,
                        unsigned count, struct husk_error *err)
{
    char name[CONFIG_CHANGE_NAME_MAX];
    struct kvm_msr_list *list;
    int ret;

    if (count == 0)
        return 0;
    ret = list_msrs(kvm, &list);
    if (ret)
        return error_set(err, -ret, "", "cannot ask KVM for the MSRs it supports", NULL);
    for (unsigned i = 0; !ret && i < count; i++) {
        if (has_msr(list, changes[i].index))
            continue;
        config_msr_change_name(&changes[i], name);
        ret =
            error_set(err, ENOTSUP, name, CANNOT_CHANGE, "this host's KVM does not let it be set");
    }
    free(list);
    return ret;
}

/* One at a time, so that several changes of one register meet each other's result. */
static int change_msr(int vcpu_fd, const struct husk_msr_change *change, struct husk_error *err)
{
    union {
        struct kvm_msrs header;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } msr = {.header.nmsrs = 1};
    struct kvm_msr_entry *entry = msr.header.entries;
    char name[CONFIG_CHANGE_NAME_MAX];
    int ret;

    config_msr_change_name(change, name);
    entry->index = change->index;
    /* Both calls return how many registers they did. */
    ret = kvm_ioctl_ptr(vcpu_fd, KVM_GET_MSRS, &msr);
    if (ret != 1)
        return error_set(err, ret < 0 ? -ret : ENOTSUP, name, CANNOT_CHANGE,
                         "KVM does not let a vCPU's register be read");
    entry->data = (entry->data & ~change->mask) | (change->bits & change->mask);
    ret = kvm_ioctl_ptr(vcpu_fd, KVM_SET_MSRS, &msr);
    if (ret != 1)
        return error_set(err, ret < 0 ? -ret : EINVAL, name, CANNOT_CHANGE,
                         "KVM refused the value 0x%llx", (unsigned long long)entry->data);
    return 0;
}

int template_change_msrs(int vcpu_fd, const struct husk_msr_change *changes, unsigned count,
                         struct husk_error *err)
{
    int ret = 0;

    for (unsigned i = 0; !ret && i < count; i++)
        ret = change_msr(vcpu_fd, &changes[i], err);
    return ret;
}
