// SPDX-License-Identifier: Apache-2.0
/* Where a BAR goes: the lowest free place of a window. Pure arithmetic. */
#ifndef HUSK_DEVICES_PCI_ASSIGN_H
#define HUSK_DEVICES_PCI_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>

struct pci_window {
    uint64_t base, size; /* size 0: none */
};

/* Whether [base, base + size) lies inside; it may wrap, and then does not. */
bool pci_window_holds(const struct pci_window *window, uint64_t base, uint64_t size);

/* A naturally aligned place of `size` bytes (a power of two) that none of the `count` ranges in
 * `taken`, which do not wrap, touches. False: there is none. */
bool pci_window_assign(const struct pci_window *window, uint64_t size,
                       const struct pci_window *taken, unsigned count, uint64_t *base);

#endif
