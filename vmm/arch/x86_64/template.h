// SPDX-License-Identifier: Apache-2.0
/*
 * CPU templates: what a configuration changes of the CPUID and the MSRs that husk gives a vCPU, for
 * instance so that guests find the same features on hosts of several generations.
 *
 * Nothing here makes a processor do what it cannot. A template that offers a feature which KVM
 * withholds is obeyed, with a warning: a guest that uses the feature may fault, or find another
 * behaviour than it was told.
 */
#ifndef HUSK_VMM_ARCH_X86_64_TEMPLATE_H
#define HUSK_VMM_ARCH_X86_64_TEMPLATE_H

#include <linux/kvm.h>

#include "base/log.h"
#include "husk/husk.h"
#include "vmm/kvm.h"

/*
 * Apply `changes` in order to a prepared table (cpuid.h). Returns 0, or -ENOTSUP with err naming
 * the first change whose leaf and subleaf the table lacks; the table is then half changed.
 */
int template_change_cpuid(struct kvm_cpuid2 *table, const struct husk_cpuid_change *changes,
                          unsigned count, const struct log *log, struct husk_error *err);

/* Whether this host's KVM knows every MSR in `changes`: 0, or -errno with err naming the first that
 * it does not. */
int template_check_msrs(const struct kvm *kvm, const struct husk_msr_change *changes,
                        unsigned count, struct husk_error *err);

/* Apply `changes` in order to a vCPU that has its CPUID. Returns 0, or -errno with err naming the
 * first that KVM refuses. */
int template_change_msrs(int vcpu_fd, const struct husk_msr_change *changes, unsigned count,
                         struct husk_error *err);

#endif
