// SPDX-License-Identifier: Apache-2.0
/* The registers with which the boot vCPU enters a kernel. Pure functions. */
#ifndef HUSK_VMM_ARCH_X86_64_REGS_H
#define HUSK_VMM_ARCH_X86_64_REGS_H

#include <linux/kvm.h>

#include "boot/boot.h"

void regs_for_entry(struct kvm_regs *regs, const struct boot_entry *entry);

/* Changes what the entry protocol demands in registers that KVM gave (after reset). */
void sregs_for_entry(struct kvm_sregs *sregs, const struct boot_layout *layout,
                     const struct boot_entry *entry);

#endif
