// SPDX-License-Identifier: Apache-2.0
/* Where a BAR goes: see assign.h. */
#include "devices/pci/assign.h"

#include "base/checked.h"

bool pci_window_holds(const struct pci_window *window, uint64_t base, uint64_t size)
{
    uint64_t offset = base - window->base;

    return base >= window->base && offset < window->size && size <= window->size - offset;
}

/* One of the ranges that [base, base + size) touches, or NULL. */
static const struct pci_window *obstacle(uint64_t base, uint64_t size,
                                         const struct pci_window *taken, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (taken[i].size && taken[i].base < base + size && base < taken[i].base + taken[i].size)
            return &taken[i];
    }
    return NULL;
}

bool pci_window_assign(const struct pci_window *window, uint64_t size,
                       const struct pci_window *taken, unsigned count, uint64_t *base)
{
    uint64_t at = window->base;

    /* The place only moves up, so that each range is in the way at most once. */
    for (unsigned i = 0; i <= count; i++) {
        const struct pci_window *in_the_way;

        if (!checked_align_up(at, size, &at) || !pci_window_holds(window, at, size))
            return false;
        in_the_way = obstacle(at, size, taken, count);
        if (!in_the_way) {
            *base = at;
            return true;
        }
        at = in_the_way->base + in_the_way->size;
    }
    return false;
}
