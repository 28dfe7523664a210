// SPDX-License-Identifier: Apache-2.0
/*
 * Exits that only x86 has (port I/O), and what to say when KVM gives up on an instruction. Runs on
 * the vCPU's thread; `run` is memory shared with KVM alone, not with the guest.
 */
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmm/arch/arch.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"

/* rep ins/outs come as one exit with `count` elements, at most a page of them. */
static void serve_ports(struct kvm_run *run, struct bus *ports)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    unsigned size = run->io.size;

    for (uint32_t i = 0; i < run->io.count; i++, data += size) {
        if (run->io.direction == KVM_EXIT_IO_OUT)
            bus_write(ports, run->io.port, data, size);
        else
            bus_read(ports, run->io.port, data, size);
    }
}

bool arch_vcpu_exit(struct kvm_run *run, struct bus *ports)
{
    if (run->exit_reason != KVM_EXIT_IO)
        return false;
    serve_ports(run, ports);
    return true;
}

void arch_vcpu_resumed(int vcpu_fd)
{
    /* Refused (EINVAL) while the guest does not use kvm-clock: then it has nobody to tell. */
    kvm_ioctl(vcpu_fd, KVM_KVMCLOCK_CTRL, 0);
}

void arch_vcpu_where(int vcpu_fd, const struct kvm_run *run, char *text, size_t size)
{
    struct kvm_regs regs;
    int used;

    text[0] = '\0';
    if (kvm_ioctl_ptr(vcpu_fd, KVM_GET_REGS, &regs) < 0)
        return;
    used = snprintf(text, size, "rip %#llx", (unsigned long long)regs.rip);
    if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR ||
        run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
        run->emulation_failure.ndata < 1 ||
        !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
        return;
    for (unsigned i = 0;
         i < min_u64(run->emulation_failure.insn_size, sizeof(run->emulation_failure.insn_bytes));
         i++) {
        if (used < 0 || (size_t)used >= size)
            return;
        used += snprintf(text + used, size - (size_t)used, "%s%02x", i ? " " : ", bytes ",
                         run->emulation_failure.insn_bytes[i]);
    }
}
