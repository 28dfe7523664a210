// SPDX-License-Identifier: Apache-2.0
/*
 * What a guest's CPUID instruction says. Pure functions over a table, so that tables of machines
 * that nobody has at hand can be tested.
 */
#ifndef HUSK_VMM_ARCH_X86_64_CPUID_H
#define HUSK_VMM_ARCH_X86_64_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* KVM accepts at most 256 entries. */
#define CPUID_ENTRIES_MAX 256u

/* An empty table with room for CPUID_ENTRIES_MAX entries, which every table here must have; NULL
 * without memory. Released with free(). */
struct kvm_cpuid2 *cpuid_table_new(void);

/* The machine as CPUID tells it: one package, whose cores have one or two threads each. The vCPUs
 * are the threads, core by core; their (x2)APIC ids are their indices. */
struct cpuid_machine {
    unsigned vcpu_count;
    unsigned threads_per_core; /* 1 or 2, and divides vcpu_count */
    bool tsc_deadline_timer;   /* KVM_CAP_TSC_DEADLINE_TIMER */
    bool exit_at_eoi;          /* withhold the paravirtual end of interrupt: see cpuid.c */
};

/* The entry for a leaf (and subleaf, where the leaf has them), or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t function, uint32_t index);

/*
 * Turn what KVM supports on this host into what all vCPUs of the machine have in common. Returns 0,
 * or -ENOSPC when the table is full.
 */
int cpuid_prepare(struct kvm_cpuid2 *table, const struct cpuid_machine *machine);

/* Set what differs between vCPUs, in a prepared table. May be repeated with another index. */
void cpuid_personalize(struct kvm_cpuid2 *table, const struct cpuid_machine *machine,
                       unsigned vcpu_index);

/* One past the highest physical address (leaf 0x80000008; 2^36 without it). */
uint64_t cpuid_address_end(struct kvm_cpuid2 *table);

#endif
