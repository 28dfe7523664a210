// SPDX-License-Identifier: Apache-2.0
/*
 * The interrupt lines of a machine: which device has which global system interrupt, and the eventfd
 * behind each. GSIs beyond the pins are for messages (MSI): each is routed by the guest.
 *
 * Threads: pins are handed out while the machine is built. Raising a line (vmm/irq.h) is a write to
 * its eventfd, from any thread. Messages come, go and are routed at any time, one at a time under
 * msi_lock.
 */
#ifndef HUSK_VMM_INTERRUPTS_H
#define HUSK_VMM_INTERRUPTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/arch/arch.h"
#include "vmm/irq.h"

#define INTERRUPT_LINES_MAX 64u
#define MSI_VECTORS_MAX     1536u /* in use: 31 devices of 34 queues and one more, and some */

struct interrupts {
    const struct kvm *kvm;
    uint64_t taken;                     /* bit n: GSI n has an owner */
    uint64_t free_pool;                 /* GSIs that interrupts_take_any() may give */
    int event_fds[INTERRUPT_LINES_MAX]; /* -1: none */

    pthread_mutex_t level_lock;                /* guards the next */
    unsigned asserted_by[INTERRUPT_LINES_MAX]; /* how many assert GSI n */

    pthread_mutex_t msi_lock;      /* guards the rest */
    unsigned msi_room;             /* entries of the next two; it only grows */
    int *msi_fds;                  /* of GSI arch_first_msi_gsi + n; -1: nobody's */
    struct arch_msi_route *routes; /* as msi_fds; gsi 0: goes nowhere */
    bool stale_routes;             /* KVM has routes of lines that were given back */
};

/* free_pool: the GSIs that are nobody's by custom. */
void interrupts_init(struct interrupts *interrupts, const struct kvm *kvm, uint64_t free_pool);

/* Connect `gsi`, or any free one. *out stays valid until interrupts_release(). Returns 0, -EBUSY
 * (taken), -ENOSPC (none free) or -errno. */
int interrupts_take(struct interrupts *interrupts, uint32_t gsi, struct irq_line *out);
int interrupts_take_any(struct interrupts *interrupts, struct irq_line *out);

/* Set `gsi` apart for level-triggered use: interrupts_take_any() will not give it. -EBUSY when it
 * has an owner. While the machine is built. */
int interrupts_reserve(struct interrupts *interrupts, uint32_t gsi);

/* Level-triggered lines, of GSIs that were reserved. Refers to `interrupts`, as the next. */
struct level_controller interrupts_levels(struct interrupts *interrupts);

/* Messages, for devices. Refers to `interrupts`, which must stay where it is. */
struct msi_controller interrupts_msi(struct interrupts *interrupts);

/* Closes all lines; a second call does nothing. */
void interrupts_release(struct interrupts *interrupts);

#endif
