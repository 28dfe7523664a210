// SPDX-License-Identifier: Apache-2.0
/* Handing out interrupt lines: see interrupts.h. */
#include "vmm/interrupts.h"

#include <errno.h>

#include "base/io.h"
#include "vmm/kvm.h"

void interrupts_init(struct interrupts *interrupts, const struct kvm *kvm, uint64_t free_pool)
{
    interrupts->kvm = kvm;
    interrupts->taken = 0;
    interrupts->free_pool = free_pool;
    for (unsigned i = 0; i < INTERRUPT_LINES_MAX; i++)
        interrupts->event_fds[i] = -1;
}

int interrupts_take(struct interrupts *interrupts, uint32_t gsi, struct irq_line *out)
{
    int fd, ret;

    if (gsi >= INTERRUPT_LINES_MAX)
        return -EINVAL;
    if (interrupts->taken & (1ull << gsi))
        return -EBUSY;
    fd = eventfd_open();
    if (fd < 0)
        return fd;
    ret = kvm_connect_irq(interrupts->kvm, fd, gsi);
    if (ret < 0) {
        close_fd(&fd);
        return ret;
    }
    interrupts->taken |= 1ull << gsi;
    interrupts->event_fds[gsi] = fd;
    *out = (struct irq_line){.event_fd = fd, .gsi = gsi};
    return 0;
}

int interrupts_take_any(struct interrupts *interrupts, struct irq_line *out)
{
    uint64_t available = interrupts->free_pool & ~interrupts->taken;

    if (available == 0)
        return -ENOSPC;
    return interrupts_take(interrupts, (uint32_t)__builtin_ctzll(available), out);
}

void interrupts_release(struct interrupts *interrupts)
{
    /* Closing the eventfd ends KVM's irqfd as well. */
    for (unsigned i = 0; i < INTERRUPT_LINES_MAX; i++)
        close_fd(&interrupts->event_fds[i]);
    interrupts->taken = 0;
}
