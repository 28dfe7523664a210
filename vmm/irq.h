// SPDX-License-Identifier: Apache-2.0
/*
 * An interrupt as a device sees it: something to raise. Behind it is an eventfd that KVM turns into
 * an edge on a global system interrupt (irqfd), so raising costs one write from any thread and
 * needs no lock. Unit tests read the same eventfd.
 */
#ifndef HUSK_VMM_IRQ_H
#define HUSK_VMM_IRQ_H

#include <stdint.h>

struct irq_line {
    int event_fd; /* owned by the interrupt controller, or -1: not connected */
    uint32_t gsi; /* global system interrupt, for the firmware tables */
};

/* Raise an edge. May be called from any thread; edges before delivery merge into one. */
void irq_line_raise(const struct irq_line *line);

/*
 * Message-signalled interrupts: a line of its own for each vector, of which the guest decides at
 * run time what it means (PCI 3.0, section 6.8.3: an address and 32 bits of data).
 */
struct msi_controller {
    /* A line that goes nowhere yet. Returns 0, -ENOSPC or -errno. While the machine is built. */
    int (*take)(void *arg, struct irq_line *out);
    /* From now on the line sends this message. Any thread. Returns 0 or -errno. */
    int (*route)(void *arg, const struct irq_line *line, uint64_t address, uint32_t data);
    void *arg;
};

#endif
