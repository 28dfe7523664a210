// SPDX-License-Identifier: Apache-2.0
/*
 * The interrupt lines of a machine: which device has which global system interrupt, and the eventfd
 * behind each.
 *
 * Threads: lines are handed out while the machine is built. Raising one (vmm/irq.h) is a write to
 * its eventfd, from any thread.
 */
#ifndef HUSK_VMM_INTERRUPTS_H
#define HUSK_VMM_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/irq.h"

#define INTERRUPT_LINES_MAX 64u

struct kvm;

struct interrupts {
    const struct kvm *kvm;
    uint64_t taken;                     /* bit n: GSI n has an owner */
    uint64_t free_pool;                 /* GSIs that interrupts_take_any() may give */
    int event_fds[INTERRUPT_LINES_MAX]; /* -1: none */
};

/* free_pool: the GSIs that are nobody's by custom. */
void interrupts_init(struct interrupts *interrupts, const struct kvm *kvm, uint64_t free_pool);

/* Connect `gsi`, or any free one. *out stays valid until interrupts_release(). Returns 0, -EBUSY
 * (taken), -ENOSPC (none free) or -errno. */
int interrupts_take(struct interrupts *interrupts, uint32_t gsi, struct irq_line *out);
int interrupts_take_any(struct interrupts *interrupts, struct irq_line *out);

/* Closes all lines; a second call does nothing. */
void interrupts_release(struct interrupts *interrupts);

#endif
