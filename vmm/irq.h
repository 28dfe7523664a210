// SPDX-License-Identifier: Apache-2.0
/*
 * An interrupt as a device sees it: something to raise. Behind it is an eventfd that KVM turns into
 * an edge on a global system interrupt (irqfd), so raising costs one write from any thread and
 * needs no lock. Unit tests read the same eventfd.
 */
#ifndef HUSK_VMM_IRQ_H
#define HUSK_VMM_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq_line {
    int event_fd; /* owned by the interrupt controller, or -1: not connected */
    uint32_t gsi; /* global system interrupt, for the firmware tables */
};

/* Raise an edge. May be called from any thread; edges before delivery merge into one. */
void irq_line_raise(const struct irq_line *line);

/* Whether an edge waits in a line that is held (struct msi_controller). Not while somebody lets it
 * go. */
bool irq_line_is_raised(const struct irq_line *line);

/*
 * Message-signalled interrupts: a line of its own for each vector, of which the guest decides at
 * run time what it means (PCI 3.0, section 6.8.3: an address and 32 bits of data).
 */
struct msi_controller {
    /* A line that goes nowhere yet. Any thread, also while vCPUs run. Returns 0, -ENOSPC when as
     * many are in use as there can be, or -errno. */
    int (*take)(void *arg, struct irq_line *out);
    /* Give a line back; *line becomes unconnected. Nobody raises or routes it any more. A line that
     * is not connected is fine. Any thread. */
    void (*give)(void *arg, struct irq_line *line);
    /* From now on the line sends this message. Any thread. Returns 0 or -errno. */
    int (*route)(void *arg, const struct irq_line *line, uint64_t address, uint32_t data);
    /* While a line is held, what is raised on it waits in its eventfd, and is sent as one when it
     * is let go. For who cannot keep another process or the kernel from raising it. Any thread.
     * Returns 0 or -errno. */
    int (*hold)(void *arg, const struct irq_line *line, bool held);
    void *arg;
};

/* Level-triggered, for a device outside of this process (VFIO): both are eventfds. */
struct irq_resampled {
    int trigger_fd;  /* writing to it asserts the line; -1: not connected */
    int resample_fd; /* readable when the guest has ended the interrupt, which deasserted it: who
                        still wants one asserts it again */
    uint32_t gsi;
};

/*
 * Level-triggered lines, each of which several devices may share: a line is asserted as long as one
 * of them asserts it.
 */
struct level_controller {
    /* One more (true), or one fewer, asserts the line. Any thread; does not block. */
    void (*set)(void *arg, uint32_t gsi, bool asserted);
    /* Another user of the line, which asserts by eventfd. Any thread. Returns 0 or -errno. */
    int (*take)(void *arg, uint32_t gsi, struct irq_resampled *out);
    /* Deasserts, closes both; *irq becomes unconnected, and may be so already. Any thread. */
    void (*give)(void *arg, struct irq_resampled *irq);
    void *arg;
};

/* One of them, for one user. */
struct level_line {
    const struct level_controller *levels;
    uint32_t gsi;
};

#endif
